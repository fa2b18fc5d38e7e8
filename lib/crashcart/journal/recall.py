"""Reading a run back: what it was, what came of it, and where each step of an interrupted one stood."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from crashcart.events import (
    Acted,
    AnyEvent,
    EvidenceKept,
    Intended,
    Pinned,
    RunFinished,
    RunStarted,
    StepFinished,
    TargetFinished,
    UndoBegun,
)
from crashcart.journal.index import INDEX, hash_in, read_index
from crashcart.journal.lines import Altered, Line, digest, read_lines
from crashcart.journal.undos import make_owed
from crashcart.operations.base import Action, Effect
from crashcart.plan import OnFailure, OwedUndo, Undo
from crashcart.results import EXIT_FAILED, EXIT_OK, EXIT_UNKNOWN, GOOD, Change, Outcome, Phase, StepResult, TargetResult
from crashcart.transports.base import Command


class Recalled(msgspec.Struct, frozen=True):
    """Where a step stood: its pin and goal as they were written, the acts that took effect, and the one in doubt.

    ``looks`` are the dearer facts that the last act was chosen from, ``undos`` how its acts are taken back, by their keys.
    """

    pin: Any
    goal: Any
    applied: tuple[str, ...] = ()
    doubtful: Action | None = None
    changes: tuple[Change, ...] = ()
    attempts: int = 0
    looks: tuple[str, ...] = ()
    undos: tuple[tuple[str, Undo], ...] = ()


class Begun(msgspec.Struct, frozen=True):
    """Undos that were begun on a target, why, and the results of the steps before them."""

    why: str
    undos: tuple[OwedUndo, ...]
    done: tuple[StepResult, ...]


class PastRun(msgspec.Struct, frozen=True):
    """A run as its journal tells it."""

    path: Path
    lines: tuple[Line, ...]

    @classmethod
    def read(cls, path: Path) -> PastRun:
        """Read a journal, checking its chain. Raises ``JournalError``."""
        lines = tuple(read_lines(path))
        if not lines or not isinstance(lines[0].event, RunStarted):
            raise Altered(f"{path}:1: the journal does not begin with run.started")
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

    @property
    def acted_on(self) -> frozenset[str]:
        """The targets to which an act was sent, or was about to be."""
        return frozenset(line.event.target for line in self.lines if isinstance(line.event, Intended))

    def begun(self) -> dict[str, Begun]:
        """Return, by target, the undos that were begun there and what the steps before them had come to."""
        found: dict[str, Begun] = {}
        steps: dict[str, dict[str, StepResult]] = {}
        for line in self.lines:
            event = line.event
            if isinstance(event, StepFinished) and event.result.phase is not Phase.UNDO:
                steps.setdefault(event.target, {})[event.result.name] = event.result
            elif isinstance(event, UndoBegun):
                found[event.target] = Begun(event.why, event.undos, tuple(steps.get(event.target, {}).values()))
        return found

    def changed(self) -> dict[str, dict[str, StepResult]]:
        """Return the results of steps that changed something, by target and step."""
        found: dict[str, dict[str, StepResult]] = {}
        for line in self.lines:
            event = line.event
            if isinstance(event, StepFinished) and event.result.outcome is Outcome.CHANGED:
                found.setdefault(event.target, {})[event.result.name] = event.result
        return found

    def undoable(self, target: str) -> tuple[OwedUndo, ...]:
        """Return how the acts of this run on a target are taken back, newest first, without those that were."""
        begun, settled = self.begun().get(target), self._undone(target)
        undos = begun.undos if begun else tuple(reversed(list(self._applied_undos(target))))
        return tuple(undo for undo in undos if undo.steps[-1].name not in settled)

    def owed(self, target: str) -> tuple[OwedUndo, ...]:
        """Return what this run should have taken back on a target and did not, newest first.

        A target that came to a good end owes nothing, nor does one of a run that was told to keep its acts.
        """
        if self.started.plan.on_failure is OnFailure.KEEP:
            return ()
        ended = self.finished or any(result.name == target for result in self.results)
        return () if ended and target not in self.begun() else self.undoable(target)

    def _applied_undos(self, target: str) -> Iterator[OwedUndo]:
        steps = {
            step.name: step for plan in self.started.plan.targets for step in plan.all_steps if plan.target.name == target
        }
        for (name, step), recalled in self.recall().items():
            if name == target and step in steps:
                for number, (_, undo) in enumerate(recalled.undos, start=1):
                    yield make_owed(self.started.run, target, steps[step], undo, number)

    def _undone(self, target: str) -> set[str]:
        finished = (line.event for line in self.lines if isinstance(line.event, StepFinished))
        undone = (event.result for event in finished if event.target == target and event.result.phase is Phase.UNDO)
        return {result.name for result in undone if result.outcome in GOOD}


class Verification(msgspec.Struct, frozen=True):
    """What ``runs.verify`` found: its exit code and why."""

    exit_code: int
    message: str


def verify(path: Path) -> Verification:
    """Check a journal, its evidence and the index: 0 intact and finished, 1 altered (and where), 5 unfinished.

    5 is also for a finished run that the index does not have: it was killed at its very end, or its line was cut off.
    """
    try:
        past, index = PastRun.read(path), read_index(path.parent.parent)
        closed = hash_in(index or (), path.parent.name)
        _check_end(past, closed)
        _check_evidence(past, at_home=index is not None)
    except Altered as error:
        return Verification(EXIT_FAILED, f"altered: {error.message}")
    if past.finished is None:
        return Verification(EXIT_UNKNOWN, f"unfinished: {len(past.lines)} lines, the last one is whole and in order")
    whole = f"{len(past.lines)} lines, last hash {past.lines[-1].hash}"
    if index is None:
        return Verification(EXIT_OK, f"intact: {whole}; there is no index beside it to compare with")
    if closed is None:
        missing = f"{path.parent.parent / INDEX} does not have this run: killed at its very end, or cut off there"
        return Verification(EXIT_UNKNOWN, f"unfinished: {whole}, but {missing}")
    return Verification(EXIT_OK, f"intact: {whole}")


def _check_end(past: PastRun, closed: str | None) -> None:
    """A run must hold the line that it ended in by the index; after an interrupt, it may have gone on from there."""
    hashes = [line.hash for line in past.lines]
    if closed is None or closed == hashes[-1] or (closed in hashes and not past.finished):
        return
    number = len(hashes) + (0 if past.finished else 1)
    raise Altered(f"{past.path}:{number}: the journal does not end as the index says that it ended")


def _check_evidence(past: PastRun, *, at_home: bool) -> None:
    """Evidence must be as it was kept. A journal that was copied elsewhere may have left it behind."""
    for line in past.lines:
        if isinstance(line.event, EvidenceKept) and line.event.evidence.file:
            path = past.path.parent / line.event.evidence.file
            if not path.is_file() and not at_home:
                continue
            if not path.is_file() or digest(path.read_bytes()) != line.event.evidence.sha256:
                raise Altered(f"{past.path}:{line.number}: {path} is not the evidence that was kept")


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
        undos=_undos(events),
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


def _undos(events: Iterable[AnyEvent]) -> tuple[tuple[str, Undo], ...]:
    """Tell how each act is taken back that was applied, or may have been."""
    found: dict[str, Undo] = {}
    for event in events:
        if isinstance(event, Intended) and event.undo:
            found[event.key] = event.undo
        elif isinstance(event, Acted) and event.result not in {"applied", "in_doubt"}:
            found.pop(event.key, None)
    return tuple(found.items())


def _action(intent: Intended) -> Action:
    """Rebuild the act for judging it; it is not sent again, so its call is left out."""
    call = Command("")
    return Action(intent.key, Effect(intent.effect), intent.summary, intent.only_if, call, intent.changes, undo=intent.undo)


def _changes(intents: Sequence[Intended], applied: Sequence[str]) -> tuple[Change, ...]:
    latest = {intent.key: intent for intent in intents}
    return tuple(change for key in dict.fromkeys(applied) if key in latest for change in latest[key].changes)
