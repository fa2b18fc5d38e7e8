"""What the HTML report shows, as plain records made from a journal: every text in them is fit to be shown."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

import msgspec

from crashcart.decoding import convert
from crashcart.events import BatchStarted
from crashcart.journal.recall import PastRun
from crashcart.reports.banner import make_banner
from crashcart.reports.closing import Closing, Notice, make_closing
from crashcart.reports.commands import Commands
from crashcart.reports.document import RunPart, replay
from crashcart.reports.found import PLANNED, evidence_of, headline
from crashcart.reports.html_axis import Axis, Moment, Tick, moments_of, span
from crashcart.reports.html_story import Told, story_of
from crashcart.reports.html_target import TargetRow, make_row
from crashcart.reports.html_timeline import Bar, lanes
from crashcart.reports.nextsteps import NextStep
from crashcart.reports.text import counted, visible
from crashcart.reports.tones import FINE, OUTCOME_TONES, VERDICT_TONES, Tone, urgency
from crashcart.reports.undoing import owed_undos, standing_undos
from crashcart.results import GOOD, Mode, Outcome, Phase, TargetResult, Verdict

FEW = 3
"""Up to so many targets that need attention are open from the start; of a run that only looked, so many in any case."""

PRINTED_WHOLE = 50
"""Targets up to which paper shows every detail; of more, the details of those that need attention."""


_NAME_WIDTHS = {"short": 12, "middling": 24, "long": sys.maxsize}
"""Characters up to which names are short, and so on."""


class Document(msgspec.Struct, frozen=True):
    """The run's JSON document, read back: the page and the document say the same of a run that broke off."""

    run: RunPart
    targets: tuple[TargetResult, ...]


class Group(msgspec.Struct, frozen=True):
    """Targets that came to the same; ``word`` is their outcome, of a read-only playbook their verdict."""

    word: str
    tone: Tone
    rows: tuple[TargetRow, ...]


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """A whole report. ``facts`` are labelled texts: who, why, what, when; ``record`` those about the journal."""

    playbook: str
    pattern: str
    command: str
    status: str
    tone: Tone
    mode: str
    promise: str
    message: str
    exit_code: int | None
    took: str
    facts: tuple[tuple[str, str], ...]
    parameters: tuple[tuple[str, str], ...]
    owed: tuple[Notice, ...]
    undos: tuple[Notice, ...]
    following: tuple[NextStep, ...]
    groups: tuple[Group, ...]
    ticks: tuple[Tick, ...]
    marks: tuple[Tick, ...]
    record: tuple[tuple[str, str], ...]
    verify: str
    printed_whole: bool

    @property
    def title(self) -> str:
        """What a browser's tab and a list of files show."""
        return f"{self.status}: {self.playbook} on {self.pattern}"

    @property
    def name_width(self) -> str:
        """How much room names need: the class of a column's width."""
        longest = max((len(row.name) for group in self.groups for row in group.rows), default=0)
        return next(word for word, most in _NAME_WIDTHS.items() if longest <= most)

    @property
    def total(self) -> int:
        """How many targets there are."""
        return sum(len(group.rows) for group in self.groups)


class _Lanes(msgspec.Struct, frozen=True):
    """What happened on each target, by its name."""

    axis: Axis
    bars: Mapping[str, Sequence[Bar]]
    stories: Mapping[str, Sequence[Told]]
    batches: Mapping[str, int]


def make_page(past: PastRun) -> Page:
    """Make the page of a run, from its journal alone."""
    first, commands = past.started, Commands.of(past.started)
    told = convert(replay(past), Document)
    closing = make_closing(first, past.results, past.finished, commands, owed_undos(past), standing_undos(past))
    banner = make_banner(first, past.lines[0].head.time, commands)
    moments = moments_of(past.lines)
    axis = Axis(moments[-1].at)
    return Page(
        playbook=visible(first.plan.playbook),
        pattern=visible(first.plan.pattern),
        command=commands.again,
        status=visible(past.finished.status) if past.finished else "unfinished",
        tone=_tone(past, closing),
        mode=banner.mode,
        promise=_promise(past, told),
        message=visible(told.run.message) if past.finished else closing.ended,
        exit_code=told.run.exit_code if past.finished else None,
        took=span(told.run.duration_s),
        facts=_facts(past, banner.rows),
        parameters=tuple((visible(name), _shown(value)) for name, value in told.run.parameters.items()),
        owed=closing.owed,
        undos=closing.undos,
        following=closing.following,
        groups=tuple(_groups(told.targets, _happened(past, moments, axis), by_verdict=first.plan.read_only)),
        ticks=axis.ticks(),
        marks=axis.marks(moments),
        record=_record(past, told),
        verify=commands.runs("verify", first.run),
        printed_whole=len(told.targets) <= PRINTED_WHOLE,
    )


