"""``inv``, but the process is killed (SIGKILL) right after it has written a given number of journal events.

python -m tests.lab.killed 4 recover.service-restart --hosts lab1
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from invoke import Program

from crashcart.events import AnyEvent
from crashcart.journal.folder import RunFolder

CHECKOUT = Path(__file__).resolve().parents[2]


def kill_after(events: int) -> None:
    """Let the process die once so many events of the journal are written."""
    written = 0
    notice = RunFolder.notice

    def counted(folder: RunFolder, event: AnyEvent) -> None:
        nonlocal written
        notice(folder, event)
        written += 1
        if written == events:
            os.kill(os.getpid(), signal.SIGKILL)

    RunFolder.notice = counted  # type: ignore[method-assign, assignment]


if __name__ == "__main__":
    os.chdir(CHECKOUT)
    kill_after(int(sys.argv[1]))
    Program(name="inv").run(["inv", *sys.argv[2:]])
