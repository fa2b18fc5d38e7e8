"""From the tree to the inventory: templates rendered, secrets wrapped, kinds checked, and what is left out noted."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crashcart.errors import nearest
from crashcart.inventory.hostnames import is_address
from crashcart.inventory.hostvalues import HostValues
from crashcart.inventory.model import DEFAULT_KIND, Group, Inventory
from crashcart.inventory.notes import Notes
from crashcart.inventory.tree import HostNode, Tree
from crashcart.inventory.variables import Scope, Variables
from crashcart.inventory.wellknown import OLD_NAMES, is_foreign
from crashcart.targets import Target

if TYPE_CHECKING:
    from crashcart.inventory.templates import Templates


class Resolver:
    """Makes the targets of one tree."""

    def __init__(self, tree: Tree, variables: Variables, kinds: Collection[str], notes: Notes) -> None:
        self._tree, self._variables, self._kinds, self._notes = tree, variables, kinds, notes
        self._left_out: dict[str, dict[str, str]] = {}
        self._foreign: set[str] = set()

    def inventory(self) -> Inventory:
        """Return the inventory. Raises ``BadInput`` for an unknown kind and for files of variables that cannot be used."""
        for name in self._tree.groups.keys() & self._tree.hosts.keys():
            self._notes.add(f"{name!r} is both a group and a host; --hosts {name} means the host")
        targets = tuple(self._target(self._tree.hosts[name]) for name in self._members["all"])
        groups = {name: self._group(name) for name in self._tree.groups}
        return Inventory(targets, groups, self._notes.texts(), self._left_out)

    def _group(self, name: str) -> Group:
        node = self._tree.groups[name]
        return Group(name, tuple(self._members[name]), tuple(node.parents), tuple(node.children))

    def _target(self, host: HostNode) -> Target:
        scope = self._variables.of(host)
        groups = tuple(sorted(group.name for group in self._tree.groups_of(host.groups)))
        for old, new in OLD_NAMES.items():
            if old in scope.values:
                scope.values.setdefault(new, scope.values[old])
        self._note_foreign(scope)
        values = HostValues(scope.values, _magic(host, groups), lambda: self._templates)
        resolved = values.resolved()
        self._note_left_out(host, values.left_out)
        return Target(host.name, self._kind(scope, resolved), resolved, groups)

    def _kind(self, scope: Scope, resolved: Mapping[str, Any]) -> str:
        """Return a target's kind. One that cannot be resolved is as wrong as one that is unknown."""
        if "kind" not in scope.values:
            return DEFAULT_KIND
        kind: Any = resolved.get("kind", scope.values["kind"])
        if isinstance(kind, str) and kind in self._kinds:
            return kind
        hint = nearest(str(kind), self._kinds) or f"known are {', '.join(self._kinds)}"
        raise scope.origin("kind").error("kind", f"unknown kind {kind!r}", hint)

    def _note_foreign(self, scope: Scope) -> None:
        for name in scope.values:
            if name.startswith("ansible_") and name not in self._foreign and is_foreign(name):
                self._foreign.add(name)
                self._notes.add(f"{name} is not used ({scope.origin(name).where(name)})")

    def _note_left_out(self, host: HostNode, left_out: dict[str, str]) -> None:
        for name, reason in left_out.items():
            self._notes.add(f"variable {name!r} of {{host}} is left out: {reason}", host.name)
        if left_out:
            self._left_out[host.name] = left_out

    @cached_property
    def _templates(self) -> Templates:
        from crashcart.inventory.templates import Templates  # noqa: PLC0415 -- most inventories have none

        return Templates({"groups": self._members})

    @cached_property
    def _members(self) -> dict[str, list[str]]:
        return {name: self._tree.members(name) for name in self._tree.groups}


def _magic(host: HostNode, groups: tuple[str, ...]) -> dict[str, Any]:
    """Return the variables that Ansible defines for every host."""
    return {
        "inventory_hostname": host.name,
        "inventory_hostname_short": host.name if is_address(host.name) else host.name.split(".")[0],
        "group_names": list(groups),
        "inventory_file": str(Path(host.file).absolute()),
        "inventory_dir": str(Path(host.file).absolute().parent),
    }
