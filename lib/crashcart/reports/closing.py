"""The end of a report: how the run ended, who needs attention, what would change, and what to do next."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import msgspec

from crashcart.events import RunFinished, RunStarted, UndoOwed
from crashcart.plan import OwedUndo, Undo
from crashcart.reports.alike import common, likeness, nameless
from crashcart.reports.banner import mode_word
from crashcart.reports.commands import Commands
from crashcart.reports.diff import changes_lines
from crashcart.reports.found import PLANNED, evidence_of, findings, headlines
from crashcart.reports.hints import hint_for, open_hint
from crashcart.reports.nextsteps import Guide, NextStep
from crashcart.reports.story import subject_of
from crashcart.reports.text import counted, listed, visible
from crashcart.reports.tones import FINE, OUTCOME_TONES, VERDICT_TONES, Tone, urgency
from crashcart.reports.whereabouts import Whereabouts
from crashcart.results import Outcome, TargetResult, Verdict, summarize
from crashcart.secrets import encode_secret

FEW = 3
"""Up to so many targets that need attention are shown with all that was found there, more of them with one line each."""

MANY = 10
"""Of more targets than this, those that say the same are told together."""

MOST_NOTICES = 30
"""Notices that a summary shows of one sort; the journal has all."""

AWS_HEALTH = "AWS Health"
"""The evidence that is worth telling of healthy targets, too."""

_ALIKE = frozenset({Outcome.SKIPPED, Outcome.REFUSED})
"""Outcomes whose reason mostly lies outside the target, so that hundreds of targets share the very same words."""


class Notice(msgspec.Struct, frozen=True):
    """A target that somebody should look at, or several that are there for the same reason.

    ``detail`` is the word for each of the ``details``: what was found, or what would change. ``targets`` counts them,
    ``undo`` says how it would be taken back.
    """

    word: str
    subject: str
    message: str
    tone: Tone
    hint: str = ""
    detail: str = "found"
    details: tuple[str, ...] = ()
    targets: int = 1
    undo: str = ""

    @property
    def sentence(self) -> str:
        """What follows the word."""
        return ": ".join(part for part in (self.subject, self.message) if part)


class Closing(msgspec.Struct, frozen=True):
    """All that a display shows at the end. ``show`` is the command that tells all, where it is not among what to do next."""

    title: str
    tone: Tone
    ended: str
    counts: dict[Outcome, int]
    verdicts: dict[Verdict, int]
    wishes: tuple[Notice, ...]
    notices: tuple[Notice, ...]
    following: tuple[NextStep, ...]
    owed: tuple[Notice, ...] = ()
    undos: tuple[Notice, ...] = ()
    show: str = ""


def make_closing(
    started: RunStarted,
    results: Sequence[TargetResult],
    ended: RunFinished | None,
    commands: Commands,
    owed: Sequence[UndoOwed] = (),
    undos: Sequence[tuple[str, Undo]] = (),
) -> Closing:
    """Make the end of a report; ``ended`` is None when the run broke off without its last record.

    ``undos`` are those of acts that still stand, each with its target.
    """
    status = ended.status if ended else "unfinished"
    read_only, results = started.plan.read_only, list(map(Whereabouts(started.plan).located, results))
    ordered = sorted(results, key=lambda result: urgency(result, by_verdict=read_only))
    counts = summarize(results)
    verdicts = Counter(result.verdict for result in results if result.verdict)
    guide = Guide(started, ordered, commands, undoable=bool(undos), owed=bool(owed))
    show, following = commands.runs("show", started.run), tuple(guide.steps(status))
    return Closing(
        title=_title(started, ended),
        tone=OUTCOME_TONES[Outcome(status)] if status in set(Outcome) else Tone.BAD,
        ended=visible(ended.message) if ended else "the run broke off; what was done until then is in the journal",
        counts={outcome: counts[outcome.value] for outcome in OUTCOME_TONES},
        verdicts={verdict: verdicts[verdict] for verdict in VERDICT_TONES} if read_only and verdicts else {},
        wishes=_bounded(_wishes([result for result in ordered if result.outcome is Outcome.WOULD_CHANGE]), show),
        notices=(
            *_bounded(_notices([result for result in ordered if _is_notable(result)], guide), show),
            *_open(started, results),
            *_bounded(_aside(results), show),
            *_bounded(_planned(ordered), show),
        ),
        following=following,
        owed=tuple(_owed(event, undo, commands) for event in owed for undo in event.undos),
        undos=_bounded(_undos(undos, commands.runs("undo", started.run), exact=started.options.diff), show),
        show="" if any(step.command == show for step in following) else show,
    )


def _is_notable(result: TargetResult) -> bool:
    return result.outcome not in FINE or result.verdict not in {None, Verdict.HEALTHY}


def _bounded(notices: Iterator[Notice], show: str) -> tuple[Notice, ...]:
    """Return the first notices, and one that says how many targets the others are about."""
    told = list(notices)
    left_out = sum(notice.targets for notice in told[MOST_NOTICES:])
    more = (Notice("...", f"{counted(left_out, 'more target')}", f"{show} tells all", Tone.QUIET),) if left_out else ()
    return (*told[:MOST_NOTICES], *more)


def _undos(undos: Sequence[tuple[str, Undo]], command: str, *, exact: bool) -> Iterator[Notice]:
    """Yield how what was done is taken back; where it should be exact, with the operation and its arguments."""
    groups: defaultdict[tuple[str, str], list[tuple[str, Undo]]] = defaultdict(list)
    for place, (name, undo) in enumerate(undos):
        # Only what is exactly the same is told together: this is what will be restored.
        groups[nameless(undo.summary, name), "" if len(undos) > FEW else str(place)].append((name, undo))
    for number, group in enumerate(groups.values()):
        name, undo = group[0]
        call = f"{undo.operation} {msgspec.json.encode(undo.args, enc_hook=encode_secret).decode()}"
        yield Notice(
            word="undo",
            subject=_together([name for name, _ in group]),
            message=visible(common([(undo.summary, name) for name, undo in group])),
            tone=Tone.QUIET,
            hint="" if number else command,
            detail="call",
            details=(visible(call),) if exact and all(undo.args == other.args for _, other in group) else (),
            targets=len(group),
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


def _wishes(results: Sequence[TargetResult]) -> Iterator[Notice]:
    """Yield what would change, told together where many targets want the same."""
    for alike in _alike(results):
        changes = [[change for step in result.steps for change in step.changes] for result in alike]
        yield Notice(
            word=alike[0].outcome.value,
            subject=_subject(alike),
            message=_message(alike),
            tone=Tone.WOULD,
            detail="change",
            details=tuple(changes_lines(changes[0])) if all(each == changes[0] for each in changes) else (),
            targets=len(alike),
            undo=_undo_of(alike),
        )


def _undo_of(alike: Sequence[TargetResult]) -> str:
    """Return how that which would change could be taken back, where it is the same for all."""
    undos = [("; ".join(step.undo for step in result.steps if step.undo), result.name) for result in alike]
    return visible(common(undos)) if len({nameless(undo, name) for undo, name in undos}) == 1 else ""


def _notices(results: Sequence[TargetResult], guide: Guide) -> Iterator[Notice]:
    """Yield one notice for each target, or for several that share their outcome and their words."""
    groups = _alike(results)
    for alike in groups:
        first, names = alike[0], [result.name for result in alike]
        yield Notice(
            word=first.outcome.value,
            subject=_subject(alike),
            message=_message(alike),
            tone=OUTCOME_TONES[first.outcome]
            if first.outcome not in FINE
            else VERDICT_TONES[first.verdict or Verdict.UNKNOWN],
            hint=visible(hint_for(open_hint(first.hint, first.name), guide.reached(names))),
            details=_details(alike, few=len(groups) <= FEW),
            targets=len(alike),
        )


def _details(alike: Sequence[TargetResult], *, few: bool) -> tuple[str, ...]:
    """Return what was found: where targets are many, in one line; of an act that failed, what was found last."""
    looked_only = not any(step.attempts for result in alike for step in result.steps)
    if looked_only and not (few and len(alike) == 1):
        return headlines(alike)
    return findings(alike[0]) if few else ()


def _alike(results: Sequence[TargetResult]) -> list[list[TargetResult]]:
    """Group results that can be told in one sentence: few only where their reason lies outside the targets."""
    groups: defaultdict[tuple[object, ...], list[TargetResult]] = defaultdict(list)
    for result in results:
        if len(results) > MANY:
            words: tuple[str, ...] = likeness(result.message, result.name)
        else:
            words = (result.message,) if result.outcome in _ALIKE else (result.message, result.name)
        groups[result.outcome, result.verdict, open_hint(result.hint, result.name), words].append(result)
    return list(groups.values())


def _subject(alike: Sequence[TargetResult]) -> str:
    if len(alike) == 1:
        return subject_of(alike[0])
    verdict = alike[0].verdict
    together = _together([result.name for result in alike])
    return f"{together} ({verdict.value})" if verdict else together


def _message(alike: Sequence[TargetResult]) -> str:
    return visible(common([(result.message, result.name) for result in alike]))


def _aside(results: Sequence[TargetResult]) -> Iterator[Notice]:
    """Yield what AWS says of itself where the targets are healthy all the same, once for all of them."""
    calm = (result for result in results if not _is_notable(result))
    kept = (evidence for result in calm for step in result.steps for evidence in step.evidence)
    lines = Counter(line for evidence in kept if evidence.name == AWS_HEALTH for line in evidence.lines)
    for line, count in lines.items():
        yield Notice("found", AWS_HEALTH, f"open issue: {visible(line)} ({counted(count, 'healthy target')})", Tone.UNSURE)


def _planned(results: Sequence[TargetResult]) -> Iterator[Notice]:
    """Yield what others are going to do (maintenance, updates) to targets that are healthy all the same."""
    groups: defaultdict[tuple[str, ...], list[tuple[str, TargetResult]]] = defaultdict(list)
    for result in results:
        for _, line in evidence_of(result, PLANNED) if not _is_notable(result) else ():
            groups[likeness(line, result.name)].append((line, result))
    for group in groups.values():
        message = visible(common([(line, result.name) for line, result in group]))
        yield Notice(PLANNED, _subject([result for _, result in group]), message, Tone.UNSURE, targets=len(group))


def _open(started: RunStarted, results: Sequence[TargetResult]) -> Iterator[Notice]:
    """Yield a notice of the targets that have no outcome because the run broke off."""
    known = {result.name for result in results}
    names = [plan.target.name for plan in started.plan.targets if plan.target.name not in known]
    if names:
        yield Notice("unfinished", _together(names), "no outcome is known", Tone.UNSURE)


def _together(names: Sequence[str]) -> str:
    return visible(names[0]) if len(names) == 1 else f"{counted(len(names), 'target')} ({listed(names)})"
