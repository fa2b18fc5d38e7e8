"""Time is injected: the engine never reads the real clock or sleeps by itself."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What the engine knows of time. ``monotonic`` measures, ``now`` dates; both in seconds."""

    def monotonic(self) -> float:
        """Return seconds from an arbitrary start; never jumps."""

    def now(self) -> datetime:
        """Return the wall clock in UTC, for records only."""

    def sleep(self, seconds: float) -> None:
        """Let time pass."""


class SystemClock:
    """The machine's clock."""

    def monotonic(self) -> float:
        """Return ``time.monotonic()``."""
        return time.monotonic()

    def now(self) -> datetime:
        """Return the current time in UTC."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        """Sleep for real."""
        time.sleep(max(0.0, seconds))


class FakeClock:
    """A clock for tests: ``sleep`` moves it at once."""

    def __init__(self, start: datetime = datetime(2030, 1, 1, tzinfo=UTC)) -> None:
        self._start = start
        self._passed = 0.0

    def monotonic(self) -> float:
        """Return the seconds slept so far."""
        return self._passed

    def now(self) -> datetime:
        """Return the start plus the seconds slept so far."""
        return datetime.fromtimestamp(self._start.timestamp() + self._passed, UTC)

    def sleep(self, seconds: float) -> None:
        """Move time on."""
        self._passed += max(0.0, seconds)
