"""Runs for the tests of reports: events as the engine emits them, and consoles that write into memory."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from crashcart.clock import FakeClock
from crashcart.events import (
    Acted,
    AnyEvent,
    BatchStarted,
    Decided,
    Intended,
    Pinned,
    RunFinished,
    RunStarted,
    StepFinished,
    Surveyed,
    TargetFinished,
)
from crashcart.plan import Options, Plan, PlannedStep, TargetPlan
from crashcart.reports.console import Console, PlainConsole
from crashcart.reports.console_live import LiveConsole
from crashcart.reports.telling import Source
from crashcart.results import Change, Mode, Outcome, Phase, StepResult, TargetResult, exit_code, summarize, worst
from crashcart.targets import Target

RUN = "20300101-030000-ab12cd"
JOURNAL = Path("/state/runs") / RUN / "events.jsonl"
HASH = "9f" * 32
COMMAND = ("/usr/bin/inv", "recover.lamp", "--hosts", "web")
ESCAPE = "\x1b"

STEP = PlannedStep("switch", "lamp.on", Phase.STEP, {})
VERIFY = PlannedStep("shines", "lamp.shines", Phase.VERIFY, {})


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def __init__(self, encoding: str = "utf-8") -> None:
        super().__init__()
        self._named = encoding

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._named

    def isatty(self) -> bool:
        return True


def started(*names: str, read_only: bool = False, parameters: dict[str, Any] | None = None, **options: Any) -> RunStarted:
    targets = tuple(TargetPlan(Target(name), (STEP, VERIFY)) for name in names)
    plan = Plan("recover.lamp", "Switch lamps on", "web", targets, parameters or {}, read_only=read_only)
    return RunStarted(RUN, "ops", plan, Options(**options))


def result(name: str, outcome: Outcome, message: str = "", **fields: Any) -> TargetResult:
    """A target's result as the engine derives it; ``fields`` are those of its first step."""
    first = StepResult(STEP.name, STEP.operation, STEP.phase, outcome, message, **fields)
    after = Outcome.OK if outcome is Outcome.CHANGED else Outcome.SKIPPED
    return TargetResult.of(name, "linux", (first, StepResult(VERIFY.name, VERIFY.operation, VERIFY.phase, after, "said")))


def looked_at(name: str) -> list[AnyEvent]:
    return [Pinned(name, STEP.name, {"lamp": "off"}, {}), Decided(name, STEP.name, "act", "switch the lamp on")]


def acted(name: str, answer: str = "applied", why: str = "") -> list[AnyEvent]:
    intended = Intended(name, STEP.name, "on", "once", "switch the lamp on", "off", (Change("lamp", "off", "on"),))
    return [intended, Acted(name, STEP.name, "on", answer, why)]


def finished(*results: TargetResult) -> list[AnyEvent]:
    events: list[AnyEvent] = []
    for each in results:
        events += [*(StepFinished(each.name, step) for step in each.steps), TargetFinished(each)]
    return events


def ended(results: Sequence[TargetResult], *, status: str = "", message: str = "") -> RunFinished:
    outcomes = [each.outcome for each in results]
    code = exit_code(outcomes, interrupted=status == "interrupted")
    return RunFinished(status or worst(outcomes).value, code, message, summarize(results), 12.34)


def whole(first: RunStarted, results: Sequence[TargetResult], *, status: str = "", message: str = "") -> list[AnyEvent]:
    """A run in which each target that changed was acted on, all in one batch."""
    changed = [each.name for each in results if each.outcome is Outcome.CHANGED]
    at_first = [each for each in results if each.outcome is not Outcome.CHANGED]
    middle: list[AnyEvent] = [event for name in changed for event in looked_at(name)]
    if first.options.mode is Mode.CHECK:
        middle += [Surveyed(())]
    else:
        middle += [Surveyed(tuple(changed)), *([BatchStarted(1, 1, tuple(changed))] if changed else [])]
    middle += [event for name in changed for event in acted(name)]
    after = [each for each in results if each.outcome is Outcome.CHANGED]
    return [first, *finished(*at_first), *middle, *finished(*after), ended(results, status=status, message=message)]


def source(command: Sequence[str] = COMMAND, journal_hash: Callable[[], str] = lambda: HASH) -> Source:
    return Source(JOURNAL, journal_hash, command)


def tell(console: Console, events: Iterable[AnyEvent]) -> None:
    for event in events:
        console.notice(event)
    console.close()


def plain(events: Iterable[AnyEvent], command: Sequence[str] = COMMAND) -> str:
    stream = io.StringIO()
    tell(PlainConsole(stream, FakeClock(), source(command)), events)
    return stream.getvalue()


def live(events: Iterable[AnyEvent], *, width: int = 80, height: int = 24, command: Sequence[str] = COMMAND) -> str:
    stream = Terminal()
    tell(LiveConsole(stream, FakeClock(), source(command), width=width, height=height), events)
    return stream.getvalue()
