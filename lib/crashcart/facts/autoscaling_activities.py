"""What an Auto Scaling group did lately and what it failed at: the only place where a failed launch shows.

AWS calls the descriptions and causes plain text, so they are known by the wording of its user guide ("Verify a scaling
activity", "Troubleshoot Amazon EC2 Auto Scaling"). They may add a refusal or a failure, and prove no absence.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import msgspec

from crashcart.decoding import convert, from_json
from crashcart.errors import Cancelled, CrashcartError, FactUnreadable
from crashcart.facts.autoscaling_answers import ActivityAnswer, ListedActivity
from crashcart.transports.base import ApiCall, CloudTransport

KEPT = 60
"""Activities that are read: the newest."""

SHOWN = 300
"""Characters that are kept of AWS's words."""


class Kind(StrEnum):
    """What an activity did to an instance."""

    LAUNCH = "launch"
    TERMINATE = "terminate"
    OTHER = "other"


class Reason(StrEnum):
    """Why a launch failed."""

    CAPACITY = "capacity"
    IMAGE = "image"
    QUOTA = "quota"
    ADDRESSES = "addresses"
    PERMISSION = "permission"
    SETTINGS = "settings"
    HOOK = "hook"
    OTHER = "other"


_TEXTS = {
    Reason.HOOK: r"lifecycle action",
    Reason.ADDRESSES: r"free addresses|InsufficientFreeAddressesInSubnet",
    Reason.IMAGE: r"\bimage id\b|InvalidAMIID|\bAMI\b",
    Reason.QUOTA: r"LimitExceeded|\bvCPU (capacity|limit)|MaxSpotInstanceCount|\bquota\b|instance\(s\) are already running",
    Reason.CAPACITY: r"sufficient .{0,60}capacity|InsufficientInstanceCapacity|no Spot capacity|UnfulfillableCapacity"
    r"|InsufficientHostCapacity|ReservationCapacityExceeded",
    Reason.PERMISSION: r"not authorized|UnauthorizedOperation|Client\.InternalError|KMS|service-linked role",
    Reason.SETTINGS: r"security group|key pair|instance profile|launch (template|configuration)|subnet|not supported"
    r"|device name|placement group",
}

LASTING = frozenset({Reason.IMAGE, Reason.QUOTA, Reason.ADDRESSES, Reason.PERMISSION, Reason.SETTINGS})
"""Reasons that do not pass by themselves."""

_SICK = re.compile(r"health[ -]check|status check|needing to be replaced", re.IGNORECASE)
_INSTANCE = re.compile(r"\bi-[0-9a-f]+\b")
_RESIZE = re.compile(
    r"At (?P<at>\S+Z) (?P<who>(?:(?!\bAt \S+Z).)*?) changing the desired capacity from (?P<old>\d+) to (?P<new>\d+)"
)


class Resize(msgspec.Struct, frozen=True):
    """A change of the desired capacity that an activity names as its cause; ``at`` is AWS's time, seconds since 1970."""

    at: float
    who: str
    before: int
    after: int

    @property
    def by_user(self) -> bool:
        """Whether somebody's call did it, no policy and no schedule."""
        return self.who.startswith("a user request")

    @property
    def line(self) -> str:
        """Who changed what, and when."""
        return f"{datetime.fromtimestamp(self.at, UTC):%H:%M:%S} UTC {self.who}, from {self.before} to {self.after}"


