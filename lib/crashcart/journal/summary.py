"""Past runs in words: one line each for a list."""

from __future__ import annotations

from pathlib import Path

import msgspec

from crashcart.errors import JournalError
from crashcart.journal.recall import PastRun


class RunSummary(msgspec.Struct, frozen=True):
    """One line of ``runs.list``."""

    id: str
    started: str
    playbook: str
    mode: str
    status: str
    selection: str
    actor: str
    reason: str = ""
    read_only: bool = False
    unshipped: str = ""
    """Why a closed run is not in its audit; empty for one that is, or has none."""

    @property
    def text(self) -> str:
        """The line."""
        mode = "read-only" if self.read_only else self.mode
        line = f"{self.id}  {self.status:<12} {self.playbook:<24} {mode:<9} {self.selection:<16} {self.actor}"
        return f"{line}  not shipped: {self.unshipped}" if self.unshipped else line


def summarize_run(journal: Path, unshipped: str = "") -> RunSummary:
    """Summarize one run; a journal that cannot be read is listed as such, not left out."""
    try:
        past = PastRun.read(journal)
    except JournalError as error:
        return RunSummary(journal.parent.name, "", "?", "?", "unreadable", "", "", error.message)
    first = past.started
    return RunSummary(
        id=first.run,
        started=past.lines[0].head.time.isoformat(),
        playbook=first.plan.playbook,
        mode=first.options.mode.value,
        status=past.finished.status if past.finished else "unfinished",
        selection=first.plan.pattern,
        actor=first.actor,
        reason=first.options.reason,
        read_only=first.plan.read_only,
        unshipped=unshipped if past.finished else "",
    )
