"""What to say when a replication group is not found: the group that the name is a member of, or the nearest name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crashcart.errors import CrashcartError, NoSuchResource, nearest
from crashcart.transports.base import ApiCall, CloudTransport


def named_better(transport: CloudTransport, error: NoSuchResource) -> NoSuchResource:
    """Return the same error with what the region's replication groups tell about it, in one more read."""
    hint = _hint(transport, transport.resource) or error.hint
    return NoSuchResource(error.message, action=error.action, code=error.code, hint=hint)


def _hint(transport: CloudTransport, name: str) -> str:
    try:
        answer = transport.read(ApiCall("elasticache", "DescribeReplicationGroups", {}))
    except CrashcartError:
        return ""
    members = _members(answer)
    owner = next((group for group, nodes in members.items() if name.lower() in nodes), "")
    if owner:
        return f"{name} is a node, and a member of the replication group {owner}: select {owner}"
    close = nearest(name.lower(), members)
    return f"{transport.region} has no replication group {name!r}; {close or 'is aws_region right?'}"


def _members(answer: dict[str, Any]) -> dict[str, Sequence[str]]:
    """Return the nodes of each group in an answer of ``DescribeReplicationGroups``."""
    groups = [found for found in answer.get("ReplicationGroups", []) if isinstance(found, dict)]
    return {str(found.get("ReplicationGroupId")): found.get("MemberClusters") or [] for found in groups}
