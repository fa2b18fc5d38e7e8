"""Backing off together: when a service asks for fewer requests, everybody who asks it waits, not only who was told."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from queue import SimpleQueue

from crashcart.clock import Clock
from crashcart.errors import Cancelled

FIRST = 1.0
"""Seconds that the first pause lasts at least."""

LONGEST = 20.0
"""Seconds that a request is held back at most."""


class TooManyPages(Exception):
    """An answer has more pages than are read."""


class InFlight:
    """One call under way: how many requests it has sent, and whether it is to end.

    A request that is on its way cannot be called back. So ``cancel`` means that no further one is sent: no retry, no next
    page, and no first one after a wait.
    """

    def __init__(self, clock: Clock, *, pages: int = 20, until: float | None = None) -> None:
        self._clock, self._pages, self._until = clock, pages, until
        self._bell: SimpleQueue[bool] = SimpleQueue()
        self._cancelled = threading.Event()
        self.requests = 0
        self.sent = 0.0

    def cancel(self) -> None:
        """Have the call end before its next request. Safe from another thread."""
        self._cancelled.set()
        self._bell.put(True)

    def sending(self) -> None:
        """Count one more request. Raises ``Cancelled`` when it must not be sent any more."""
        self.check()
        self.requests += 1
        self.sent = self._clock.monotonic()

    def turning(self) -> None:
        """Count one more page. Raises ``TooManyPages``."""
        self._pages -= 1
        if self._pages < 0:
            raise TooManyPages

    def check(self) -> None:
        """Raise ``Cancelled`` when the call is to end."""
        if self._cancelled.is_set():
            raise Cancelled("cancelled before the next request was sent")
        if self._until is not None and self._clock.monotonic() >= self._until:
            raise Cancelled("not asked any further: the time for it is over")

    def sleep(self, seconds: float) -> None:
        """Wait, at most until the call is to end. Raises ``Cancelled``."""
        self._clock.wait(self._bell, seconds, busy=False)
        self.check()


class Gate:
    """Shut for a while after a service asked for fewer requests; shared by all who ask it with the same account and region.

    The pause grows with decorrelated jitter: between ``FIRST`` and three times the last one, never above ``LONGEST``. Who
    waits goes on at a random moment of its second half, so that not all come back in the same one.
    """

    def __init__(self, clock: Clock, uniform: Callable[[float, float], float] = random.uniform) -> None:
        self._clock, self._uniform = clock, uniform
        self._lock = threading.Lock()
        self._shut_at, self._pause = float("-inf"), 0.0

    @property
    def opens_in(self) -> float:
        """Seconds until everybody may pass; 0 when the gate is open."""
        with self._lock:
            return max(0.0, self._shut_at + self._pause - self._clock.monotonic())

    def wait(self, call: InFlight) -> None:
        """Wait until a request may be sent, at most ``LONGEST``. Raises ``Cancelled``."""
        latest = self._clock.monotonic() + LONGEST
        waited_for = None
        while (rest := min(self.opens_in, latest - self._clock.monotonic())) > 0 and self._shut_at != waited_for:
            waited_for = self._shut_at
            call.sleep(self._uniform(rest / 2, rest))

    def throttled(self, sent: float) -> None:
        """Shut the gate: a request that was sent at this time was one too many.

        Of the requests that were under way together, only the first makes the pause longer.
        """
        with self._lock:
            if sent >= self._shut_at:
                self._pause = min(LONGEST, self._uniform(FIRST, max(FIRST, self._pause) * 3))
                self._shut_at = self._clock.monotonic()

    def answered(self, sent: float) -> None:
        """Note that a request was answered: the next pause may be shorter again."""
        with self._lock:
            if sent >= self._shut_at and self._clock.monotonic() >= self._shut_at + self._pause:
                self._pause /= 2
