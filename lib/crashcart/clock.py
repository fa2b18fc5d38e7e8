"""Time is injected: the engine never reads the real clock or sleeps by itself."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from typing import Protocol, TypeVar

T = TypeVar("T")


class Clock(Protocol):
    """What the engine knows of time. ``monotonic`` measures, ``now`` dates; both in seconds."""

    def monotonic(self) -> float:
        """Return seconds from an arbitrary start; never jumps."""

    def now(self) -> datetime:
        """Return the wall clock in UTC, for records only."""

    def wait(self, inbox: SimpleQueue[T], seconds: float | None, *, busy: bool) -> T | None:
        """Return the next item of the inbox, or None after so many seconds (never, for None).

        ``busy`` says that somebody is at work who will put an item there.
        """


class SystemClock:
    """The machine's clock."""

    def monotonic(self) -> float:
        """Return ``time.monotonic()``."""
        return time.monotonic()

    def now(self) -> datetime:
        """Return the current time in UTC."""
        return datetime.now(UTC)

    def wait(self, inbox: SimpleQueue[T], seconds: float | None, *, busy: bool) -> T | None:
        """Wait for real; a signal handler may put an item and so end the wait."""
        try:
            return inbox.get(timeout=None if seconds is None else max(0.0, seconds))
        except Empty:
            return None


class FakeClock:
    """A clock for tests: it moves at once, and only when nobody is at work."""

    def __init__(self, start: datetime = datetime(2030, 1, 1, tzinfo=UTC)) -> None:
        self._start = start
        self._passed = 0.0

    def monotonic(self) -> float:
        """Return the seconds waited so far."""
        return self._passed

    def now(self) -> datetime:
        """Return the start plus the seconds waited so far."""
        return datetime.fromtimestamp(self._start.timestamp() + self._passed, UTC)

    def wait(self, inbox: SimpleQueue[T], seconds: float | None, *, busy: bool) -> T | None:
        """Return what is there, or what a worker will put there; with nobody at work, move time on."""
        if busy or not inbox.empty():
            return inbox.get()
        self._passed += max(0.0, seconds or 0.0)
        return None
