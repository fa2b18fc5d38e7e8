"""What happened on each target, one line per event that matters, with the time that the journal gives it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import msgspec

from crashcart.events import (
    Acted,
    AnyEvent,
    Decided,
    EvidenceKept,
    GuardRefused,
    Intended,
    LockLost,
    LockMissing,
    LockTakenOver,
    Pinned,
    StepFinished,
    UndoBegun,
    UndoOwed,
)
from crashcart.plan import OwedUndo
from crashcart.reports.html_axis import Moment
from crashcart.reports.text import visible
from crashcart.reports.tones import ACT_TONES, OUTCOME_TONES, Tone
from crashcart.results import Outcome

MOST_LINES = 60
"""Lines about one target; of more, the first and the last ones are kept, and the journal has them all."""

_FIRST = 20


class Told(msgspec.Struct, frozen=True):
    """One line: when (UTC), what, and in which words. ``time`` is empty where lines were left out."""

    time: str
    word: str
    text: str
    tone: Tone = Tone.PLAIN


def story_of(moments: Sequence[Moment]) -> dict[str, list[Told]]:
    """Return by target what happened there, in order."""
    found: defaultdict[str, list[Told]] = defaultdict(list)
    for moment in moments:
        time = f"{moment.time:%H:%M:%S}.{moment.time.microsecond // 100_000}"
        for target in _targets(moment.event):
            found[target] += [Told(time, word, visible(text), tone) for word, text, tone in _tell(moment.event)]
    return {target: _bounded(lines) for target, lines in found.items() if lines}


def _targets(event: AnyEvent) -> tuple[str, ...]:
    if isinstance(event, LockMissing | LockTakenOver):
        return event.targets
    target = getattr(event, "target", None)
    return (target,) if isinstance(target, str) else ()


def _tell(event: AnyEvent) -> Iterator[tuple[str, str, Tone]]:
    match event:
        case Pinned(step=step):
            yield "looked", step, Tone.QUIET
        case Decided(step=step, decision=decision, why=why):
            yield decision, why or step, Tone.PLAIN
        case EvidenceKept(evidence=evidence):
            yield "evidence", evidence.file or evidence.name, Tone.QUIET
        case Intended(effect=effect, summary=summary):
            yield "act sent", f"{summary} ({effect})", Tone.CHANGED
        case Acted(key=key, result=result, why=why):
            yield result.replace("_", " "), why or key, ACT_TONES.get(result, Tone.PLAIN)
        case StepFinished(result=result) if result.outcome is not Outcome.SKIPPED:
            yield result.outcome.value, f"{result.name}: {result.message}", OUTCOME_TONES[result.outcome]
        case _:
            yield from _tell_trouble(event)


def _tell_trouble(event: AnyEvent) -> Iterator[tuple[str, str, Tone]]:
    match event:
        case GuardRefused(why=why):
            yield "refused", why, Tone.WARNING
        case LockMissing(table=table, why=why):
            yield "no lock", f"went on without the lock of {table}: {why}", Tone.WARNING
        case LockTakenOver(holder=holder, actor=actor, why=why):
            yield "lock taken over", f"from run {holder} of {actor}: {why}", Tone.WARNING
        case LockLost(table=table, why=why):
            yield "lock lost", f"{table}: {why}", Tone.BAD
        case UndoBegun(why=why, undos=undos):
            yield "undo", f"taking back: {_summaries(undos)}, because: {why}", Tone.WARNING
        case UndoOwed(why=why, undos=undos):
            yield "UNDO OWED", f"not taken back: {_summaries(undos)}: {why}", Tone.BAD
        case _:
            return


def _summaries(undos: Sequence[OwedUndo]) -> str:
    return ", ".join(undo.summary for undo in undos)


def _bounded(lines: list[Told]) -> list[Told]:
    left_out = len(lines) - MOST_LINES
    if left_out <= 1:
        return lines
    gap = Told("", "...", f"{left_out} more lines in the journal", Tone.QUIET)
    return [*lines[:_FIRST], gap, *lines[_FIRST - MOST_LINES :]]
