"""RDS events about failovers: best effort by AWS's own word, so they may add a refusal or a failure and prove no absence.

The API does not tell an event's number (RDS-EVENT-0071), so events are known by their documented texts.
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
from crashcart.transports.base import ApiCall, CloudTransport

WINDOW = 3600.0
"""Seconds back that events are always asked for: a resumed run finds what its act led to."""

LONGEST = 14 * 86400.0
"""Seconds that RDS keeps events."""

KEPT = 20
"""Events that are remembered: the newest."""


SHOWN = 300
"""Characters that are kept of why a fact could not be had."""


class EventKind(StrEnum):
    """What an event says of a failover."""

    STARTED = "started"
    COMPLETED = "completed"
    ABANDONED = "abandoned"
    FAILED = "failed"
    REVERTED = "reverted"


_TEXTS = {
    EventKind.STARTED: r"^started (same|cross) az failover|instance failover started",
    EventKind.COMPLETED: r"^completed failover to|failover completed|failover to standby complete",
    EventKind.ABANDONED: r"^abandoning user requested failover",
    EventKind.FAILED: r"failover failed",
    EventKind.REVERTED: r"^promoting previous primary again",
}
"""RDS-EVENT 0072, 0073, 0013; 0071, 0049, 0015; 0034; 0069; 0070."""

FAILOVERS = frozenset({EventKind.STARTED, EventKind.COMPLETED, EventKind.REVERTED})
"""Kinds that say that a failover took place, or takes place."""

DEFEATS = frozenset({EventKind.ABANDONED, EventKind.FAILED, EventKind.REVERTED})
"""Kinds that say that a failover was asked for in vain."""


class Event(msgspec.Struct, frozen=True):
    """One event about a failover; ``at`` is AWS's time, in seconds since 1970."""

    at: float
    kind: EventKind
    message: str
    source: str = ""

    @property
    def line(self) -> str:
        """The event as one reads it: when, and AWS's own words."""
        return f"{datetime.fromtimestamp(self.at, UTC):%H:%M:%S} UTC {self.message.rstrip('.')!r}"


class Recent(msgspec.Struct, frozen=True):
    """The events of the last while, oldest first, as asked ``at`` this controller's time (seconds since 1970).

    AWS refuses callers whose clock is more than five minutes off, so ages are right to within that. ``unreadable`` says why
    there are none to be had, ``is_whole`` whether all were asked that may tell of a failover.
    """

    at: float
    events: tuple[Event, ...] = ()
    unreadable: str = ""
    is_whole: bool = True

    @property
    def newest(self) -> float | None:
        """When the last event was; 0 when there was none, None when they could not be read."""
        if self.unreadable:
            return None
        return self.events[-1].at if self.events else 0.0

    def after(self, moment: float | None) -> tuple[Event, ...]:
        """Return the events after a moment of AWS's time; none when that moment is not known."""
        return () if moment is None else tuple(event for event in self.events if event.at > moment)

    def within(self, seconds: float) -> tuple[Event, ...]:
        """Return the failovers of the last so many seconds."""
        return tuple(event for event in self.events if event.kind in FAILOVERS and event.at >= self.at - seconds)


class _Event(msgspec.Struct, rename="pascal"):
    message: str
    date: datetime
    source_identifier: str = ""


class _Events(msgspec.Struct, rename="pascal"):
    events: list[_Event]


def parse(stdout: bytes) -> Recent:
    """Read one answer of ``DescribeEvents`` from JSON, as asked at time 0. Raises ``FactUnreadable``."""
    return Recent(0.0, _ordered(_read(from_json(stdout))))


def observe(transport: CloudTransport, sources: Iterable[tuple[str, str]], window: float) -> Recent:
    """Ask for the failover events of (type, name) sources. What cannot be had is said in ``unreadable``."""
    minutes = int(min(LONGEST, max(WINDOW, window)) // 60 + 1)
    found: list[Event] = []
    now = time.time()
    try:
        for kind, name in sources:
            params = {"SourceType": kind, "SourceIdentifier": name, "Duration": min(minutes, int(LONGEST // 60))}
            found += _read(transport.read(ApiCall("rds", "DescribeEvents", params)))
    except Cancelled:
        raise
    except CrashcartError as error:
        return Recent(now, unreadable=error.message[:SHOWN])
    return Recent(now, _ordered(found))


def _ordered(events: Iterable[Event]) -> tuple[Event, ...]:
    return tuple(sorted(events, key=lambda event: event.at)[-KEPT:])


def _read(answer: Any) -> list[Event]:
    try:
        events = convert(answer, _Events, strict=False).events
    except msgspec.ValidationError as error:
        raise FactUnreadable(f"the answer of DescribeEvents lacks what is needed: {error}") from error
    kinds = ((event, _kind(event.message)) for event in events)
    return [Event(event.date.timestamp(), kind, event.message, event.source_identifier) for event, kind in kinds if kind]


def _kind(message: str) -> EventKind | None:
    return next((kind for kind, text in _TEXTS.items() if re.search(text, message, re.IGNORECASE)), None)
