"""Asking AWS which resources there are, kind by kind, in one region."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from crashcart.transports.base import ApiCall, CloudTransport

Wanted = Mapping[str, Sequence[str]]
"""Tags that a resource must have, each with one of the values; no value means any."""


class Found(msgspec.Struct, frozen=True):
    """A resource as AWS names it. ``identifier`` is what its calls take; ``within`` is the group that a host belongs to."""

    kind: str
    name: str
    identifier: str
    region: str
    address: str = ""
    within: str = ""


def find(kind: str, transport: CloudTransport, wanted: Wanted) -> list[Found]:
    """Return the resources of a kind that have the tags wanted. Raises the transport's errors."""
    return [Found(kind, name, identifier, transport.region) for name, identifier in _FINDERS[kind](transport, wanted)]


def find_hosts(transport: CloudTransport, wanted: Wanted, address: str) -> list[Found]:
    """Return the running instances of the Auto Scaling groups that have the tags wanted, with one of their addresses.

    ``address`` is ``private`` or ``public``. Raises the transport's errors.
    """
    groups = _scaling_groups(transport, wanted)
    within = {member["InstanceId"]: group["AutoScalingGroupName"] for group in groups for member in group["Instances"]}
    field = f"{address.capitalize()}IpAddress"
    return [
        Found("linux", name, name, transport.region, str(instance.get(field) or ""), within[name])
        for instance in _instances(transport, list(within))
        if instance["State"]["Name"] == "running"
        for name in [instance["InstanceId"]]
    ]


def _rds_clusters(transport: CloudTransport, wanted: Wanted) -> Iterator[tuple[str, str]]:
    """Find Aurora and Multi-AZ DB clusters; the API lists Neptune's and DocumentDB's beside them."""
    for cluster in _read(transport, "rds", "DescribeDBClusters", {}, "DBClusters"):
        if cluster["Engine"].startswith(("aurora", "mysql", "postgres")) and _has(cluster.get("TagList", ()), wanted):
            yield cluster["DBClusterIdentifier"], cluster["DBClusterIdentifier"]


def _rds_instances(transport: CloudTransport, wanted: Wanted) -> Iterator[tuple[str, str]]:
    """Find the instances that stand alone; a cluster's members are its own business."""
    for instance in _read(transport, "rds", "DescribeDBInstances", {}, "DBInstances"):
        if not instance.get("DBClusterIdentifier") and _has(instance.get("TagList", ()), wanted):
            yield instance["DBInstanceIdentifier"], instance["DBInstanceIdentifier"]


def _autoscaling_groups(transport: CloudTransport, wanted: Wanted) -> Iterator[tuple[str, str]]:
    for group in _scaling_groups(transport, wanted):
        yield group["AutoScalingGroupName"], group["AutoScalingGroupName"]


def _replication_groups(transport: CloudTransport, wanted: Wanted) -> Iterator[tuple[str, str]]:
    for group in _read(transport, "elasticache", "DescribeReplicationGroups", {}, "ReplicationGroups"):
        name = group["ReplicationGroupId"]
        if not wanted or _has(_cache_tags(transport, group["ARN"]), wanted):
            yield name, name


def _target_groups(transport: CloudTransport, wanted: Wanted) -> Iterator[tuple[str, str]]:
    groups = _read(transport, "elbv2", "DescribeTargetGroups", {}, "TargetGroups")
    tags = _balancer_tags(transport, [group["TargetGroupArn"] for group in groups]) if wanted else {}
    for group in groups:
        if _has(tags.get(group["TargetGroupArn"], ()), wanted):
            yield group["TargetGroupName"], group["TargetGroupArn"]


def _ec2_instances(transport: CloudTransport, wanted: Wanted) -> Iterator[tuple[str, str]]:
    """Find the instances that are not gone or going: a terminated one is listed for an hour."""
    for reservation in _read(transport, "ec2", "DescribeInstances", {}, "Reservations"):
        for instance in reservation["Instances"]:
            lives = instance["State"]["Name"] not in {"shutting-down", "terminated"}
            if lives and _has(instance.get("Tags", ()), wanted):
                yield instance["InstanceId"], instance["InstanceId"]


def _scaling_groups(transport: CloudTransport, wanted: Wanted) -> list[dict[str, Any]]:
    groups = _read(transport, "autoscaling", "DescribeAutoScalingGroups", {}, "AutoScalingGroups")
    return [group for group in groups if _has(group.get("Tags", ()), wanted)]


def _instances(transport: CloudTransport, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    for some in _in_batches(names, 100):
        for reservation in _read(transport, "ec2", "DescribeInstances", {"InstanceIds": some}, "Reservations"):
            yield from reservation["Instances"]


def _cache_tags(transport: CloudTransport, arn: str) -> list[dict[str, Any]]:
    return _read(transport, "elasticache", "ListTagsForResource", {"ResourceName": arn}, "TagList")


def _balancer_tags(transport: CloudTransport, arns: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    described = [
        one
        for some in _in_batches(arns, 20)
        for one in _read(transport, "elbv2", "DescribeTags", {"ResourceArns": some}, "TagDescriptions")
    ]
    return {one["ResourceArn"]: one["Tags"] for one in described}


def _read(transport: CloudTransport, service: str, operation: str, params: dict[str, Any], key: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = transport.read(ApiCall(service, operation, params)).get(key, [])
    return found


def _has(tags: Iterable[Mapping[str, Any]], wanted: Wanted) -> bool:
    has = {tag["Key"]: tag.get("Value", "") for tag in tags}
    return all(name in has and (not values or has[name] in values) for name, values in wanted.items())


def _in_batches(items: Sequence[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(items), size):
        yield list(items[start : start + size])


_FINDERS: dict[str, Callable[[CloudTransport, Wanted], Iterator[tuple[str, str]]]] = {
    "rds_cluster": _rds_clusters,
    "rds_instance": _rds_instances,
    "autoscaling_group": _autoscaling_groups,
    "elasticache_replication_group": _replication_groups,
    "target_group": _target_groups,
    "ec2_instance": _ec2_instances,
}
AWS_KINDS = tuple(_FINDERS)
"""The kinds that can be found."""

USUAL_KINDS = tuple(kind for kind in AWS_KINDS if kind != "ec2_instance")
"""The kinds that are looked for where none are named: instances mostly are hosts too, whose names would be taken twice."""
