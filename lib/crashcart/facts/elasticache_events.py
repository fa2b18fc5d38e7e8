"""ElastiCache events about failovers and reboots: best effort, so they may add a refusal and prove no absence.

Where roles are not told (cluster mode), they are all that shows a failover. They have no numbers and are known by the texts
that the API reference documents under ``TestFailover``; older ones say ``master`` for ``primary``.
"""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterable
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
"""Seconds that ElastiCache keeps events."""

DAY = 86400.0
"""Seconds over which AWS counts ``TestFailover``."""

UNDER_WAY = 900.0
"""Seconds after which a failover of whose end nothing was heard is not taken for under way any more."""

KEPT = 50
"""Events that are remembered: the newest."""

SHOWN = 300
"""Characters that are kept of why a fact could not be had."""


class EventKind(StrEnum):
    """What an event tells of."""

    CALLED = "called"
    """Somebody called ``TestFailover``."""
    COMPLETED = "completed"
    RECOVERING = "recovering"
    RECOVERED = "recovered"
    RESTARTED = "restarted"


_TEXTS = {
    EventKind.CALLED: r"^test failover api called for node group (?P<of>\S+)",
    EventKind.COMPLETED: r"^failover from (?:primary|master) node (?P<of>\S+) to replica node (?P<to>\S+) completed",
    EventKind.RECOVERING: r"^recovering cache nodes? (?P<of>\S+)",
    EventKind.RECOVERED: r"^finished recovery for cache nodes? (?P<of>\S+)",
    EventKind.RESTARTED: r"^cache node (?P<of>\S+) restarted",
}


class Event(msgspec.Struct, frozen=True):
    """One event; ``at`` is AWS's time, in seconds since 1970. ``of`` is the node group, the old primary, or the node."""

    at: float
    kind: EventKind
    message: str
    source: str = ""
    of: str = ""
    to: str = ""

    @property
    def line(self) -> str:
        """The event as one reads it: when, and AWS's own words."""
        return f"{datetime.fromtimestamp(self.at, UTC):%H:%M:%S} UTC {self.message.rstrip('.')!r}"


class Recent(msgspec.Struct, frozen=True):
    """The events of the last while, oldest first, as asked ``at`` this controller's time (seconds since 1970).

    AWS refuses callers whose clock is more than five minutes off, so ages are right to within that. ``unreadable`` says why
    there are none to be had.
    """

    at: float
    events: tuple[Event, ...] = ()
    unreadable: str = ""

    @property
    def newest(self) -> float | None:
        """When the last event was; 0 when there was none, None when they could not be read."""
        if self.unreadable:
            return None
        return self.events[-1].at if self.events else 0.0

    def within(self, seconds: float) -> tuple[Event, ...]:
        """Return the events of the last so many seconds."""
        return tuple(event for event in self.events if event.at >= self.at - seconds)

    def of_shard(self, shard: str, members: Collection[str]) -> tuple[Event, ...]:
        """Return the failovers of one node group, asked for or done."""
        return tuple(event for event in self.events if _concerns(event, shard, members))

    def open_test(self, shard: str, members: Collection[str]) -> Event | None:
        """Return the call of ``TestFailover`` on a node group that has not led to anything yet."""
        told = [event for event in self.of_shard(shard, members) if event.at >= self.at - UNDER_WAY]
        return told[-1] if told and told[-1].kind is EventKind.CALLED else None

    @property
    def recovering(self) -> tuple[str, ...]:
        """The nodes that are being replaced, as far as is told."""
        last: dict[str, EventKind] = {}
        for event in self.within(UNDER_WAY):
            if event.kind in {EventKind.RECOVERING, EventKind.RECOVERED}:
                last[event.of] = event.kind
        return tuple(node for node, kind in last.items() if kind is EventKind.RECOVERING)


class _Event(msgspec.Struct, rename="pascal"):
    message: str
    date: datetime
    source_identifier: str = ""


class _Events(msgspec.Struct, rename="pascal"):
    events: list[_Event]


def parse(stdout: bytes) -> Recent:
    """Read one answer of ``DescribeEvents`` from JSON, as asked at time 0. Raises ``FactUnreadable``."""
    return Recent(0.0, _ordered(_read(from_json(stdout)), KEPT))


def observe(transport: CloudTransport, kind: str, names: Iterable[str], window: float, kept: int = KEPT) -> Recent:
    """Ask for the events of these sources of one kind; of all of that kind where the name is empty.

    What cannot be had is said in ``unreadable``.
    """
    minutes = int(min(LONGEST, max(WINDOW, window)) // 60)
    found: list[Event] = []
    now = time.time()
    try:
        for name in names:
            params = {"SourceType": kind, "Duration": minutes} | ({"SourceIdentifier": name} if name else {})
            found += _read(transport.read(ApiCall("elasticache", "DescribeEvents", params)))
    except Cancelled:
        raise
    except CrashcartError as error:
        return Recent(now, unreadable=error.message[:SHOWN])
    return Recent(now, _ordered(found, kept))


def _ordered(events: Iterable[Event], kept: int) -> tuple[Event, ...]:
    return tuple(sorted(events, key=lambda event: event.at)[-kept:])


def _read(answer: Any) -> list[Event]:
    try:
        events = convert(answer, _Events, strict=False).events
    except msgspec.ValidationError as error:
        raise FactUnreadable(f"the answer of DescribeEvents lacks what is needed: {error}") from error
    return [found for found in map(_event, events) if found]


def _event(event: _Event) -> Event | None:
    for kind, text in _TEXTS.items():
        match = re.search(text, event.message, re.IGNORECASE)
        if match:
            named = {part: name.rstrip(".,") for part, name in match.groupdict().items()}
            return Event(event.date.timestamp(), kind, event.message, event.source_identifier, **named)
    return None


def _concerns(event: Event, shard: str, members: Collection[str]) -> bool:
    if event.kind is EventKind.CALLED:
        return event.of == shard
    return event.kind is EventKind.COMPLETED and event.to in members
