"""A past run as a page of text: what was asked, what was done and when, what came of each target."""

from __future__ import annotations

from crashcart.events import Decided, EvidenceKept, Intended, LockLost, LockMissing, LockTakenOver
from crashcart.journal.lines import Line
from crashcart.journal.recall import PastRun
from crashcart.reports.banner import mode_word
from crashcart.reports.text import visible


def run_text(past: PastRun) -> str:
    """Tell one run: what was asked, what was done and when, what came of each target."""
    first = past.started
    about = f"{first.plan.playbook} ({mode_word(first)}) on {visible(first.plan.pattern)} by {visible(first.actor)}"
    told = [text for line in past.lines if (text := _tell(line))]
    ends = [f"  {visible(result.name)}: {result.outcome.value}: {visible(result.message)}" for result in past.results]
    status = past.finished.status if past.finished else f"unfinished; inv runs.resume {first.run} goes on with it"
    return "\n".join([f"{first.run}: {about}", *told, "results:", *ends, f"status: {status}"])


def _tell(line: Line) -> str:
    match line.event:
        case Decided(target, step, decision, why):
            return f"  {line.head.time:%H:%M:%S} {visible(target)} {visible(step)}: {decision}: {visible(why)}"
        case Intended(target, step, _, effect, summary):
            return f"  {line.head.time:%H:%M:%S} {visible(target)} {visible(step)}: acting ({effect}): {visible(summary)}"
        case EvidenceKept(target, step, evidence):
            return f"  {line.head.time:%H:%M:%S} {visible(target)} {visible(step)}: kept {visible(evidence.file)}"
        case LockTakenOver(table, targets, holder, actor, why):
            whose = f"{visible(holder)} ({visible(actor)})" if actor else visible(holder)
            names = visible(", ".join(targets))
            return f"  {line.head.time:%H:%M:%S} {names}: lock taken over from {whose}: {why} ({visible(table)})"
        case LockMissing(table, targets, why):
            return f"  {line.head.time:%H:%M:%S} {visible(', '.join(targets))}: no lock: {visible(why)} ({visible(table)})"
        case LockLost(table, target, why):
            return f"  {line.head.time:%H:%M:%S} {visible(target)}: lock lost: {visible(why)} ({visible(table)})"
        case _:
            return ""
