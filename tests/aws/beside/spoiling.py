"""``inv``, but something happens to the run: ``python -m tests.aws.beside.spoiling HOW WORDS...``.

``kill-N``: SIGKILL right after it has written N events. ``rob``: before the first act, its item vanishes from the table.
``short``: its lock runs out after 1.5 s, and so does what it watches.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from invoke import Program

import crashcart.cli.locking
import crashcart.engine.sharedlock
from crashcart.events import AnyEvent, BatchStarted
from crashcart.journal.folder import RunFolder
from tests.aws.beside.sharing import TABLE
from tests.aws.beside.whole import CHECKOUT
from tests.emulator import Emulator
from tests.lab.killed import kill_after


def shorten(ttl: float) -> None:
    crashcart.cli.locking.TTL = ttl  # type: ignore[attr-defined]
    crashcart.engine.sharedlock.LOOK = ttl / 12


def rob() -> None:
    """Have the run look at its lock before each act, and find it gone before the first one."""
    shorten(0.001)
    crashcart.engine.sharedlock.LOOK = 60.0
    notice = RunFolder.notice

    def robbed(folder: RunFolder, event: AnyEvent) -> None:
        notice(folder, event)
        if isinstance(event, BatchStarted):
            client = Emulator(Path("/nonexistent"), os.environ["EMULATOR"]).client("dynamodb")
            client.delete_item(TableName=TABLE, Key={"id": {"S": f"run/{folder.path.name}"}})

    RunFolder.notice = robbed  # type: ignore[method-assign, assignment]


if __name__ == "__main__":
    os.chdir(CHECKOUT)
    how, *words = sys.argv[1:]
    if how.startswith("kill-"):
        shorten(1.5)
        kill_after(int(how.removeprefix("kill-")))
    elif how == "rob":
        rob()
    else:
        shorten(1.5)
    Program(name="inv").run(["inv", *words])
