"""Sessions: one transport per target, and never more of them open than allowed."""

from __future__ import annotations

import threading
from collections import OrderedDict

from crashcart.targets import Target
from crashcart.transports.base import Opener, Session


class Sessions:
    """Hands out each target's transport. Over the limit, the one that has rested longest is closed; it reopens on use."""

    def __init__(self, connect: Opener, limit: int) -> None:
        self._connect, self._limit = connect, limit
        self._resting: OrderedDict[str, Session] = OrderedDict()
        self._in_use: dict[str, Session] = {}
        self._lock = threading.Lock()

    def take(self, target: Target) -> Session:
        """Return the target's transport for one turn."""
        with self._lock:
            transport = self._resting.pop(target.name, None) or self._connect(target)
            self._in_use[target.name] = transport
            return transport

    def rest(self, target: Target) -> None:
        """End a turn; the session stays open unless there are too many."""
        with self._lock:
            self._resting[target.name] = self._in_use.pop(target.name)
            excess = len(self._resting) + len(self._in_use) - self._limit
            oldest = [self._resting.popitem(last=False)[1] for _ in range(min(max(0, excess), len(self._resting)))]
        for transport in oldest:
            transport.close()

    def close(self, target: Target) -> None:
        """End a target's session: nothing more is wanted of it."""
        with self._lock:
            transport = self._resting.pop(target.name, None) or self._in_use.pop(target.name, None)
        if transport:
            transport.close()

    def cancel(self) -> None:
        """End the commands in flight, on the targets too."""
        with self._lock:
            busy = list(self._in_use.values())
        for transport in busy:
            transport.cancel()

    def close_all(self) -> None:
        """End every session."""
        with self._lock:
            transports = [*self._resting.values(), *self._in_use.values()]
            self._resting.clear()
            self._in_use.clear()
        for transport in transports:
            transport.close()
