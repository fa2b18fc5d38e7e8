"""Waiting for events, never for time: a FIFO that a script writes to, and processes that end."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tests.ssh.sshd import alive


def when_written(fifo: Path, act: Callable[[], object], *, lines: int = 1) -> tuple[threading.Thread, list[str]]:
    """Make a FIFO; act once so many lines have been written to it. Returns the thread to join, and the lines.

    The FIFO stays open until its writers are gone, so that none of them is ended by a broken pipe.
    """
    seen: list[str] = []

    def wait() -> None:
        with fifo.open() as file:
            seen.extend(file.readline() for _ in range(lines))
            act()
            file.read()

    os.mkfifo(fifo)
    thread = threading.Thread(target=wait)
    thread.start()
    return thread, seen


def all_dead(pids: list[int], seconds: float = 5.0) -> bool:
    """Tell whether all processes end within some seconds: who is killed takes a moment to be gone."""
    deadline = time.monotonic() + seconds
    while any(map(alive, pids)) and time.monotonic() < deadline:
        os.sched_yield()
    return not any(map(alive, pids))
