"""How another thread tells a running command to end."""

from __future__ import annotations

import threading


class Doorbell(threading.Event):
    """Wakes the one thread that watches a command: for data, for its end, for a cancellation.

    It stands in for the event of paramiko's buffers, which clear it when they are empty. Two of them share it, so only
    the thread that was woken may do that, before it looks what rang.
    """

    def clear(self) -> None:
        """Do nothing."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for a ring, at most ``timeout`` seconds, and silence the bell."""
        rang = super().wait(timeout)
        super().clear()
        return rang


class Order:
    """The order to end the command in flight."""

    def __init__(self) -> None:
        self.bell = Doorbell()
        self._given = threading.Event()

    @property
    def given(self) -> bool:
        """Whether the command is to end."""
        return self._given.is_set()

    def give(self) -> None:
        """Have the command end."""
        self._given.set()
        self.bell.set()
