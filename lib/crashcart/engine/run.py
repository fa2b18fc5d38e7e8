"""One run from its first event to its last: ``execute`` a plan, or go on with one from its journal."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType

import msgspec

from crashcart.clock import Clock
from crashcart.engine.evidence import EvidenceKeeper, EvidenceStore
from crashcart.engine.reconcile import Reconciler, Surroundings
from crashcart.engine.rollout import UNDO_TIME, Guarding, Rollout
from crashcart.engine.sessions import Sessions
from crashcart.engine.targetrun import TargetRun, Wish
from crashcart.engine.undo import UndoList, UndoMarks
from crashcart.events import RunFinished, Stream
from crashcart.journal.claims import target_key
from crashcart.journal.recall import Begun, Recalled
from crashcart.operations import find_operation
from crashcart.plan import Options, Plan, PlannedStep, TargetPlan
from crashcart.results import StepResult, TargetResult, exit_code, summarize, worst
from crashcart.transports.base import Opener


class Past(msgspec.Struct, frozen=True):
    """What an earlier process of the same run has left: where each step stood, the undos that it began, what it changed.

    ``changed`` are the results of steps that changed something, by target and step.
    """

    steps: Mapping[tuple[str, str], Recalled] = {}
    begun: Mapping[str, Begun] = {}
    changed: Mapping[str, Mapping[str, StepResult]] = {}


class Verdicts(msgspec.Struct, frozen=True):
    """What came of a run; ``wishes`` are the acts that check mode stopped at."""

    results: tuple[TargetResult, ...]
    status: str
    exit_code: int
    message: str
    duration_s: float
    wishes: tuple[Wish, ...] = ()


class Run:
    """Executes one plan. Everything it depends on is handed in."""

    def __init__(
        self,
        plan: Plan,
        options: Options,
        *,
        connect: Opener,
        record: EvidenceStore,
        stream: Stream,
        clock: Clock,
        guarding: Guarding,
        marks: UndoMarks,
        run: str,
        past: Past | None = None,
        grace: float = UNDO_TIME,
    ) -> None:
        self._plan, self._options, self._clock, self._stream = plan, options, clock, stream
        self._surroundings = Surroundings(stream, clock, EvidenceKeeper(record, stream), guarding.act)
        self._past = past or Past()
        self._sessions = Sessions(connect, limit=2 * options.forks)
        runs = [self._target_run(run, target, marks) for target in plan.targets]
        self._rollout = Rollout(plan, options, runs, self._sessions, stream, clock, guarding, grace=grace)

    def execute(self) -> Verdicts:
        """Take every target to its outcome. Raises ``JournalError`` when the record cannot be kept."""
        began = self._clock.monotonic()
        with _signals(self.interrupt):
            try:
                results = tuple(self._rollout.run())
            finally:
                self._sessions.close_all()
        return self._conclude(results, self._clock.monotonic() - began)

    def _target_run(self, run: str, plan: TargetPlan, marks: UndoMarks) -> TargetRun:
        target = plan.target
        undos = UndoList(run, target.name, target_key(target), marks)
        begun = self._past.begun.get(target.name)
        kept, looks_only = self._plan.on_failure, self._plan.read_only
        finished = self._past.changed.get(target.name)
        return TargetRun(
            plan,
            self._reconciler,
            self._stream,
            undos,
            on_failure=kept,
            begun=begun,
            finished=finished,
            looks_only=looks_only,
        )

    def _reconciler(self, target: TargetPlan, step: PlannedStep, undos: UndoList) -> Reconciler:
        recalled = self._past.steps.get((target.target.name, step.name))
        operation = find_operation(step.operation)
        return Reconciler(target.target, step, operation, self._surroundings, undos, recalled)

    def interrupt(self) -> None:
        """The first signal ends what is in flight and leaves undos some time, the second takes that time away.

        The run ends by itself either way, with a whole journal.
        """
        self._rollout.interrupt("interrupted")
        # Cancelling talks to hosts; a signal handler must return at once.
        threading.Thread(target=self._sessions.cancel, daemon=True).start()

    def _conclude(self, results: tuple[TargetResult, ...], duration: float) -> Verdicts:
        stopped = self._rollout.stopped
        interrupted = bool(stopped and stopped.interrupted)
        outcomes = [result.outcome for result in results]
        status = "interrupted" if interrupted else worst(outcomes).value
        verdicts = Verdicts(
            results=results,
            status=status,
            exit_code=exit_code(outcomes, interrupted=interrupted),
            message=stopped.why if stopped else "",
            duration_s=round(duration, 3),
            wishes=tuple(self._rollout.wishes),
        )
        summary = summarize(results)
        self._stream.emit(RunFinished(status, verdicts.exit_code, verdicts.message, summary, verdicts.duration_s))
        return verdicts


@contextmanager
def _signals(interrupt: Callable[[], None]) -> Iterator[None]:
    """Route SIGINT and SIGTERM to the run; only the main thread may."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handler(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        interrupt()

    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
