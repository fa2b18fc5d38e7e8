"""Time limits of a login, all in seconds."""

from __future__ import annotations

import time

import msgspec


class Limits(msgspec.Struct, frozen=True):
    """How long each stage may take; ``login`` bounds all of them together, ``answer`` what a host adds to a command."""

    connect: float = 5.0
    banner: float = 10.0
    authentication: float = 10.0
    channel: float = 10.0
    login: float = 15.0
    answer: float = 10.0


class Deadline:
    """A point in time to wait for, at most."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self._end - time.monotonic())

    @property
    def passed(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() >= self._end

    def within(self, seconds: float) -> float:
        """Return a limit of its own for the next wait: ``seconds``, or what is left if that is less."""
        return max(0.001, min(seconds, self.left))
