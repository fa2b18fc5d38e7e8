"""One target's way through its steps, a turn at a time."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from crashcart.engine.reconcile import Again, Finished, Ready, Reconciler
from crashcart.engine.undo import UndoList
from crashcart.errors import JournalError
from crashcart.events import StepFinished, Stream, TargetFinished, UndoBegun, UndoOwed
from crashcart.journal.recall import Begun
from crashcart.operations.base import Action
from crashcart.plan import OnFailure, OwedUndo, PlannedStep, TargetPlan
from crashcart.results import BAD, GOOD, Outcome, Phase, StepResult, TargetResult, Verdict
from crashcart.transports.base import Session

MakeReconciler = Callable[[TargetPlan, PlannedStep, UndoList], Reconciler]


class Wish(msgspec.Struct, frozen=True):
    """An act that a target wants: of which step, and the state that the target had when the run first looked (the pin)."""

    target: str
    step: str
    operation: str
    action: Action
    pin: Any


class TargetRun:
    """Takes a target from step to step, and back where it has to be; afterwards ``result`` holds what became of it."""

    def __init__(
        self,
        plan: TargetPlan,
        make: MakeReconciler,
        stream: Stream,
        undos: UndoList,
        *,
        on_failure: OnFailure = OnFailure.UNDO,
        begun: Begun | None = None,
    ) -> None:
        self.plan = plan
        self.result: TargetResult | None = None
        self.wanted: Action | None = None
        self._make, self._stream, self._undos, self._on_failure = make, stream, undos, on_failure
        self._steps = list(plan.all_steps)
        self._owed = list(plan.owed)
        self._done: list[StepResult] = []
        self._current: Reconciler | None = None
        self._health = Verdict.UNKNOWN
        self.is_undoing = False
        if begun:
            self._take_up(begun)

    @property
    def name(self) -> str:
        """The target's name."""
        return self.plan.target.name

    @property
    def health(self) -> Verdict:
        """How the target is, as far as this run has seen: what was last looked at counts, and a failure is down."""
        if self.result and self.result.outcome in BAD:
            return Verdict.DOWN
        return self._current.health if self._current else self._health

    @property
    def step(self) -> PlannedStep | None:
        """The step whose turn it is."""
        return self._steps[len(self._done)] if len(self._done) < len(self._steps) else None

    @property
    def wish(self) -> Wish | None:
        """The act that is wanted here, if any."""
        if not (self.wanted and self.step and self._current):
            return None
        return Wish(self.name, self.step.name, self.step.operation, self.wanted, self._current.pin)

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
            return None if self.result else 0.0

    def _turn(self, transport: Session, *, may_act: bool) -> float | None:
        self.wanted = None
        while self.result is None:
            step = self._next_step()
            if step is None:
                self._conclude()
                return None
            self._current = self._current or self._make(self.plan, step, self._undos)
            match self._current.turn(transport, may_act=may_act):
                case Finished(result):
                    self._pass(step, result)
                case Again(after):
                    return after
                case Ready(action):
                    self.wanted = action
                    return None
        return None

    def would(self) -> None:
        """End here in check mode: the wanted act is what would change, and later steps depend on it."""
        assert self.wanted is not None  # noqa: S101 -- the caller asks only targets that want an act
        wanted, step = self.wanted, self._steps[len(self._done)]
        result = _result(step, Outcome.WOULD_CHANGE, wanted.summary)
        self._append(msgspec.structs.replace(result, changes=wanted.changes, evidence=wanted.proof))
        self._skip_rest(f"depends on step {len(self._done)}")
        self._conclude()

    def leave_out(self, why: str, outcome: Outcome = Outcome.SKIPPED, hint: str = "") -> None:
        """End here without acting, for a reason that lies outside the target."""
        self._end(outcome, why, hint)

    def interrupt(self, why: str) -> None:
        """End here because the run ends; what has to be taken back still is, if there is time."""
        if self.result or self.is_undoing:
            return
        step = self.step
        if self._current and step:
            self._pass(step, self._current.interrupt(why).result)
        if self.result is None and not self.is_undoing:
            self._end(Outcome.SKIPPED, why)

    def owe(self, why: str) -> None:
        """End here although something should still be taken back: it is owed."""
        if self.result:
            return
        if self._current:
            self._append(self._current.interrupt(why).result)
            self._current = None
        self._skip_rest(f"owed: {why}")
        self._conclude()

    def verify_again(self) -> bool:
        """Open a target that was changed and verified, to verify it once more; False where there is nothing to verify."""
        again = [step for step in self.plan.steps if step.phase is Phase.VERIFY and not step.skip]
        if not again or not self.result or self.result.outcome is not Outcome.CHANGED:
            return False
        self.result = None
        self._steps.extend(msgspec.structs.replace(step, name=f"{step.name} after soak") for step in again)
        return True

    def _next_step(self) -> PlannedStep | None:
        """Return the step whose turn it is, passing over those that do not apply."""
        while len(self._done) < len(self._steps):
            step = self._steps[len(self._done)]
            skip = step.skip or self._needless(step) or self._gated(step)
            if not skip:
                return step
            self._append(_result(step, Outcome.SKIPPED, skip))
        return None

    def _needless(self, step: PlannedStep) -> str:
        changed = any(done.outcome == Outcome.CHANGED for done in self._done)
        return "nothing was changed" if step.phase == Phase.VERIFY and not changed else ""

    def _gated(self, step: PlannedStep) -> str:
        gate = next((done for done in self._done if step.gate and done.name == step.gate), None)
        return f"not taken back: {gate.message}" if gate and gate.outcome not in GOOD else ""

    def _pass(self, step: PlannedStep, result: StepResult) -> None:
        self._health = self.health
        self._current = None
        is_gate = any(other.gate == step.name for other in self._steps)
        if is_gate and result.outcome not in GOOD:
            # Whether something may be taken back is no verdict on the target.
            result = msgspec.structs.replace(result, outcome=Outcome.SKIPPED)
        self._append(result)
        if step.phase is not Phase.UNDO and result.outcome not in GOOD:
            self._give_up(f"step {len(self._done)} is {result.outcome.value}")

    def _end(self, outcome: Outcome, message: str, hint: str = "") -> None:
        self._current = None
        if self.step:
            self._append(_result(self.step, outcome, message, hint))
        if self.is_undoing:
            return
        self._give_up(message)

    def _give_up(self, why: str) -> None:
        self._skip_rest(why)
        if not self._begin_undo():
            self._conclude(why)

    def _begin_undo(self) -> bool:
        undos = self._undos.due() if self._on_failure is OnFailure.UNDO else ()
        if not undos:
            return False
        why = next((done.message for done in self._done if done.outcome not in GOOD), "")
        self._undos.mark()
        self._stream.emit(UndoBegun(self.name, why, undos))
        self._plan_undo(undos)
        return True

    def _plan_undo(self, undos: Sequence[OwedUndo]) -> None:
        self.is_undoing = True
        self._owed.extend(undos)
        self._steps.extend(step for undo in undos for step in undo.steps)

    def _take_up(self, begun: Begun) -> None:
        """Go on with an undo that another process began: there is no way forward from there."""
        self._done = list(begun.done)
        self._steps = [PlannedStep(done.name, done.operation, done.phase, {}) for done in self._done]
        self._plan_undo(begun.undos)

    def _append(self, result: StepResult) -> None:
        self._done.append(result)
        self._stream.emit(StepFinished(self.name, result))

    def _skip_rest(self, why: str) -> None:
        for step in self._steps[len(self._done) :]:
            self._append(_result(step, Outcome.SKIPPED, why))

    def _conclude(self, why: str = "") -> None:
        """Derive the result from the steps; a target without any is skipped for the reason given."""
        self._settle_undos()
        result = TargetResult.of(self.name, self.plan.target.kind, self._done)
        self.result = result if self._done else msgspec.structs.replace(result, message=why)
        self._stream.emit(TargetFinished(self.result))

    def _settle_undos(self) -> None:
        done = {step.name for step in self._done if step.outcome in GOOD}
        open_undos = [undo for undo in self._owed if undo.steps[-1].name not in done]
        if open_undos:
            last = {step.name: step.message for step in self._done}
            self._stream.emit(UndoOwed(self.name, last.get(open_undos[0].steps[-1].name, ""), tuple(open_undos)))
        still = {undo.run for undo in open_undos}
        for run in {undo.run for undo in self._owed} | {""}:
            if run not in still and not (run == "" and self.is_undoing):
                self._undos.settle(run)


def _result(step: PlannedStep, outcome: Outcome, message: str, hint: str = "") -> StepResult:
    return StepResult(step.name, step.operation, step.phase, outcome, message, hint)
