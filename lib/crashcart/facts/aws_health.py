"""What AWS Health says of our region and services: issues that AWS itself knows of; one call for all targets of an account.

Seed rows S0-D5 and S1-D2. AWS answers only accounts with Business, Enterprise On-Ramp or Enterprise Support, so that nothing
is known of an issue is the rule and no trouble: ``unreadable`` says why.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec

from crashcart.decoding import convert, from_json
from crashcart.errors import ApiRefused, Cancelled, CrashcartError, FactUnreadable
from crashcart.transports.base import ApiCall, CloudTransport

SERVICES: Mapping[str, tuple[str, ...]] = {
    "rds_cluster": ("RDS",),
    "rds_instance": ("RDS",),
    "elasticache_replication_group": ("ELASTICACHE",),
    "autoscaling_group": ("AUTOSCALING", "EC2"),
    "target_group": ("ELASTICLOADBALANCING",),
    "ec2_instance": ("EC2", "EBS"),
}
"""AWS Health's names of the services that a kind of target is made of."""

SHARED = ("VPC",)
"""Services that all of them stand on."""

NO_SUBSCRIPTION = "SubscriptionRequiredException"
SHOWN = 300
"""Characters that are kept of why a fact could not be had."""
MOST = 50
"""Issues that are read at most: the newest."""


class Issue(msgspec.Struct, frozen=True):
    """An issue that AWS has not closed. ``at`` is when it began (seconds since 1970); ``ours``: it concerns this account."""

    service: str
    code: str
    region: str = ""
    zone: str = ""
    at: float | None = None
    ours: bool = False


class HealthState(msgspec.Struct, frozen=True):
    """The open issues of a region at ``now`` (seconds since 1970), or why AWS does not tell (``unreadable``)."""

    region: str
    now: float = 0.0
    issues: tuple[Issue, ...] = ()
    unreadable: str = ""


class _Event(msgspec.Struct, rename="camel"):
    service: str
    event_type_code: str
    region: str = ""
    availability_zone: str = ""
    start_time: datetime | float | None = None
    status_code: str = "open"
    event_scope_code: str = ""


class _Answer(msgspec.Struct):
    events: list[_Event]


def query(region: str) -> ApiCall:
    """Return the one call about a region: the same for every target in it, so that it is sent once."""
    services = sorted({name for names in SERVICES.values() for name in names} | set(SHARED))
    wanted = {
        "regions": [region, "global"],
        "services": services,
        "eventTypeCategories": ["issue"],
        "eventStatusCodes": ["open"],
    }
    return ApiCall("health", "DescribeEvents", {"filter": wanted, "PaginationConfig": {"MaxItems": MOST, "PageSize": MOST}})


def observe(transport: CloudTransport, kind: str = "") -> HealthState:
    """Ask for the open issues of the region, and keep those about a kind of target (empty: all).

    What AWS does not tell is said in ``unreadable``. Raises ``Cancelled`` only.
    """
    region, now = transport.region, time.time()
    try:
        return about(read(transport.read(query(region)), region, now), kind)
    except Cancelled:
        raise
    except ApiRefused as error:
        plan = (
            "the account has no Business or Enterprise Support" if error.code == NO_SUBSCRIPTION else error.message[:SHOWN]
        )
        return HealthState(region, now, unreadable=plan)
    except CrashcartError as error:
        return HealthState(region, now, unreadable=error.message[:SHOWN])


def parse(stdout: bytes) -> HealthState:
    """Read one answer of ``DescribeEvents`` from JSON. Raises ``FactUnreadable``."""
    return read(from_json(stdout), "eu-central-1", 0.0)


def read(answer: Any, region: str, now: float) -> HealthState:
    """Read an answer of ``DescribeEvents``, the newest issue first. Raises ``FactUnreadable``."""
    try:
        events = convert(answer, _Answer).events
    except msgspec.ValidationError as error:
        raise FactUnreadable(f"the answer of AWS Health lacks what is needed: {error}") from error
    issues = sorted(_issues(events, region), key=lambda issue: -(issue.at or 0.0))
    return HealthState(region, now, tuple(issues))


def about(state: HealthState, kind: str) -> HealthState:
    """Keep the issues about a kind of target; all of them where the kind is not known."""
    wanted = (*SERVICES[kind], *SHARED) if kind in SERVICES else None
    kept = (issue for issue in state.issues if wanted is None or issue.service in wanted)
    return msgspec.structs.replace(state, issues=tuple(kept))


def _issues(events: list[_Event], region: str) -> Iterator[Issue]:
    for event in events:
        if event.status_code == "open" and event.region in {"", "global", region}:
            start = event.start_time
            at = start.timestamp() if isinstance(start, datetime) else start
            ours = event.event_scope_code == "ACCOUNT_SPECIFIC"
            yield Issue(event.service, event.event_type_code, event.region, event.availability_zone, at, ours)
