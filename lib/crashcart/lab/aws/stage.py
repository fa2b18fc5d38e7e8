"""Sets scenes up, in the emulator's own process: what moto's models say is what is there.

How long things take is chosen so that whoever looks at once sees them under way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from moto.autoscaling.models import autoscaling_backends
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.elasticache.models import elasticache_backends
from moto.elbv2.models import elbv2_backends
from moto.rds.models import rds_backends

from crashcart.errors import BadInput, nearest
from crashcart.lab.aws.account import REGION
from crashcart.lab.aws.elasticache_group import CacheEvent, LabReplicationGroup
from crashcart.lab.aws.elbv2 import LabTargetGroup
from crashcart.lab.aws.rds_cluster import Clusters
from crashcart.lab.aws.scaling_group import LabGroup
from crashcart.lab.aws.scenes import SCENES
from crashcart.lab.aws.world import Condition, World

UNDER_WAY = 8.0
"""Seconds that something goes on which a drill has to find under way."""

LONG_AGO = timedelta(hours=2)
"""Before whatever counts as recent, and today."""

OUT = "storage-full"
BROKEN = "incompatible-network"
TESTS = 15


class Stage:
    """Sets up one scene around one resource. The world's lock is held by whoever calls."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._play: dict[str, Callable[[str], None]] = {
            "rds.writer-down": self._writer_down,
            "rds.readers-stopped": self._readers_stopped,
            "rds.failover-under-way": self._database_fails_over,
            "elasticache.primary-down": self._primary_down,
            "elasticache.primary-alone": self._primary_alone,
            "elasticache.failover-under-way": self._cache_fails_over,
            "elasticache.pending-reboot": self._pending_reboot,
            "elasticache.tests-used-up": self._tests_used_up,
            "asg.member-lost": self._member_lost,
            "asg.launch-suspended": self._launch_suspended,
            "asg.raise-under-way": self._raise_under_way,
            "asg.raised": lambda name: self._raised(name, _scaling_group(name).max_size),
            "asg.set-since": lambda name: self._raised(name, _scaling_group(name).desired_capacity + 1),
            "elbv2.target-out": self._target_out,
            "elbv2.target-stopped": self._target_stopped,
            "elbv2.target-sick": self._target_sick,
            "elbv2.target-alone": self._target_alone,
            "elbv2.target-leaving": self._target_leaving,
        }

    def play(self, scene: str, resource: str) -> None:
        """Set a scene up. Raises ``BadInput`` for one that is not known, or a resource that is not there."""
        if scene not in self._play:
            raise BadInput(f"there is no scene {scene!r}", hint=nearest(scene, SCENES) or ", ".join(SCENES))
        self._play[scene](resource)

    def _writer_down(self, name: str) -> None:
        _cluster(name).writer.status = OUT

    def _readers_stopped(self, name: str) -> None:
        for member in _cluster(name).members:
            member.status = OUT if member.is_cluster_writer else "stopped"

    def _database_fails_over(self, name: str) -> None:
        self._world.set_durations({"rds.failover": UNDER_WAY})
        cluster, clusters = _cluster(name), Clusters(self._world)
        clusters.fail_over(cluster, clusters.best(cluster))
        self._world.settle()

    def _primary_down(self, name: str) -> None:
        group = _cache(name)
        group.conditions[group.primaries[group.node_groups[0]["node_group_id"]]] = BROKEN

    def _primary_alone(self, name: str) -> None:
        group = _cache(name)
        for shard in group.node_groups:
            primary = group.primaries[shard["node_group_id"]]
            shard["node_group_members"] = [
                node for node in shard["node_group_members"] if node["cache_cluster_id"] == primary
            ]
        self._primary_down(name)

    def _cache_fails_over(self, name: str) -> None:
        self._world.set_durations({"elasticache.failover": UNDER_WAY})
        group = _cache(name)
        shard = group.node_groups[0]
        group.promote(shard, group.least_lagging(shard))

    def _pending_reboot(self, name: str) -> None:
        group = _cache(name)
        group.await_reboot.add(group.replicas(group.node_groups[0])[0])

    def _tests_used_up(self, name: str) -> None:
        group = _cache(name)
        for number in range(1, TESTS + 1):
            message = f"Test Failover API called for node group {number:04}"
            when = self._world.now() - LONG_AGO
            group.events.append(CacheEvent(group.replication_group_id, "replication-group", message, when))
        self._primary_down(name)

    def _member_lost(self, name: str) -> None:
        self._world.set_durations({"asg.launch": UNDER_WAY})
        group = _scaling_group(name)
        group.retire(group.active()[0], "an instance was terminated from outside")
        group.reconcile()

    def _launch_suspended(self, name: str) -> None:
        autoscaling_backends[DEFAULT_ACCOUNT_ID][REGION].suspend_processes(name, ["Launch"])
        self._member_lost(name)

    def _raise_under_way(self, name: str) -> None:
        self._world.set_durations({"asg.launch": UNDER_WAY})
        group = _scaling_group(name)
        group.set_desired_capacity(group.max_size)

    def _raised(self, name: str, size: int) -> None:
        self._world.set_durations({"asg.launch": 0.0, "elbv2.registration": 0.0, "elbv2.first-checks": 0.0})
        _scaling_group(name).set_desired_capacity(size)
        self._world.settle()

    def _target_out(self, name: str) -> None:
        group, member = _target_group(name)
        group.deregister([{"Id": member}])
        group.drains.pop(member, None)

    def _target_stopped(self, name: str) -> None:
        group, member = _target_group(name)
        self._target_out(name)
        group.ec2_backend.stop_instances([member])

    def _target_sick(self, name: str) -> None:
        _, member = _target_group(name)
        self._world.set_condition(Condition("elbv2.unhealthy", member))

    def _target_leaving(self, name: str) -> None:
        _target_group(name)  # nothing is wrong with it, but it has to be there

    def _target_alone(self, name: str) -> None:
        group, member = _target_group(name)
        others = [other for other in group.targets if other != member]
        group.deregister([{"Id": other} for other in others])
        for other in others:
            group.drains.pop(other, None)


def _cluster(name: str) -> Any:
    return _found(rds_backends[DEFAULT_ACCOUNT_ID][REGION].clusters, name)


def _cache(name: str) -> LabReplicationGroup:
    group: LabReplicationGroup = _found(elasticache_backends[DEFAULT_ACCOUNT_ID][REGION].replication_groups, name)
    return group


def _scaling_group(name: str) -> LabGroup:
    group: LabGroup = _found(autoscaling_backends[DEFAULT_ACCOUNT_ID][REGION].autoscaling_groups, name)
    return group


def _target_group(name: str) -> tuple[LabTargetGroup, str]:
    """Return a target group and its first target."""
    groups = elbv2_backends[DEFAULT_ACCOUNT_ID][REGION].target_groups.values()
    group: LabTargetGroup = _found({one.name: one for one in groups}, name)
    if not group.targets:
        raise BadInput(f"{name} has no target", hint="inv lab.reset")
    return group, next(iter(group.targets))


def _found(known: Mapping[str, Any], name: str) -> Any:
    if name not in known:
        raise BadInput(f"the account has no {name!r}", hint=nearest(name, known) or ", ".join(known))
    return known[name]
