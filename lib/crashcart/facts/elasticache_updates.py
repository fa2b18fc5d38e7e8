"""Service updates that ElastiCache has for a replication group, and that are not applied yet: one call, best effort.

What could not be asked is said in ``unreadable``; it is never "nothing is pending".
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from crashcart.decoding import convert, from_json
from crashcart.errors import Cancelled, CrashcartError, FactUnreadable
from crashcart.transports.base import ApiCall, CloudTransport

KIND = "elasticache_replication_group"
WAITING = ("not-applied", "waiting-to-start", "in-progress", "stopping", "stopped", "scheduling", "scheduled")
"""Statuses of an update that has not been applied."""

UNDER_WAY = frozenset({"in-progress", "stopping"})
"""Of those, the ones that replace nodes now."""

SHOWN = 300
"""Characters that are kept of why a fact could not be had."""
MOST = 50


class Update(msgspec.Struct, frozen=True):
    """A service update: its name, ``critical`` to ``low``, its status, and the day by which AWS recommends it."""

    name: str
    severity: str = ""
    status: str = ""
    kind: str = ""
    due: str = ""


class Updates(msgspec.Struct, frozen=True):
    """What waits for a replication group, or why nothing is known (``unreadable``)."""

    group: str
    updates: tuple[Update, ...] = ()
    unreadable: str = ""


class _Action(msgspec.Struct, rename="pascal"):
    service_update_name: str
    service_update_severity: str = ""
    update_action_status: str = ""
    service_update_type: str = ""
    service_update_recommended_apply_by_date: datetime | None = None
    service_update_status: str = "available"


class _Answer(msgspec.Struct, rename="pascal"):
    update_actions: list[_Action]


def observe(transport: CloudTransport) -> Updates:
    """Ask for the updates of the group. What cannot be had is said in ``unreadable``. Raises ``Cancelled`` only."""
    name = transport.resource
    params = {
        "ReplicationGroupIds": [name],
        "UpdateActionStatus": list(WAITING),
        "ServiceUpdateStatus": ["available"],
        "PaginationConfig": {"MaxItems": MOST},
    }
    try:
        return read(transport.read(ApiCall("elasticache", "DescribeUpdateActions", params)), name)
    except Cancelled:
        raise
    except CrashcartError as error:
        return Updates(name, unreadable=error.message[:SHOWN])


def parse(stdout: bytes) -> Updates:
    """Read one answer of ``DescribeUpdateActions`` from JSON. Raises ``FactUnreadable``."""
    return read(from_json(stdout), "")


def read(answer: Any, name: str) -> Updates:
    """Read an answer of ``DescribeUpdateActions``. Raises ``FactUnreadable``."""
    try:
        listed = convert(answer, _Answer, strict=False).update_actions
    except msgspec.ValidationError as error:
        raise FactUnreadable(f"the answer of DescribeUpdateActions lacks what is needed: {error}") from error
    waiting = (one for one in listed if one.update_action_status in WAITING and one.service_update_status == "available")
    return Updates(name, tuple(_update(one) for one in waiting))


def _update(one: _Action) -> Update:
    due = one.service_update_recommended_apply_by_date
    words = (one.service_update_name, one.service_update_severity, one.update_action_status, one.service_update_type)
    return Update(*words, due=f"{due:%Y-%m-%d}" if due else "")
