"""The story of a run: each event that matters as one line. Both displays tell it; only their looks differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import msgspec

from crashcart.events import (
    Acted,
    AnyEvent,
    BatchStarted,
    Decided,
    EvidenceKept,
    Intended,
    RunResumed,
    RunStarted,
    Soaking,
    StepFinished,
    Surveyed,
    TargetFinished,
    UndoBegun,
    UndoOwed,
)
from crashcart.plan import TargetPlan
from crashcart.reports.diff import step_tones
from crashcart.reports.text import counted, listed, visible
from crashcart.reports.tones import ACT_TONES, OUTCOME_TONES, Tone
from crashcart.results import Outcome, Phase, TargetResult
from crashcart.values import format_span

_PATIENT = {"wait": "waiting", "unknown": "unsure"}
"""Decisions that mean looking again, and the words for it."""


class Line(msgspec.Struct, frozen=True):
    """One line of the story. ``minor`` lines are for a log only: a live table shows the same as it happens."""

    word: str
    text: str
    tone: Tone = Tone.PLAIN
    subject: str = ""
    minor: bool = False

    @property
    def sentence(self) -> str:
        """What follows the word."""
        return ": ".join(part for part in (self.subject, self.text) if part)


class Story:
    """Turns events into lines. It remembers only what it needs to leave repetitions out."""

    def __init__(self, started: RunStarted) -> None:
        self._run, self._diff = started.run, started.options.diff
        self._read_only = started.plan.read_only
        self._last_step = {plan.target.name: _last_step(plan) for plan in started.plan.targets}
        self._decision: dict[str, str] = {}
        self._acts: dict[str, str] = {}
        self._outcomes: Counter[Outcome] = Counter()

    def tell(self, event: AnyEvent) -> Iterator[Line]:
        """Yield the lines of an event; most events have one or none."""
        match event:
            case RunResumed(actor):
                yield Line("resumed", f"run {self._run} goes on, by {visible(actor)}")
            case Surveyed(ready) if not self._read_only:
                yield self._surveyed(ready)
            case BatchStarted(number, of, targets):
                yield Line("batch", f"{number} of {of}, {counted(len(targets), 'target')}: {listed(targets)}")
            case Decided():
                yield from self._decided(event)
            case EvidenceKept(target, _, evidence):
                yield Line("evidence", f"kept in {visible(evidence.file)}", Tone.QUIET, visible(target), minor=True)
            case Intended(target, _, _, _, summary):
                self._acts[target] = visible(summary)
                yield Line("act", self._acts[target], Tone.CHANGED, visible(target))
            case Acted():
                yield self._acted(event)
            case UndoBegun(target, why, undos):
                what = ", ".join(visible(undo.summary) for undo in undos)
                yield Line("undo", f"taking back: {what}, because: {visible(why)}", Tone.WARNING, visible(target))
            case UndoOwed(target, why, undos):
                what = ", ".join(visible(undo.summary) for undo in undos)
                yield Line("UNDO OWED", f"not taken back: {what}: {visible(why)}", Tone.BAD, visible(target))
            case Soaking(_, seconds):
                yield Line("soak", f"left alone for {format_span(seconds)}, then verified again", Tone.QUIET)
            case StepFinished():
                yield from self._step(event)
            case TargetFinished(result):
                self._outcomes[result.outcome] += 1
                yield target_line(result)

    def _surveyed(self, ready: tuple[str, ...]) -> Line:
        others = [f"{self._outcomes[outcome]} {outcome.value}" for outcome in OUTCOME_TONES if self._outcomes[outcome]]
        return Line("surveyed", ", ".join([f"{len(ready)} to be acted on", *others]))

    def _acted(self, event: Acted) -> Line:
        text = ": ".join(part for part in (self._acts.get(event.target, ""), visible(event.why)) if part)
        tone = ACT_TONES.get(event.result, Tone.PLAIN)
        return Line(event.result, text, tone, visible(event.target), minor=event.result == "applied")

    def _decided(self, event: Decided) -> Iterator[Line]:
        before = self._decision.get(event.target)
        self._decision[event.target] = event.decision
        word = _PATIENT.get(event.decision)
        # Why it waits may change with every look (a lag, a percentage); that it began to wait is told once.
        if word and before != event.decision:
            yield Line(word, visible(event.why), Tone.QUIET, visible(event.target), minor=True)

    def _step(self, event: StepFinished) -> Iterator[Line]:
        result, subject = event.result, visible(event.target)
        tone = OUTCOME_TONES[result.outcome]
        self._decision.pop(event.target, None)
        if self._diff:
            yield from (Line(word, text, mark, subject) for word, text, mark in step_tones(result))
        # The last step has the same words as the target's own line, which follows when it is verified.
        midway = result.outcome is Outcome.CHANGED and result.name != self._last_step.get(event.target)
        if midway or result.phase is Phase.UNDO:
            text = f"{visible(result.name)} {result.outcome.value}: {visible(result.message)}"
            yield Line("undo" if result.phase is Phase.UNDO else "step", text, tone, subject)


def _last_step(plan: TargetPlan) -> str:
    return next((step.name for step in reversed(plan.steps) if step.phase is Phase.STEP), "")


def target_line(result: TargetResult) -> Line:
    """Return the line of a target that is finished, its verdict behind its name."""
    return Line(result.outcome.value, visible(result.message), OUTCOME_TONES[result.outcome], subject_of(result))


def subject_of(result: TargetResult) -> str:
    """Return a target's name, with its verdict where it has one."""
    name = visible(result.name)
    return f"{name} ({result.verdict.value})" if result.verdict else name
