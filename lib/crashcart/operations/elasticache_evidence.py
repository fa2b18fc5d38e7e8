"""What is kept of a replication group before it is changed: answers that arrive in time, and what did not arrive."""

from __future__ import annotations

from collections.abc import Sequence

from crashcart.operations.aws_evidence import gather_answers
from crashcart.operations.base import EVIDENCE_TIME
from crashcart.transports.base import ApiCall, CloudTransport

MINUTES = 60


def failover_calls(group: str) -> list[ApiCall]:
    """Name what tells of a group before a failover: its description, its nodes, an hour of events."""
    return [*_described(group), _events("replication-group", group)]


def reboot_calls(group: str, member: str) -> list[ApiCall]:
    """Name what tells of a member before its reboot."""
    return [*_described(group), _events("replication-group", group), _events("cache-cluster", member)]


def gather(transport: CloudTransport, calls: Sequence[ApiCall], within: float = EVIDENCE_TIME) -> bytes:
    """Ask them all at once. Returns a JSON object per call, with its answer or why there is none; nothing if none came."""
    return gather_answers(transport, calls, within)


def _described(group: str) -> list[ApiCall]:
    about = ApiCall("elasticache", "DescribeReplicationGroups", {"ReplicationGroupId": group})
    return [about, ApiCall("elasticache", "DescribeCacheClusters", {"ShowCacheNodeInfo": True})]


def _events(kind: str, name: str) -> ApiCall:
    return ApiCall("elasticache", "DescribeEvents", {"SourceType": kind, "SourceIdentifier": name, "Duration": MINUTES})
