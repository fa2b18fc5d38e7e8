"""From the tree to the inventory: templates rendered, secrets wrapped, kinds checked, and what is left out noted."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crashcart.errors import nearest
from crashcart.inventory.hostnames import is_address
from crashcart.inventory.hostvalues import HostValues
from crashcart.inventory.model import Group, Inventory
from crashcart.inventory.notes import Notes
from crashcart.inventory.tree import HostNode, Tree
from crashcart.inventory.variables import Scope, Variables
from crashcart.secrets import is_secret_name
from crashcart.targets import Target

if TYPE_CHECKING:
    from crashcart.inventory.templates import Templates

# Ansible's connection variables that crashcart acts upon.
_CONNECTION = frozenset(
    f"ansible_{name}"
    for name in (
        "host", "user", "port", "password", "connection", "private_key_file", "ssh_private_key_file", "ssh_common_args",
        "ssh_extra_args", "ssh_host", "ssh_user", "ssh_port", "ssh_pass",
    )
)  # fmt: skip
_NEEDLESS = "ansible_python_interpreter"
# A target is not acted upon while one of these is set but cannot be resolved: without it, it would be another target.
_DECISIVE = _CONNECTION | {"kind", "protected", "drill", "ssh_host_key"}
_OLD_NAMES = {
    "ansible_ssh_host": "ansible_host",
    "ansible_ssh_user": "ansible_user",
    "ansible_ssh_port": "ansible_port",
    "ansible_private_key_file": "ansible_ssh_private_key_file",
}


class Resolver:
    """Makes the targets of one tree."""

    def __init__(self, tree: Tree, variables: Variables, kinds: Collection[str], notes: Notes) -> None:
        self._tree, self._variables, self._kinds, self._notes = tree, variables, kinds, notes
        self._unusable: dict[str, str] = {}
        self._foreign: set[str] = set()

    def inventory(self) -> Inventory:
        """Return the inventory. Raises ``BadInput`` for an unknown kind and for files of variables that cannot be used."""
        for name in self._tree.groups.keys() & self._tree.hosts.keys():
            self._notes.add(f"{name!r} is both a group and a host; --hosts {name} means the host")
        targets = tuple(self._target(self._tree.hosts[name]) for name in self._members["all"])
        groups = {name: self._group(name) for name in self._tree.groups}
        return Inventory(targets, groups, self._notes.texts(), self._unusable)

    def _group(self, name: str) -> Group:
        node = self._tree.groups[name]
        return Group(name, tuple(self._members[name]), tuple(node.parents), tuple(node.children))

    def _target(self, host: HostNode) -> Target:
        scope = self._variables.of(host)
        groups = tuple(sorted(group.name for group in self._tree.groups_of(host.groups)))
        for old, new in _OLD_NAMES.items():
            if old in scope.values:
                scope.values.setdefault(new, scope.values[old])
        self._note_foreign(scope)
        values = HostValues(scope.values, _magic(host, groups), lambda: self._templates)
        resolved = values.resolved()
        self._note_left_out(host, values.left_out)
        return Target(host.name, self._kind(scope, resolved), resolved, groups)

    def _kind(self, scope: Scope, resolved: Mapping[str, Any]) -> str:
        if "kind" not in scope.values:
            return "linux"
        kind = resolved.get("kind")
        if not isinstance(kind, str) or kind not in self._kinds:
            hint = nearest(str(kind), self._kinds) or f"known are {', '.join(self._kinds)}"
            raise scope.origin("kind").error("kind", f"unknown kind {scope.values['kind']!r}", hint)
        return kind

    def _note_foreign(self, scope: Scope) -> None:
        for name in scope.values:
            if name in self._foreign or not name.startswith("ansible_"):
                continue
            self._foreign.add(name)
            if name not in _CONNECTION and name != _NEEDLESS and not name.startswith("ansible_become"):
                self._notes.add(f"{name} is not used ({scope.origin(name).where(name)})")

    def _note_left_out(self, host: HostNode, left_out: Mapping[str, str]) -> None:
        for name, reason in left_out.items():
            self._notes.add(f"variable {name!r} of {{host}} is left out: {reason}", host.name)
            if _is_decisive(name):
                self._unusable[host.name] = f"its variable {name!r} cannot be used: {reason}"

    @cached_property
    def _templates(self) -> Templates:
        from crashcart.inventory.templates import Templates  # noqa: PLC0415 -- most inventories have none

        return Templates({"groups": self._members})

    @cached_property
    def _members(self) -> dict[str, list[str]]:
        return {name: self._tree.members(name) for name in self._tree.groups}


def _is_decisive(name: str) -> bool:
    """Tell whether a variable decides what is done to a target. A missing password is asked for, or the login fails."""
    return (name in _DECISIVE or name.startswith("aws_")) and not is_secret_name(name)


def _magic(host: HostNode, groups: tuple[str, ...]) -> dict[str, Any]:
    """Return the variables that Ansible defines for every host."""
    return {
        "inventory_hostname": host.name,
        "inventory_hostname_short": host.name if is_address(host.name) else host.name.split(".")[0],
        "group_names": list(groups),
        "inventory_file": str(Path(host.file).absolute()),
        "inventory_dir": str(Path(host.file).absolute().parent),
    }
