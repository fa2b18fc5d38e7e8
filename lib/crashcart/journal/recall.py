"""Reading a run back: what it was, what came of it, and where each step of an interrupted one stood."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from crashcart.errors import JournalError
from crashcart.events import Acted, AnyEvent, Intended, Pinned, RunFinished, RunStarted, TargetFinished
from crashcart.journal.index import indexed_hash
from crashcart.journal.lines import Altered, Line, read_lines
from crashcart.operations.base import Action, Effect
from crashcart.results import EXIT_FAILED, EXIT_OK, EXIT_UNKNOWN, Change, TargetResult
from crashcart.transports.base import Command


class Recalled(msgspec.Struct, frozen=True):
    """Where a step stood: its pin and goal as they were written, the acts that took effect, and the one in doubt.

    ``looks`` are the dearer facts that the last act was chosen from.
    """

    pin: Any
    goal: Any
    applied: tuple[str, ...] = ()
    doubtful: Action | None = None
    changes: tuple[Change, ...] = ()
    attempts: int = 0
    looks: tuple[str, ...] = ()


class PastRun(msgspec.Struct, frozen=True):
    """A run as its journal tells it."""

    path: Path
    lines: tuple[Line, ...]

    @classmethod
    def read(cls, path: Path) -> PastRun:
        """Read a journal, checking its chain. Raises ``JournalError``."""
        lines = tuple(read_lines(path))
        if not lines or not isinstance(lines[0].event, RunStarted):
            raise JournalError(f"{path}: the journal does not begin with run.started")
        return cls(path, lines)

    @property
    def started(self) -> RunStarted:
        """The first event: plan, options, actor."""
        first = self.lines[0].event
        assert isinstance(first, RunStarted)  # noqa: S101 -- checked when read
        return first

    @property
    def finished(self) -> RunFinished | None:
        """The last event of a finished run."""
        last = self.lines[-1].event
        return last if isinstance(last, RunFinished) else None

    @property
    def results(self) -> tuple[TargetResult, ...]:
        """The last result of each target that has one, in the plan's order."""
        found = {line.event.result.name: line.event.result for line in self.lines if isinstance(line.event, TargetFinished)}
        names = [target.target.name for target in self.started.plan.targets]
        return tuple(found[name] for name in names if name in found)

    def recall(self) -> dict[tuple[str, str], Recalled]:
        """Return where each step stood, by (target, step)."""
        by_step: dict[tuple[str, str], list[AnyEvent]] = {}
        for line in self.lines:
            event = line.event
            if isinstance(event, Pinned | Intended | Acted):
                by_step.setdefault((event.target, event.step), []).append(event)
        return {place: _recall_step(events) for place, events in by_step.items() if isinstance(events[0], Pinned)}


class Verification(msgspec.Struct, frozen=True):
    """What ``runs.verify`` found: its exit code and why."""

    exit_code: int
    message: str


def verify(path: Path) -> Verification:
    """Check a journal: 0 intact and finished, 1 altered (and where), 5 intact so far but unfinished."""
    try:
        past = PastRun.read(path)
    except Altered as error:
        return Verification(EXIT_FAILED, f"altered: {error.message}")
    if past.finished is None:
        return Verification(EXIT_UNKNOWN, f"unfinished: {len(past.lines)} lines, the last one is whole and in order")
    known = indexed_hash(path.parent.parent, path.parent.name)
    if known and known != past.lines[-1].hash:
        return Verification(EXIT_FAILED, f"altered: {path} ends in another hash than the index has for it")
    return Verification(EXIT_OK, f"intact: {len(past.lines)} lines, last hash {past.lines[-1].hash}")


def _recall_step(events: Sequence[AnyEvent]) -> Recalled:
    pinned = events[0]
    assert isinstance(pinned, Pinned)  # noqa: S101 -- a step begins with its pin
    intents = [event for event in events if isinstance(event, Intended)]
    applied = tuple(event.key for event in events if isinstance(event, Acted) and event.result == "applied")
    return Recalled(
        pin=pinned.pin,
        goal=pinned.goal,
        applied=applied,
        doubtful=_doubtful(events),
        changes=_changes(intents, applied),
        attempts=len(intents),
        looks=intents[-1].looks if intents else (),
    )


def _doubtful(events: Iterable[AnyEvent]) -> Action | None:
    """An intent without a result, or with a doubtful one that nothing settled."""
    open_intent: Intended | None = None
    for event in events:
        if isinstance(event, Intended):
            open_intent = event
        elif isinstance(event, Acted) and event.result != "in_doubt":
            open_intent = None
    return _action(open_intent) if open_intent else None


def _action(intent: Intended) -> Action:
    """Rebuild the act for judging it; it is not sent again, so its call is left out."""
    call = Command("")
    return Action(intent.key, Effect(intent.effect), intent.summary, intent.only_if, call, intent.changes)


def _changes(intents: Sequence[Intended], applied: Sequence[str]) -> tuple[Change, ...]:
    latest = {intent.key: intent for intent in intents}
    return tuple(change for key in dict.fromkeys(applied) if key in latest for change in latest[key].changes)
