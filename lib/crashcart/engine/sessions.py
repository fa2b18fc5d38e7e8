"""Sessions: one per target and whom it is spoken to through, and never more of them open than allowed."""

from __future__ import annotations

import threading
from collections import OrderedDict

from crashcart.targets import Target
from crashcart.transports.base import Opener, Session

Key = tuple[str, str, str]
"""A target's name, and kind and name of whom the session is with: the target itself, or what stands for it elsewhere."""


class Sessions:
    """Hands out each target's sessions. Over the limit, those that have rested longest are closed; they reopen on use."""

    def __init__(self, connect: Opener, limit: int) -> None:
        self._connect, self._limit = connect, limit
        self._resting: OrderedDict[Key, Session] = OrderedDict()
        self._in_use: dict[Key, Session] = {}
        self._lock = threading.Lock()

    def take(self, target: Target, subject: Target | None = None) -> Session:
        """Return the session with a target, or with a ``subject`` that stands for it, until the turn ends with ``rest``."""
        whom = subject or target
        key = (target.name, whom.kind, whom.name)
        with self._lock:
            session = self._in_use.get(key) or self._resting.pop(key, None) or self._connect(whom)
            self._in_use[key] = session
            return session

    def rest(self, target: Target) -> None:
        """End a turn; the target's sessions stay open unless there are too many."""
        with self._lock:
            for key in [key for key in self._in_use if key[0] == target.name]:
                self._resting[key] = self._in_use.pop(key)
            excess = len(self._resting) + len(self._in_use) - self._limit
            oldest = [self._resting.popitem(last=False)[1] for _ in range(min(max(0, excess), len(self._resting)))]
        for session in oldest:
            session.close()

    def close(self, target: Target) -> None:
        """End a target's sessions: nothing more is wanted of it."""
        with self._lock:
            ended = [
                sessions.pop(key)
                for sessions in (self._resting, self._in_use)
                for key in list(sessions)
                if key[0] == target.name
            ]
        for session in ended:
            session.close()

    def cancel(self) -> None:
        """End the commands in flight, on the targets too."""
        with self._lock:
            busy = list(self._in_use.values())
        for session in busy:
            session.cancel()

    def close_all(self) -> None:
        """End every session."""
        with self._lock:
            sessions = [*self._resting.values(), *self._in_use.values()]
            self._resting.clear()
            self._in_use.clear()
        for session in sessions:
            session.close()
