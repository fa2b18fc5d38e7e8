"""Targets: what a run can act on, and the frozen selection of one run."""

from __future__ import annotations

from typing import Any

import msgspec


class Target(msgspec.Struct, frozen=True):
    """One host or cloud resource with its resolved inventory variables.

    ``variables`` hold plain JSON values; what is secret there is a ``Secret`` and prints as ``***``.
    """

    name: str
    kind: str = "linux"
    variables: dict[str, Any] = {}
    groups: tuple[str, ...] = ()

    def variable(self, name: str, default: Any = None) -> Any:
        """Return a variable, or the default when the inventory does not set it."""
        return self.variables.get(name, default)

    @property
    def capacity_group(self) -> str:
        """The group that shares this target's load: the variable of that name, else its innermost group, else itself."""
        innermost = self.groups[-1] if self.groups else self.name
        return str(self.variable("capacity_group", innermost))


class Selection(msgspec.Struct, frozen=True):
    """The frozen, ordered set of targets that one run acts on, and the pattern that chose it."""

    pattern: str
    targets: tuple[Target, ...]
