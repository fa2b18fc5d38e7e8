"""A replication group whose primaries move, whose settings take time, and whose nodes can be looked at.

ElastiCache user guide: "Minimizing downtime with Multi-AZ" (a failover, and that its status need not show), "Promoting a
read replica to primary". API reference: TestFailover (events, their order, one node group at a time).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

import msgspec
from moto.elasticache.models import ReplicationGroup

from crashcart.lab.aws.world import World

STUCK_LOOK = 0.5
AVAILABLE, MODIFYING, REBOOTING = "available", "modifying", "rebooting cluster nodes"
NODE = "0001"
"""The id of the one node in each cache cluster of a replication group."""

Shard = dict[str, Any]


class CacheEvent(msgspec.Struct, frozen=True):
    """One event of DescribeEvents."""

    source_identifier: str
    source_type: str
    message: str
    date: datetime


class LabReplicationGroup(ReplicationGroup):
    """One replication group."""

    world: ClassVar[World]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        wanted, given = kwargs.get("num_cache_clusters"), kwargs.get("replicas_per_node_group")
        if wanted and not given and kwargs.get("cluster_mode") != "enabled":
            kwargs["replicas_per_node_group"] = wanted - 1
        super().__init__(*args, **kwargs)
        self.events: list[CacheEvent] = []
        self.pending_modified_values: dict[str, Any] = {}
        self.busy_shard = ""
        self.conditions: dict[str, str] = {}
        self.await_reboot: set[str] = set()
        self.primaries = {
            shard["node_group_id"]: shard["node_group_members"][0]["cache_cluster_id"] for shard in self.node_groups
        }
        for node in self.nodes():
            node["cache_node_id"] = NODE

    @property
    def is_clustered(self) -> bool:
        """Whether cluster mode is enabled."""
        return bool(self.cluster_mode == "enabled")

    @property
    def has_automatic_failover(self) -> bool:
        """Whether automatic failover is on, or about to be."""
        return self.automatic_failover in {"enabled", "enabling"}

    def nodes(self) -> list[dict[str, Any]]:
        """All nodes."""
        return [node for shard in self.node_groups for node in shard["node_group_members"]]

    def shard(self, name: str) -> Shard | None:
        """The node group of that name."""
        return next((shard for shard in self.node_groups if shard["node_group_id"] == name), None)

    def replicas(self, shard: Shard) -> list[str]:
        """The nodes of a node group other than its primary."""
        names = [node["cache_cluster_id"] for node in shard["node_group_members"]]
        return [name for name in names if name != self.primaries[shard["node_group_id"]]]

    def least_lagging(self, shard: Shard) -> str:
        """The replica that ElastiCache would promote (user guide: the one with the least replication lag)."""
        return min(self.replicas(shard), key=lambda name: self.lag(name) or 0.0)

    def lag(self, name: str) -> float | None:
        """Seconds that a replica is behind; None when CloudWatch has no values."""
        told = self.world.condition("replica.lag", name)
        return 0.1 if told is None else None if told == "unknown" else float(told)

    def node_status(self, name: str) -> str:
        """The status of a node's cache cluster."""
        return self.conditions.get(name, AVAILABLE)

    def test(self, shard: Shard) -> None:
        """Have a node group fail over. Its group stays available: only roles and events tell."""
        name = shard["node_group_id"]
        self.busy_shard = name
        self._tell("replication-group", f"Test Failover API called for node group {name}")
        replica = self.least_lagging(shard)
        self.world.after(self.world.seconds("elasticache.failover"), lambda: self._switch(shard, replica))

    def promote(self, shard: Shard, replica: str) -> None:
        """Make a replica the primary, by ModifyReplicationGroup: the group shows that it is modifying."""
        self.status = shard["status"] = MODIFYING
        self.pending_modified_values["PrimaryClusterId"] = replica
        self.world.after(self.world.seconds("elasticache.failover"), lambda: self._promoted(shard, replica))

    def change_settings(self, *, automatic_failover: bool | None, multi_az: bool | None) -> None:
        """Switch automatic failover and Multi-AZ, or leave one as it is (None)."""
        self.status = MODIFYING
        if automatic_failover is not None and automatic_failover != self.has_automatic_failover:
            self.automatic_failover = "enabling" if automatic_failover else "disabling"
            self.pending_modified_values["AutomaticFailoverStatus"] = _word(automatic_failover)
        self.world.after(self.world.seconds("elasticache.modify"), lambda: self._changed(automatic_failover, multi_az))

    def reboot(self, name: str) -> None:
        """Restart a node; what it holds is lost."""
        self.conditions[name] = REBOOTING

        def end() -> None:
            self.conditions.pop(name, None)
            self.await_reboot.discard(name)
            self._tell("cache-cluster", f"Cache node {NODE} restarted", name)

        self.world.after(self.world.seconds("elasticache.reboot"), end)

    def _is_stuck(self) -> bool:
        return self.world.condition("failover.stuck", self.replication_group_id) is not None

    def _switch(self, shard: Shard, replica: str) -> None:
        if self._is_stuck():
            self.world.after(STUCK_LOOK, lambda: self._switch(shard, replica))
            return
        old = self._move(shard, replica)
        self.conditions[old] = "creating"
        self._tell("cache-cluster", f"Recovering cache nodes {old}", old)
        self.world.after(self.world.seconds("elasticache.recovery"), lambda: self._recovered(old))

    def _recovered(self, old: str) -> None:
        self.conditions.pop(old, None)
        self.busy_shard = ""
        self._tell("cache-cluster", f"Finished recovery for cache nodes {old}", old)

    def _promoted(self, shard: Shard, replica: str) -> None:
        if self._is_stuck():
            self.world.after(STUCK_LOOK, lambda: self._promoted(shard, replica))
            return
        old = self._move(shard, replica)
        self.world.after(self.world.seconds("elasticache.recovery"), lambda: self.conditions.pop(old, None))
        self.pending_modified_values.pop("PrimaryClusterId", None)
        shard["status"] = AVAILABLE
        self._settle()

    def _move(self, shard: Shard, replica: str) -> str:
        """Change the roles; return the old primary. Without cluster mode only, nodes show their role."""
        old = str(self.primaries[shard["node_group_id"]])
        self.primaries[shard["node_group_id"]] = replica
        for node in shard["node_group_members"]:
            if not self.is_clustered:
                node["current_role"] = "primary" if node["cache_cluster_id"] == replica else "replica"
        text = f"Failover from primary node {old} to replica node {replica} completed"
        self._tell("cache-cluster", text, replica)
        self._tell("replication-group", text)
        return old

    def _changed(self, automatic_failover: bool | None, multi_az: bool | None) -> None:
        if automatic_failover is not None:
            self.automatic_failover = _word(automatic_failover)
            self.pending_modified_values.pop("AutomaticFailoverStatus", None)
        if multi_az is not None:
            self.multi_az = _word(multi_az)
        self._settle()

    def _settle(self) -> None:
        """The group is available again once nothing is pending."""
        if not self.pending_modified_values:
            self.status = AVAILABLE

    def _tell(self, kind: str, message: str, name: str = "") -> None:
        self.events.append(CacheEvent(name or self.replication_group_id, kind, message, self.world.now()))


def _word(on: bool) -> str:
    return "enabled" if on else "disabled"
