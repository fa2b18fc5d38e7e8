"""Which variables a host has, by Ansible's order of precedence.

From the weakest to the strongest: the inventory's own variables of ``all``, then of the other groups; ``group_vars`` of
``all``, then of the other groups; the inventory's own variables of the host; ``host_vars``. Groups come parents first, then
by ``ansible_group_priority``, then by name. A stronger variable replaces a weaker one as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from crashcart.inventory.notes import Notes
from crashcart.inventory.tree import ALL, HostNode, Layer, Tree
from crashcart.inventory.varsfiles import VarsFolder


class Scope:
    """The layers of variables that apply to a host, the strongest last, and what they come to."""

    def __init__(self, layers: Sequence[Layer], below: Scope | None = None) -> None:
        self._layers, self._below = layers, below
        self.values: dict[str, Any] = dict(below.values) if below else {}
        for layer in layers:
            self.values.update(layer.values)

    def origin(self, name: str) -> Layer:
        """Return the layer that sets a variable."""
        for layer in reversed(self._layers):
            if name in layer.values:
                return layer
        if self._below is None:
            raise KeyError(name)
        return self._below.origin(name)


class Variables:
    """The variables of every host of a tree; what hosts of the same groups share is put together once."""

    def __init__(self, tree: Tree, folders: Sequence[Path], notes: Notes) -> None:
        self._tree = tree
        self._group_vars = [VarsFolder(folder / "group_vars", notes) for folder in folders]
        self._host_vars = [VarsFolder(folder / "host_vars", notes) for folder in folders]
        self._shared: dict[frozenset[str], Scope] = {}

    def of(self, host: HostNode) -> Scope:
        """Return the variables of a host. Raises ``BadInput`` for a file of variables that cannot be used."""
        direct = frozenset(host.groups)
        if direct not in self._shared:
            self._shared[direct] = Scope(self._of_groups(direct))
        return Scope([*host.layers, *_in_files(self._host_vars, [host.name])], self._shared[direct])

    def _of_groups(self, direct: Iterable[str]) -> list[Layer]:
        everyone = self._tree.groups[ALL]
        groups = self._tree.groups_of(direct)
        return [
            *everyone.layers,
            *(layer for group in groups for layer in group.layers),
            *_in_files(self._group_vars, [ALL]),
            *_in_files(self._group_vars, [group.name for group in groups]),
        ]


def _in_files(folders: Iterable[VarsFolder], names: Sequence[str]) -> list[Layer]:
    """Return what folders hold for these groups or hosts: all of one inventory's before those of the next."""
    return [layer for folder in folders for name in names for layer in folder.layers(name)]
