"""One target's way through its steps, a turn at a time."""

from __future__ import annotations

import traceback
from collections.abc import Callable

import msgspec

from crashcart.engine.reconcile import Again, Finished, Ready, Reconciler
from crashcart.errors import JournalError
from crashcart.events import StepFinished, Stream, TargetFinished
from crashcart.operations.base import Action
from crashcart.plan import PlannedStep, TargetPlan
from crashcart.results import GOOD, Outcome, Phase, StepResult, TargetResult
from crashcart.transports.base import Session

MakeReconciler = Callable[[TargetPlan, PlannedStep], Reconciler]


class TargetRun:
    """Takes a target from step to step; afterwards ``result`` holds what became of it."""

    def __init__(self, plan: TargetPlan, make: MakeReconciler, stream: Stream) -> None:
        self.plan = plan
        self.result: TargetResult | None = None
        self.wanted: Action | None = None
        self._make, self._stream = make, stream
        self._done: list[StepResult] = []
        self._current: Reconciler | None = None

    @property
    def name(self) -> str:
        """The target's name."""
        return self.plan.target.name

    def turn(self, transport: Session, *, may_act: bool) -> float | None:
        """Take one turn. Returns seconds to the next one, or None: finished, or an act is wanted and not allowed."""
        try:
            return self._turn(transport, may_act=may_act)
        except JournalError:
            raise
        except Exception as error:  # noqa: BLE001 -- a defect met on one target must not hide the others' results
            where = traceback.extract_tb(error.__traceback__)[-1]
            message = f"internal error, please report: {type(error).__name__}: {error} ({where.name}:{where.lineno})"
            self._end(Outcome.FAILED, message)
            return None

    def _turn(self, transport: Session, *, may_act: bool) -> float | None:
        self.wanted = None
        while self.result is None:
            step = self._next_step()
            if step is None:
                self._conclude()
                return None
            self._current = self._current or self._make(self.plan, step)
            match self._current.turn(transport, may_act=may_act):
                case Finished(result):
                    self._pass(result)
                case Again(after):
                    return after
                case Ready(action):
                    self.wanted = action
                    return None
        return None

    def would(self) -> None:
        """End here in check mode: the wanted act is what would change, and later steps depend on it."""
        assert self.wanted is not None  # noqa: S101 -- the caller asks only targets that want an act
        wanted, step = self.wanted, self.plan.steps[len(self._done)]
        result = _result(step, Outcome.WOULD_CHANGE, wanted.summary)
        self._append(msgspec.structs.replace(result, changes=wanted.changes, evidence=wanted.proof))
        self._skip_rest(f"depends on step {len(self._done)}")
        self._conclude()

    def leave_out(self, why: str, outcome: Outcome = Outcome.SKIPPED, hint: str = "") -> None:
        """End here without acting, for a reason that lies outside the target."""
        self._end(outcome, why, hint)

    def interrupt(self, why: str) -> None:
        """End here because the run ends."""
        if self.result:
            return
        if self._current:
            finished = self._current.interrupt(why)
            self._pass(finished.result)
        if self.result is None:
            self._end(Outcome.SKIPPED, why)

    def _next_step(self) -> PlannedStep | None:
        """Return the step whose turn it is, passing over those that do not apply."""
        while len(self._done) < len(self.plan.steps):
            step = self.plan.steps[len(self._done)]
            skip = step.skip or self._needless(step)
            if not skip:
                return step
            self._append(_result(step, Outcome.SKIPPED, skip))
        return None

    def _needless(self, step: PlannedStep) -> str:
        changed = any(done.outcome == Outcome.CHANGED for done in self._done)
        return "nothing was changed" if step.phase == Phase.VERIFY and not changed else ""

    def _pass(self, result: StepResult) -> None:
        self._done.append(result)
        self._current = None
        if result.outcome not in GOOD:
            self._skip_rest(f"step {len(self._done)} is {result.outcome.value}")
            self._conclude()

    def _end(self, outcome: Outcome, message: str, hint: str = "") -> None:
        step = self.plan.steps[len(self._done)] if len(self._done) < len(self.plan.steps) else None
        if step:
            self._append(_result(step, outcome, message, hint))
        self._skip_rest(message)
        self._conclude(message)

    def _append(self, result: StepResult) -> None:
        self._done.append(result)
        self._stream.emit(StepFinished(self.name, result))

    def _skip_rest(self, why: str) -> None:
        for step in self.plan.steps[len(self._done) :]:
            self._append(_result(step, Outcome.SKIPPED, why))

    def _conclude(self, why: str = "") -> None:
        """Derive the result from the steps; a target without any is skipped for the reason given."""
        result = TargetResult.of(self.name, self.plan.target.kind, self._done)
        self.result = result if self._done else msgspec.structs.replace(result, message=why)
        self._stream.emit(TargetFinished(self.result))


def _result(step: PlannedStep, outcome: Outcome, message: str, hint: str = "") -> StepResult:
    return StepResult(step.name, step.operation, step.phase, outcome, message, hint)
