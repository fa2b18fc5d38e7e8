"""What is kept of a replication group before it is changed: answers that arrive in time, and what did not arrive."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import msgspec

from crashcart.errors import CrashcartError
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
    found: dict[int, object] = {}
    came: list[int] = []

    def ask(number: int) -> None:
        try:
            found[number] = transport.read(calls[number])
            came.append(number)
        except CrashcartError as error:
            found[number] = error.message

    threads = [threading.Thread(target=ask, args=(number,), daemon=True) for number in range(len(calls))]
    until = time.monotonic() + within
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    kept = dict(found)
    return (
        b"\n".join(_shown(call, kept.get(number, "no answer in time")) for number, call in enumerate(calls)) if came else b""
    )


def _described(group: str) -> list[ApiCall]:
    about = ApiCall("elasticache", "DescribeReplicationGroups", {"ReplicationGroupId": group})
    return [about, ApiCall("elasticache", "DescribeCacheClusters", {"ShowCacheNodeInfo": True})]


def _events(kind: str, name: str) -> ApiCall:
    return ApiCall("elasticache", "DescribeEvents", {"SourceType": kind, "SourceIdentifier": name, "Duration": MINUTES})


def _shown(call: ApiCall, answer: object) -> bytes:
    entry = {"call": f"{call.service}:{call.operation}", "params": call.params, "answer": answer}
    return msgspec.json.format(msgspec.json.encode(entry, enc_hook=str), indent=2)
