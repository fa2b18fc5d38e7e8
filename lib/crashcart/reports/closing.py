"""The end of a report: how the run ended, who needs attention, what would change, and what to do next."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import msgspec

from crashcart.events import RunFinished, RunStarted, UndoOwed
from crashcart.plan import OwedUndo
from crashcart.reports.banner import mode_word
from crashcart.reports.commands import Commands
from crashcart.reports.diff import changes_lines, evidence_lines
from crashcart.reports.hints import hint_for
from crashcart.reports.nextsteps import Guide, NextStep
from crashcart.reports.story import subject_of
from crashcart.reports.text import counted, listed, visible
from crashcart.reports.tones import FINE, OUTCOME_TONES, VERDICT_TONES, Tone, urgency
from crashcart.results import Outcome, TargetResult, Verdict, summarize

FEW = 3
"""Up to so many targets that need attention are shown with what was found there."""

_ALIKE = frozenset({Outcome.SKIPPED, Outcome.REFUSED})
"""Outcomes whose reason mostly lies outside the target, so that hundreds of targets share the very same words."""


class Notice(msgspec.Struct, frozen=True):
    """A target that somebody should look at, or several that are there for the same reason.

    ``detail`` is the word for each of the ``details``: what was found, or what would change.
    """

    word: str
    subject: str
    message: str
    tone: Tone
    hint: str = ""
    detail: str = "found"
    details: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """What follows the word."""
        return ": ".join(part for part in (self.subject, self.message) if part)


class Closing(msgspec.Struct, frozen=True):
    """All that a display shows at the end."""

    title: str
    tone: Tone
    ended: str
    counts: dict[Outcome, int]
    verdicts: dict[Verdict, int]
    wishes: tuple[Notice, ...]
    notices: tuple[Notice, ...]
    following: tuple[NextStep, ...]
    owed: tuple[Notice, ...] = ()


def make_closing(
    started: RunStarted,
    results: Sequence[TargetResult],
    ended: RunFinished | None,
    commands: Commands,
    owed: Sequence[UndoOwed] = (),
) -> Closing:
    """Make the end of a report; ``ended`` is None when the run broke off without its last record."""
    status = ended.status if ended else "unfinished"
    read_only = started.plan.read_only
    ordered = sorted(results, key=lambda result: urgency(result, by_verdict=read_only))
    counts = summarize(results)
    verdicts = Counter(result.verdict for result in results if result.verdict)
    return Closing(
        title=_title(started, ended),
        tone=OUTCOME_TONES[Outcome(status)] if status in set(Outcome) else Tone.BAD,
        ended=visible(ended.message) if ended else "the run broke off; what was done until then is in the journal",
        counts={outcome: counts[outcome.value] for outcome in OUTCOME_TONES},
        verdicts={verdict: verdicts[verdict] for verdict in VERDICT_TONES} if read_only and verdicts else {},
        wishes=tuple(_wish(result) for result in ordered if result.outcome is Outcome.WOULD_CHANGE),
        notices=(*_notices([result for result in ordered if result.outcome not in FINE]), *_open(started, results)),
        following=tuple(Guide(started, ordered, commands).steps(status)),
        owed=tuple(_owed(event, undo, commands) for event in owed for undo in event.undos),
    )


def _owed(event: UndoOwed, undo: OwedUndo, commands: Commands) -> Notice:
    """Say what should have been taken back and was not: nothing in a report may be louder."""
    message = ": ".join(part for part in (f"NOT TAKEN BACK: {visible(undo.summary)}", visible(event.why)) if part)
    return Notice("UNDO OWED", visible(event.target), message, Tone.BAD, hint=commands.runs("undo", undo.run))


def _title(started: RunStarted, ended: RunFinished | None) -> str:
    what = visible(f"{started.plan.playbook} on {started.plan.pattern} ({mode_word(started)})")
    if ended is None:
        return f"{what}: unfinished"
    return f"{what}: {visible(ended.status)}, exit {ended.exit_code}, {ended.duration_s:.1f} s"


def _wish(result: TargetResult) -> Notice:
    changes = [change for step in result.steps for change in step.changes]
    return Notice(
        word=result.outcome.value,
        subject=subject_of(result),
        message=visible(result.message),
        tone=Tone.WOULD,
        detail="change",
        details=tuple(changes_lines(changes)),
    )


def _notices(results: Sequence[TargetResult]) -> Iterator[Notice]:
    """Yield one notice for each target, or for several that share their outcome and every word."""
    groups: defaultdict[tuple[str, ...], list[TargetResult]] = defaultdict(list)
    for result in results:
        alone = "" if result.outcome in _ALIKE else result.name
        groups[result.outcome, result.message, result.hint, alone].append(result)
    for group in groups.values():
        yield _notice(group, detailed=len(groups) <= FEW)


def _open(started: RunStarted, results: Sequence[TargetResult]) -> Iterator[Notice]:
    """Yield a notice of the targets that have no outcome because the run broke off."""
    known = {result.name for result in results}
    names = [plan.target.name for plan in started.plan.targets if plan.target.name not in known]
    if names:
        yield Notice("unfinished", _together(names), "no outcome is known", Tone.UNSURE)


def _notice(alike: Sequence[TargetResult], *, detailed: bool) -> Notice:
    first, names = alike[0], [result.name for result in alike]
    return Notice(
        word=first.outcome.value,
        subject=subject_of(first) if len(alike) == 1 else _together(names),
        message=visible(first.message),
        tone=OUTCOME_TONES[first.outcome],
        hint=visible(hint_for(first.hint, names)),
        details=_findings(first) if detailed else (),
    )


def _together(names: Sequence[str]) -> str:
    return visible(names[0]) if len(names) == 1 else f"{counted(len(names), 'target')} ({listed(names)})"


def _findings(result: TargetResult) -> tuple[str, ...]:
    """Return what the last thing that was found says, such as the largest consumers of a disk that stays full."""
    found = [evidence for step in result.steps for evidence in step.evidence if evidence.lines]
    return tuple(evidence_lines(found[-1])) if found else ()
