"""What a run says, as lines of plain text: the banner, one line per thing that happens, the summary and what to do next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from crashcart.events import (
    Acted,
    AnyEvent,
    BatchStarted,
    Decided,
    EvidenceKept,
    Intended,
    RunFinished,
    RunResumed,
    RunStarted,
    StepFinished,
    TargetFinished,
)
from crashcart.reports.text import clean, listing
from crashcart.results import EXIT_INTERRUPTED, EXIT_OK, Mode, Outcome, StepResult, TargetResult, Verdict

MOST_TARGETS = 20
"""Targets that the summary tells of one by one; the others are counted."""

MOST_LINES = 20
"""Lines of evidence that ``--diff`` shows of each step."""

_QUIET = frozenset({Outcome.OK, Outcome.CHANGED, Outcome.WOULD_CHANGE})
_WORST_FIRST = (Verdict.DOWN, Verdict.DEGRADED, Verdict.UNKNOWN, None, Verdict.HEALTHY)


class Told(msgspec.Struct, frozen=True):
    """A line and how it is meant: an outcome, ``banner``, ``act``, ``quiet`` or ``plain``."""

    text: str
    style: str = "plain"


class Teller:
    """Turns the events of one run into lines. It is told every event in order."""

    def __init__(self) -> None:
        self._started: RunStarted | None = None
        self._results: dict[str, TargetResult] = {}

    def tell(self, event: AnyEvent) -> Iterator[Told]:
        """Yield the lines that an event is worth."""
        match event:
            case RunStarted():
                self._started = event
                yield from _banner(event)
            case RunResumed(actor):
                yield Told(f"resumed by {actor}: each target is looked at again first")
            case BatchStarted(number, of, targets):
                yield Told(f"batch {number} of {of}: {listing(targets)}", "act")
            case Decided(target, _, "wait" | "unknown", why):
                yield Told(f"{target}  waiting: {clean(why)}", "quiet")
            case Intended(target, _, _, _, summary):
                yield Told(f"{target}  acting: {clean(summary)}", "act")
            case Acted(target, _, _, result, why) if result != "applied":
                yield Told(f"{target}  {result.replace('_', ' ')}: {clean(why)}", "unknown")
            case EvidenceKept(target, _, evidence):
                yield Told(f"{target}  kept {evidence.file}", "quiet")
            case StepFinished(target, result) if self._shows_diff and result.outcome in _QUIET:
                yield from _diff(target, result)
            case TargetFinished(result):
                self._results[result.name] = result
                yield self._finished(result)
            case RunFinished():
                yield from self._summary(event)

    @property
    def _shows_diff(self) -> bool:
        return bool(self._started and self._started.options.diff)

    def _summary(self, event: RunFinished) -> Iterator[Told]:
        counts = ", ".join(f"{count} {outcome.replace('_', ' ')}" for outcome, count in event.summary.items() if count)
        yield Told("")
        yield Told(f"{event.status.replace('_', ' ').upper()} in {event.duration_s:.1f} s: {counts}", event.status)
        if event.message:
            yield Told(clean(event.message), "unknown")
        for result in self._worth_telling():
            yield self._finished(result)
        yield from (Told(f"next: {line}") for line in self._next(event))

    def _worth_telling(self) -> Sequence[TargetResult]:
        """The targets that need somebody, the worst first."""
        bad = [result for result in self._results.values() if result.outcome not in _QUIET]
        return sorted(bad, key=lambda result: _WORST_FIRST.index(result.verdict))[:MOST_TARGETS]

    def _finished(self, result: TargetResult) -> Told:
        """A check's word is its verdict, a recovery's its outcome."""
        looking = self._started and self._started.plan.read_only and result.verdict
        word = result.verdict if looking and result.verdict else result.outcome
        return Told(f"{result.name}  {word.value.replace('_', ' ')}: {clean(result.message)}", result.outcome.value)

    def _next(self, event: RunFinished) -> list[str]:
        """The most useful next commands, at most three."""
        assert self._started is not None  # noqa: S101 -- a run begins with run.started
        plan, options = self._started.plan, self._started.options
        hints = [result.hint for result in self._results.values() if result.hint and result.outcome not in _QUIET]
        steps = list(dict.fromkeys(clean(hint) for hint in hints))[:2]
        if options.mode is Mode.CHECK and event.summary.get("would_change") and not steps:
            steps.append(f"inv {plan.playbook} --hosts {_quoted(plan.pattern)}   (the same without --check does it)")
        if event.exit_code == EXIT_INTERRUPTED:
            steps.append(f"inv {plan.playbook} --hosts {_quoted(plan.pattern)}   (it starts by looking)")
        if event.exit_code != EXIT_OK:
            steps.append(f"inv runs.show {self._started.run}")
        return steps


def _banner(event: RunStarted) -> Iterator[Told]:
    plan, options = event.plan, event.options
    names = [target.target.name for target in plan.targets]
    looking = plan.read_only or options.mode is Mode.CHECK
    mode = "LOOKING ONLY, nothing will be changed" if looking else "APPLYING CHANGES"
    yield Told(f"{mode}: {plan.playbook}: {plan.summary}", "check" if looking else "banner")
    yield Told(f"on {clean(plan.pattern)} ({len(names)}): {listing(names)}")
    reasons = (("because", options.reason), ("for", options.incident))
    why = "".join(f", {label} {clean(text)}" for label, text in reasons if text)
    glass = ", BREAK GLASS" if options.break_glass else ""
    yield Told(f"run {event.run} by {event.actor}{why}{glass}", "quiet")


def _diff(target: str, step: StepResult) -> Iterator[Told]:
    for change in step.changes:
        yield Told(f"{target}  {clean(change.what)}", "quiet")
        yield Told(f"{target}    - {clean(change.before)}", "failed")
        yield Told(f"{target}    + {clean(change.after)}", "changed")
    lines = [line for evidence in step.evidence for line in evidence.lines]
    yield from (Told(f"{target}    {clean(line)}", "quiet") for line in lines[:MOST_LINES])
    if len(lines) > MOST_LINES:
        yield Told(f"{target}    and {len(lines) - MOST_LINES} more, in the journal", "quiet")


def _quoted(pattern: str) -> str:
    return pattern if pattern.replace(",", "").replace("-", "").replace("_", "").isalnum() else f"'{pattern}'"
