"""Past runs in words: one line each for a list, a page for one of them."""

from __future__ import annotations

from pathlib import Path

import msgspec

from crashcart.errors import JournalError
from crashcart.events import Decided, EvidenceKept, Intended
from crashcart.journal.lines import Line
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

    @property
    def text(self) -> str:
        """The line."""
        return f"{self.id}  {self.status:<12} {self.playbook:<24} {self.mode:<6} {self.selection:<16} {self.actor}"


def summarize_run(journal: Path) -> RunSummary:
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
    )


def run_text(past: PastRun) -> str:
    """Tell one run: what was asked, what was done and when, what came of each target."""
    first = past.started
    head = f"{first.run}: {first.plan.playbook} ({first.options.mode.value}) on {first.plan.pattern} by {first.actor}"
    told = [text for line in past.lines if (text := _tell(line))]
    ends = [f"  {result.name}: {result.outcome.value}: {result.message}" for result in past.results]
    status = past.finished.status if past.finished else f"unfinished; inv runs.resume {first.run} goes on with it"
    return "\n".join([head, *told, "results:", *ends, f"status: {status}"])


def _tell(line: Line) -> str:
    match line.event:
        case Decided(target, step, decision, why):
            return f"  {line.head.time:%H:%M:%S} {target} {step}: {decision}: {why}"
        case Intended(target, step, _, effect, summary):
            return f"  {line.head.time:%H:%M:%S} {target} {step}: acting ({effect}): {summary}"
        case EvidenceKept(target, step, evidence):
            return f"  {line.head.time:%H:%M:%S} {target} {step}: kept {evidence.file}"
        case _:
            return ""
