"""The end of a report: how the run ended, who needs attention, what would change, and what to do next."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import msgspec

from crashcart.events import RunFinished, RunStarted
from crashcart.reports.banner import mode_word
from crashcart.reports.commands import Commands
from crashcart.reports.diff import changes_lines, evidence_lines
from crashcart.reports.nextsteps import NextStep, next_steps
from crashcart.reports.story import subject_of
from crashcart.reports.text import counted, listed, visible
from crashcart.reports.words import FINE, OUTCOME_TONES, VERDICT_TONES, Tone, urgency
from crashcart.results import Outcome, TargetResult, Verdict, summarize

FEW = 3
"""Up to so many targets that need attention are shown with what was found there."""

_ALIKE = frozenset({Outcome.SKIPPED, Outcome.REFUSED})
"""Outcomes whose reason mostly lies outside the target, so that hundreds of targets share the very same words."""


class Notice(msgspec.Struct, frozen=True):
    """A target that somebody should look at, or several that are there for the same reason."""

    word: str
    subject: str
    message: str
    tone: Tone
    hint: str = ""
    details: tuple[str, ...] = ()


class Closing(msgspec.Struct, frozen=True):
    """All that a display shows at the end."""

    title: str
    tone: Tone
    stopped: str
    counts: dict[Outcome, int]
    verdicts: dict[Verdict, int]
    wishes: tuple[Notice, ...]
    notices: tuple[Notice, ...]
    following: tuple[NextStep, ...]


def make_closing(
    started: RunStarted, results: Sequence[TargetResult], ended: RunFinished | None, commands: Commands
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
        stopped=visible(ended.message) if ended else "the run broke off; what was done until then is in the journal",
        counts={outcome: counts[outcome.value] for outcome in OUTCOME_TONES},
        verdicts={verdict: verdicts[verdict] for verdict in VERDICT_TONES} if read_only and verdicts else {},
        wishes=tuple(_wish(result) for result in ordered if result.outcome is Outcome.WOULD_CHANGE),
        notices=tuple(_notices([result for result in ordered if result.outcome not in FINE])),
        following=tuple(next_steps(started, results, status, commands)),
    )


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


def _notice(alike: Sequence[TargetResult], *, detailed: bool) -> Notice:
    first, names = alike[0], [result.name for result in alike]
    return Notice(
        word=first.outcome.value,
        subject=subject_of(first) if len(alike) == 1 else f"{counted(len(alike), 'target')} ({listed(names)})",
        message=visible(first.message),
        tone=OUTCOME_TONES[first.outcome],
        hint=visible(first.hint),
        details=_findings(first) if detailed else (),
    )


def _findings(result: TargetResult) -> tuple[str, ...]:
    """Return what the last thing that was found says, such as the largest consumers of a disk that stays full."""
    found = [evidence for step in result.steps for evidence in step.evidence if evidence.lines]
    return tuple(evidence_lines(found[-1])) if found else ()
