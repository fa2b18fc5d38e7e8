"""What happens in a run, as typed events. The journal, the console and the reports are observers of the same stream."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec

from crashcart.plan import Options, OwedUndo, Plan, Undo
from crashcart.results import Change, Evidence, StepResult, TargetResult


class Event(msgspec.Struct, frozen=True, tag_field="event", tag=str.lower):
    """Base of the events. The journal adds the time and the hash of the line before."""


class RunStarted(Event, frozen=True, tag="run.started"):
    """The first line of a journal: all that a resume needs."""

    run: str
    actor: str
    plan: Plan
    options: Options
    version: str = ""


class RunResumed(Event, frozen=True, tag="run.resumed"):
    """An interrupted run goes on; what follows are the same targets and steps."""

    actor: str


class Surveyed(Event, frozen=True, tag="run.surveyed"):
    """The whole selection has been looked at; ``ready`` names the targets that need an act."""

    ready: tuple[str, ...]


class BatchStarted(Event, frozen=True, tag="batch.started"):
    """A batch of targets begins to act; ``number`` counts from 1."""

    number: int
    of: int
    targets: tuple[str, ...]


class Pinned(Event, frozen=True, tag="step.pinned"):
    """The first look at a target: its state then, and the goal computed once from it."""

    target: str
    step: str
    pin: Any
    goal: Any


class Decided(Event, frozen=True, tag="step.decided"):
    """A decision that differs from the last one."""

    target: str
    step: str
    decision: str
    why: str


class EvidenceKept(Event, frozen=True, tag="step.evidence"):
    """Something was saved before an act."""

    target: str
    step: str
    evidence: Evidence


class Intended(Event, frozen=True, tag="act.intended"):
    """An act is about to be sent. Written and synced before it is, with what it will remove.

    ``looks`` are the dearer facts that it was chosen from: whoever has to find out what became of it must look as closely.
    """

    target: str
    step: str
    key: str
    effect: str
    summary: str
    only_if: str
    changes: tuple[Change, ...] = ()
    proof: tuple[Evidence, ...] = ()
    looks: tuple[str, ...] = ()
    call: Any = None
    undo: Undo | None = None


class Acted(Event, frozen=True, tag="act.result"):
    """What came of an act: applied, not_applied, in_doubt or rejected."""

    target: str
    step: str
    key: str
    result: str
    why: str = ""


class UndoBegun(Event, frozen=True, tag="undo.begun"):
    """A target failed or was interrupted: what was done there is taken back, newest first. Synced before it begins."""

    target: str
    why: str
    undos: tuple[OwedUndo, ...]


class UndoOwed(Event, frozen=True, tag="undo.owed"):
    """What should be taken back on a target and was not."""

    target: str
    why: str
    undos: tuple[OwedUndo, ...]


class GuardRefused(Event, frozen=True, tag="guard.refused"):
    """A guard kept a target from being acted on."""

    target: str
    why: str


class LockTaken(Event, frozen=True, tag="lock.taken"):
    """The shared lock on these targets is held, by the name of its table, until the run gives it back."""

    table: str
    targets: tuple[str, ...]


class LockTakenOver(Event, frozen=True, tag="lock.taken_over"):
    """The shared lock on these targets was another run's (``holder``), which does not renew it any more; ``why`` says so."""

    table: str
    targets: tuple[str, ...]
    holder: str
    actor: str
    why: str


class LockMissing(Event, frozen=True, tag="lock.missing"):
    """The shared lock on these targets could not be had, and break-glass goes on without it."""

    table: str
    targets: tuple[str, ...]
    why: str


class LockLost(Event, frozen=True, tag="lock.lost"):
    """The shared lock is not certainly this run's any more: nothing more is done on its targets."""

    table: str
    target: str
    why: str


class Soaking(Event, frozen=True, tag="batch.soaking"):
    """A batch is left alone for so many seconds before it is verified again."""

    number: int
    seconds: float


class StepFinished(Event, frozen=True, tag="step.finished"):
    """A step of a target has its outcome."""

    target: str
    result: StepResult


class TargetFinished(Event, frozen=True, tag="target.finished"):
    """A target has its outcome."""

    result: TargetResult


class RunFinished(Event, frozen=True, tag="run.finished"):
    """The last line of a journal."""

    status: str
    exit_code: int
    message: str
    summary: dict[str, int]
    duration_s: float


AnyEvent = (
    RunStarted
    | RunResumed
    | Surveyed
    | BatchStarted
    | Pinned
    | Decided
    | EvidenceKept
    | Intended
    | Acted
    | UndoBegun
    | UndoOwed
    | GuardRefused
    | LockTaken
    | LockTakenOver
    | LockMissing
    | LockLost
    | Soaking
    | StepFinished
    | TargetFinished
    | RunFinished
)


class Observer(Protocol):
    """Something that is told each event, one at a time."""

    def notice(self, event: AnyEvent) -> None:
        """Take note of an event."""


class Stream:
    """Hands each event to its observers, in order, one event at a time.

    The journal goes first and its errors stop the run: no journal, no act. A display that fails is dropped instead, since a
    closed pipe must not stop a recovery half-way. ``redact`` takes known secrets out of an event before anybody sees it.
    """

    def __init__(
        self, journal: Observer, displays: Sequence[Observer] = (), redact: Callable[[AnyEvent], AnyEvent] | None = None
    ) -> None:
        self._journal, self._redact = journal, redact
        self._displays = list(displays)
        self._lock = threading.RLock()

    def emit(self, event: AnyEvent) -> None:
        """Record an event, then show it. Raises ``JournalError`` when it cannot be recorded."""
        event = self._redact(event) if self._redact else event
        with self._lock:
            self._journal.notice(event)
            for display in tuple(self._displays):
                self._show(display, event)

    def _show(self, display: Observer, event: AnyEvent) -> None:
        try:
            display.notice(event)
        except (OSError, ValueError):
            self._displays.remove(display)