class Activity(msgspec.Struct, frozen=True):
    """One launch or termination; ``at`` is when it began, seconds since 1970. ``said`` is why it failed, in AWS's words."""

    id: str
    at: float
    kind: Kind
    status: str
    instance: str = ""
    cause: str = ""
    said: str = ""
    ended: bool = True
    resizes: tuple[Resize, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether a launch came to nothing."""
        return self.kind is Kind.LAUNCH and (self.status == "Failed" or (self.status == "Cancelled" and bool(self.said)))

    @property
    def succeeded(self) -> bool:
        """Whether a launch brought an instance into service."""
        return self.kind is Kind.LAUNCH and self.status == "Successful"

    @property
    def for_health(self) -> bool:
        """Whether an instance was taken out because it failed a health check."""
        return self.kind is Kind.TERMINATE and bool(_SICK.search(self.cause))

    @property
    def reason(self) -> Reason:
        """Why it failed."""
        return next((reason for reason, text in _TEXTS.items() if re.search(text, self.said, re.IGNORECASE)), Reason.OTHER)


class Activities(msgspec.Struct, frozen=True):
    """The last activities, oldest first, as asked ``at`` this controller's time. ``unreadable``: why there are none."""

    at: float
    listed: tuple[Activity, ...] = ()
    unreadable: str = ""

    @property
    def running(self) -> tuple[Activity, ...]:
        """Those that have not ended."""
        return tuple(activity for activity in self.listed if not activity.ended)

    @property
    def resizes(self) -> tuple[Resize, ...]:
        """The changes of the desired capacity that show, oldest first, each once."""
        found = {resize for activity in self.listed for resize in activity.resizes}
        return tuple(sorted(found, key=lambda resize: resize.at))

    def within(self, seconds: float) -> tuple[Activity, ...]:
        """Return those that began in the last so many seconds."""
        return tuple(activity for activity in self.listed if activity.at >= self.at - seconds)

    def since(self, earlier: Activities | None) -> tuple[Activity, ...]:
        """Return those that had not ended when ``earlier`` was read; none when it could not be."""
        if earlier is None or earlier.unreadable:
            return ()
        over = {activity.id for activity in earlier.listed if activity.ended}
        return tuple(activity for activity in self.listed if activity.id not in over)


def failures(activities: Iterable[Activity]) -> tuple[Activity, ...]:
    """Return the failed launches after the last one that brought an instance."""
    failed: list[Activity] = []
    for activity in activities:
        if activity.succeeded:
            failed.clear()
        elif activity.failed:
            failed.append(activity)
    return tuple(failed)


def observe(transport: CloudTransport, group: str) -> Activities:
    """Ask for the newest activities of a group. What cannot be had is said in ``unreadable``."""
    params = {"AutoScalingGroupName": group, "PaginationConfig": {"MaxItems": KEPT}}
    now = time.time()
    try:
        return read(transport.read(ApiCall("autoscaling", "DescribeScalingActivities", params)), now)
    except Cancelled:
        raise
    except CrashcartError as error:
        return Activities(now, unreadable=error.message[:SHOWN])


def parse(stdout: bytes) -> Activities:
    """Read one answer of ``DescribeScalingActivities`` from JSON, as asked at time 0. Raises ``FactUnreadable``."""
    return read(from_json(stdout), 0.0)


def read(answer: Any, now: float) -> Activities:
    """Read one answer of ``DescribeScalingActivities``. Raises ``FactUnreadable``."""
    try:
        listed = convert(answer, ActivityAnswer, strict=False).activities
    except msgspec.ValidationError as error:
        raise FactUnreadable(f"the answer of DescribeScalingActivities lacks what is needed: {error}") from error
    activities = sorted((_activity(found) for found in listed), key=lambda activity: activity.at)
    return Activities(now, tuple(activities))


def _activity(listed: ListedActivity) -> Activity:
    found = _INSTANCE.search(listed.description)
    _, _, inline = listed.description.partition("Status Reason: ")
    return Activity(
        id=listed.activity_id,
        at=listed.start_time.timestamp(),
        kind=_kind(listed.description),
        status=listed.status_code,
        instance=found[0] if found else "",
        cause=" ".join(listed.cause.split())[:SHOWN],
        said=(listed.status_message or inline)[:SHOWN],
        ended=listed.end_time is not None or listed.status_code in {"Successful", "Failed", "Cancelled"},
        resizes=tuple(_resizes(listed.cause)),
    )


def _kind(description: str) -> Kind:
    if description.startswith("Launching"):
        return Kind.LAUNCH
    return Kind.TERMINATE if description.startswith("Terminating") else Kind.OTHER


def _resizes(cause: str) -> Iterable[Resize]:
    for found in _RESIZE.finditer(cause):
        try:
            at = datetime.fromisoformat(found["at"]).timestamp()
        except ValueError:
            continue
        yield Resize(at, " ".join(found["who"].split())[:SHOWN], int(found["old"]), int(found["new"]))
