"""What an inventory is once it is loaded: targets with resolved variables, groups with their members, and notes."""

from __future__ import annotations

import msgspec

from crashcart.errors import BadInput, nearest
from crashcart.targets import Target

DEFAULT_KIND = "linux"
KINDS = (
    DEFAULT_KIND,
    "rds_cluster",
    "rds_instance",
    "autoscaling_group",
    "elasticache_replication_group",
    "target_group",
    "ec2_instance",
)
"""What a target can be; the variable ``kind`` says which, ``linux`` when it is not set."""


class Group(msgspec.Struct, frozen=True):
    """A group and all its members, those of nested groups included, in inventory order of the group."""

    name: str
    members: tuple[str, ...]
    parents: tuple[str, ...] = ()
    children: tuple[str, ...] = ()


class Inventory(msgspec.Struct, frozen=True):
    """Targets in inventory order, groups by name, and notes: what was read but is not used, each thing once.

    ``left_out`` says, by target and variable, why a variable that the inventory sets has no value here.
    """

    targets: tuple[Target, ...]
    groups: dict[str, Group]
    notes: tuple[str, ...] = ()
    left_out: dict[str, dict[str, str]] = {}

    def group(self, name: str) -> Group:
        """Return a group. Raises ``BadInput`` with the nearest names."""
        if name not in self.groups:
            raise BadInput(f"the inventory has no group {name!r}", hint=nearest(name, self.groups))
        return self.groups[name]

    def members(self, name: str) -> tuple[Target, ...]:
        """Return a group's targets in inventory order. Raises ``BadInput`` with the nearest names."""
        wanted = set(self.group(name).members)
        return tuple(target for target in self.targets if target.name in wanted)
