"""What to do next: the few most useful commands after a run, most urgent first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from crashcart.events import RunStarted
from crashcart.reports.commands import Commands
from crashcart.results import BAD, Mode, Outcome, TargetResult

MOST_NAMES = 20
"""Targets that a command line may name; above that the whole selection is run again, which changes nothing where all is well."""


class NextStep(msgspec.Struct, frozen=True):
    """A command to copy, and what it is good for."""

    command: str
    purpose: str


def next_steps(started: RunStarted, results: Sequence[TargetResult], status: str, commands: Commands) -> list[NextStep]:
    """Return the commands that help now; looking at the whole run is always the last of them."""
    steps = [*_going_on(started, results, status, commands), *_trying_again(started, results, commands)]
    return [*steps, NextStep(commands.runs("show", started.run), "everything that was seen and done")]


def _going_on(started: RunStarted, results: Sequence[TargetResult], status: str, commands: Commands) -> Iterator[NextStep]:
    if status in {"interrupted", "unfinished"}:
        yield NextStep(commands.runs("resume", started.run), "go on where this run stopped")
    if any(result.outcome is Outcome.WOULD_CHANGE for result in results):
        yield NextStep(commands.applying, "do it: the same command without --check")


def _trying_again(started: RunStarted, results: Sequence[TargetResult], commands: Commands) -> Iterator[NextStep]:
    bad = [result for result in results if result.outcome in BAD]
    narrowed = commands if _needs_all(results, bad) else commands.on([result.name for result in bad])
    looks_only = started.plan.read_only or started.options.mode is Mode.CHECK
    if looks_only and bad:
        yield NextStep(narrowed.again, "look again")
    elif any(result.outcome is Outcome.UNKNOWN for result in bad):
        yield NextStep(narrowed.checking, "find out how the unknown ones are; changes nothing")
    elif bad:
        yield NextStep(narrowed.again, "try again; it looks first, and leaves alone what is well by then")


def _needs_all(results: Sequence[TargetResult], bad: Sequence[TargetResult]) -> bool:
    """Whether narrowing the selection would lose targets that this run did not get to, or is no narrowing."""
    skipped = any(result.outcome is Outcome.SKIPPED and result.steps for result in results)
    return skipped or len(bad) > MOST_NAMES or len(bad) == len(results)