def _shown(value: object) -> str:
    match value:
        case None | "":
            return "not set"
        case bool():
            return "yes" if value else "no"
        case str() if "{{" in value:  # a default that was rendered anew for each target
            return "default: each target's own"
        case _:
            return visible(str(value))


def _tone(past: PastRun, closing: Closing) -> Tone:
    return closing.tone if past.finished else Tone.UNSURE


def _promise(past: PastRun, told: Document) -> str:
    if past.started.plan.read_only or past.started.options.mode is Mode.CHECK:
        return "nothing was changed"
    changed = [target for target in told.targets if target.changed]
    open_ = [target for target in told.targets if target.name in past.acted_on and not target.changed]
    unsure = [target for target in open_ if target.outcome is Outcome.UNKNOWN]
    doubt = f"{counted(len(unsure), 'target')} may have been changed" if unsure else ""
    if not changed:
        return doubt or "no target was changed"
    back = sum(_is_taken_back(target) for target in changed)
    parts = (f"{counted(len(changed), 'target')} changed", f"{back} of them taken back" if back else "", doubt)
    return ", ".join(filter(None, parts))


def _is_taken_back(target: TargetResult) -> bool:
    undos = [step for step in target.steps if step.phase is Phase.UNDO]
    return bool(undos) and all(step.outcome in GOOD for step in undos)


def _facts(past: PastRun, rows: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    known = {**dict(rows), "hosts": _hosts(past), "when": _when(past)}
    order = ("warning", "playbook", "hosts", "actor", "reason", "incident", "when", "limits")
    return tuple((label, known[label]) for label in order if label in known)


def _hosts(past: PastRun) -> str:
    """The pattern and how many it selected; the page itself lists them."""
    plan = past.started.plan
    left_out = sum(1 for target in plan.targets if target.skip)
    return visible(f"{plan.pattern}, {counted(len(plan.targets), 'target')}{f', {left_out} left out' if left_out else ''}")


def _when(past: PastRun) -> str:
    first, last = past.lines[0].head.time, past.lines[-1].head.time
    until = f"{last:%H:%M:%S}" if first.date() == last.date() else f"{last:%Y-%m-%d %H:%M:%S}"
    return f"{first:%Y-%m-%d %H:%M:%S} {'to' if past.finished else 'until at least'} {until} UTC"


def _record(past: PastRun, told: Document) -> tuple[tuple[str, str], ...]:
    rows = (
        ("run", told.run.id or ""),
        ("journal", told.run.journal.path or ""),
        ("sha256 of its last line", told.run.journal.hash or ""),
        ("lines", str(len(past.lines))),
        ("crashcart", past.started.version),
    )
    return tuple((label, visible(value)) for label, value in rows if value)


def _happened(past: PastRun, moments: Sequence[Moment], axis: Axis) -> _Lanes:
    phases = {
        (plan.target.name, step.name): step.phase
        for plan in (*past.started.plan.targets, *past.started.plan.peers)
        for step in plan.all_steps
    }
    begun = [line.event for line in past.lines if isinstance(line.event, BatchStarted)]
    batches = {name: batch.number for batch in begun for name in batch.targets}
    return _Lanes(axis, lanes(moments, phases), story_of(moments), batches)


def _groups(targets: Sequence[TargetResult], happened: _Lanes, *, by_verdict: bool) -> Iterator[Group]:
    """Yield the targets, those first that need attention most, together with those that came to the same."""
    ordered = sorted(targets, key=lambda target: urgency(target, by_verdict=by_verdict))
    needy = [target.name for target in ordered if _needs_attention(target)]
    opened = needy[:FEW] if by_verdict or len(needy) <= FEW else ()
    for word, alike in groupby(ordered, key=lambda target: _word(target, by_verdict=by_verdict)):
        rows = tuple(_row(target, happened, open_=target.name in opened) for target in alike)
        yield Group(word.value, VERDICT_TONES[word] if isinstance(word, Verdict) else OUTCOME_TONES[word], rows)


def _word(target: TargetResult, *, by_verdict: bool) -> Outcome | Verdict:
    return target.verdict if by_verdict and target.verdict else target.outcome


def _needs_attention(target: TargetResult) -> bool:
    return target.outcome not in FINE and target.outcome is not Outcome.SKIPPED


def _found(target: TargetResult) -> str:
    """Return what changed there last, or what is planned where all is well; what a run itself did is told elsewhere."""
    if any(step.attempts for step in target.steps):
        return ""
    if _needs_attention(target):
        return headline(target)
    return next((visible(f"{name}: {line}") for name, line in evidence_of(target, PLANNED)), "")


def _row(target: TargetResult, happened: _Lanes, *, open_: bool) -> TargetRow:
    return make_row(
        target,
        axis=happened.axis,
        bars=happened.bars.get(target.name, ()),
        story=happened.stories.get(target.name, ()),
        found=_found(target),
        batch=happened.batches.get(target.name, 0),
        is_open=open_,
        needs_attention=_needs_attention(target),
    )
