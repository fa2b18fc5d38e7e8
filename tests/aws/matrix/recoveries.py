"""The shipped AWS recoveries: the scene that needs each, how it is called, and what it does when all goes well."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from crashcart.lab.aws.compute_seed import host_instances
from tests.aws.matrix.rig import Rig

World = Mapping[str, Any]
"""What a recovery is about, as AWS describes it."""

FAILOVER, PROMOTE, TEST = "FailoverDBCluster", "ModifyReplicationGroup", "TestFailover"
SETTLE = ("--settle", "1s")


class Recovery(msgspec.Struct, frozen=True):
    """One way to call one recovery.

    ``acts`` are the writes that it takes, in order. ``words`` may force; ``again`` is how the second run is called, which
    must find everything as it should be. ``member`` puts an instance of the lab into the words. ``undo`` are the writes that
    take its acts back where it fails, ``as_before`` what of the world must be as it was, however it ends. ``is_variant``:
    its playbook stands in the matrix in another way already.
    """

    playbook: str
    kind: str
    target: str
    part: str
    service: str
    acts: tuple[str, ...]
    look: Callable[[Rig], World]
    is_well: Callable[[World], bool]
    scenes: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    again: tuple[str, ...] = ()
    member: str = ""
    undo: tuple[str, ...] = ()
    as_before: tuple[str, ...] = ()
    is_variant: bool = False

    def arrange(self, rig: Rig) -> None:
        """Make its scene."""
        for scene in self.scenes:
            rig.scene(scene, self.target)

    def command(self, rig: Rig, *words: str, again: bool = False) -> tuple[str, ...]:
        """Return the words of its command line."""
        member = ("--member", host_instances(rig.emulator.client("ec2"))[self.member]) if self.member else ()
        mine = self.again if again else self.words
        return (self.playbook, "--hosts", self.target, "--output", "json", *member, *mine, *words)


def _cluster(rig: Rig) -> World:
    rds = rig.emulator.client("rds")
    cluster = rds.describe_db_clusters(DBClusterIdentifier="lab-aurora")["DBClusters"][0]
    writers = [one["DBInstanceIdentifier"] for one in cluster["DBClusterMembers"] if one["IsClusterWriter"]]
    return {"writers": writers, "status": cluster["Status"]}


def _instance(rig: Rig) -> World:
    found = rig.emulator.client("rds").describe_db_instances(DBInstanceIdentifier="lab-db")["DBInstances"][0]
    return {"zone": found["AvailabilityZone"], "status": found["DBInstanceStatus"]}


def _cache(rig: Rig) -> World:
    client = rig.emulator.client("elasticache")
    group = client.describe_replication_groups(ReplicationGroupId="lab-redis")["ReplicationGroups"][0]
    nodes = group["NodeGroups"][0]["NodeGroupMembers"]
    return {
        "primary": [node["CacheClusterId"] for node in nodes if node["CurrentRole"] == "primary"],
        "automatic failover": group["AutomaticFailover"],
        "Multi-AZ": group["MultiAZ"],
        "status": group["Status"],
    }


def _completed(rig: Rig) -> World:
    """With cluster mode, nothing but events says who the primary is."""
    client = rig.emulator.client("elasticache")
    group = client.describe_replication_groups(ReplicationGroupId="lab-redis-cluster")["ReplicationGroups"][0]
    told = client.describe_events(SourceType="replication-group", SourceIdentifier="lab-redis-cluster", Duration=600)
    return {
        "failovers": sum("completed" in event["Message"] for event in told["Events"]),
        "automatic failover": group["AutomaticFailover"],
        "Multi-AZ": group["MultiAZ"],
    }


def _restarts(rig: Rig) -> World:
    told = rig.emulator.client("elasticache").describe_events(
        SourceType="cache-cluster", SourceIdentifier="lab-redis-002", Duration=600
    )
    return {"restarts": sum("restarted" in event["Message"] for event in told["Events"])}


def _group(rig: Rig) -> World:
    found = rig.emulator.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=["lab-asg"])
    group = found["AutoScalingGroups"][0]
    serving = sum(one["LifecycleState"] == "InService" and one["HealthStatus"] == "Healthy" for one in group["Instances"])
    return {"min": group["MinSize"], "desired": group["DesiredCapacity"], "max": group["MaxSize"], "serving": serving}


def _targets(rig: Rig) -> World:
    elb = rig.emulator.client("elbv2")
    group = elb.describe_target_groups(Names=["lab-hosts"])["TargetGroups"][0]["TargetGroupArn"]
    names = {name: host for host, name in host_instances(rig.emulator.client("ec2")).items()}
    health = elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
    return {names[one["Target"]["Id"]]: one["TargetHealth"]["State"] for one in health}


_RDS: dict[str, Any] = {"playbook": "recover.rds-failover", "part": "databases", "service": "rds"}
_CACHE: dict[str, Any] = {"part": "caches", "service": "elasticache", "kind": "elasticache_replication_group"}
_SETTINGS = ("automatic failover", "Multi-AZ")
_ASG: dict[str, Any] = {
    "kind": "autoscaling_group",
    "target": "lab-asg",
    "part": "compute",
    "service": "autoscaling",
    "look": _group,
}
_TARGETS: dict[str, Any] = {
    "kind": "target_group",
    "target": "lab-hosts",
    "part": "compute",
    "service": "elbv2",
    "look": _targets,
    "member": "h1",
}
_NODE = ("--cluster", "lab-redis-002", "--node-ids", "0001", "--yes", *SETTLE)

RECOVERIES: dict[str, Recovery] = {
    "rds-cluster": Recovery(
        **_RDS,
        kind="rds_cluster",
        target="lab-aurora",
        scenes=("rds.writer-down",),
        words=SETTLE,
        again=SETTLE,
        acts=(FAILOVER,),
        look=_cluster,
        is_well=lambda seen: seen == {"writers": ["lab-aurora-2"], "status": "available"},
    ),
    "rds-instance": Recovery(
        **_RDS,
        kind="rds_instance",
        target="lab-db",
        words=("--force", *SETTLE),
        again=SETTLE,
        acts=("RebootDBInstance",),
        look=_instance,
        is_well=lambda seen: seen == {"zone": "us-east-1b", "status": "available"},
    ),
    "cache": Recovery(
        **_CACHE,
        playbook="recover.elasticache-failover",
        target="lab-redis",
        scenes=("elasticache.primary-down",),
        words=SETTLE,
        again=SETTLE,
        acts=(PROMOTE, PROMOTE, PROMOTE),
        look=_cache,
        is_well=lambda seen: seen["primary"] != ["lab-redis-001"] and len(seen["primary"]) == 1,
        undo=(PROMOTE,),
        as_before=_SETTINGS,
    ),
    "cache-cluster": Recovery(
        **_CACHE,
        playbook="recover.elasticache-failover",
        target="lab-redis-cluster",
        scenes=("elasticache.primary-down",),
        words=("--node-group", "0001", "--test-failover", "--force", *SETTLE),
        again=("--node-group", "0001", "--test-failover", *SETTLE),
        acts=(TEST,),
        look=_completed,
        is_well=lambda seen: seen["failovers"] == 1,
        as_before=_SETTINGS,
    ),
    "cache-reboot": Recovery(
        **_CACHE,
        playbook="recover.elasticache-reboot",
        target="lab-redis",
        scenes=("elasticache.pending-reboot",),
        words=_NODE,
        again=_NODE,
        acts=("RebootCacheCluster",),
        look=_restarts,
        is_well=lambda seen: seen == {"restarts": 1},
    ),
    "asg-scale": Recovery(
        **_ASG,
        playbook="recover.asg-scale",
        words=("--at-least", "4", *SETTLE),
        again=("--at-least", "4", *SETTLE),
        acts=("SetDesiredCapacity",),
        is_well=lambda seen: seen == {"min": 1, "desired": 4, "max": 4, "serving": 4},
    ),
    "asg-raise": Recovery(
        **_ASG,
        playbook="recover.asg-scale",
        is_variant=True,
        words=("--at-least", "5", "--raise-max", "--yes", *SETTLE),
        again=("--at-least", "5", "--raise-max", "--yes", *SETTLE),
        acts=("UpdateAutoScalingGroup",),
        is_well=lambda seen: seen == {"min": 1, "desired": 5, "max": 5, "serving": 5},
    ),
    "asg-by": Recovery(
        **_ASG,
        playbook="recover.asg-scale",
        is_variant=True,
        words=("--by", "+1", *SETTLE),
        again=("--by", "+1", *SETTLE),
        acts=("SetDesiredCapacity",),
        is_well=lambda seen: seen == {"min": 1, "desired": 3, "max": 4, "serving": 3},
    ),
    "asg-restore": Recovery(
        **_ASG,
        playbook="recover.asg-restore",
        scenes=("asg.raised",),
        words=("--desired", "2", "--raised-to", "4", *SETTLE),
        again=("--desired", "2", "--raised-to", "4", *SETTLE),
        acts=("SetDesiredCapacity", "SetDesiredCapacity"),
        is_well=lambda seen: seen == {"min": 1, "desired": 2, "max": 4, "serving": 2},
    ),
    "register": Recovery(
        **_TARGETS,
        playbook="recover.target-register",
        scenes=("elbv2.target-out",),
        words=SETTLE,
        again=SETTLE,
        acts=("RegisterTargets",),
        is_well=lambda seen: seen == {"h1": "healthy", "h2": "healthy"},
        undo=("DeregisterTargets",),
    ),
    "deregister": Recovery(
        **_TARGETS,
        playbook="recover.target-deregister",
        acts=("DeregisterTargets",),
        is_well=lambda seen: seen == {"h2": "healthy"},
        undo=("RegisterTargets",),
    ),
}
