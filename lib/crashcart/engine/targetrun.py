"""One target's way through its steps, a turn at a time."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from crashcart.engine.reconcile import Reconciler
from crashcart.engine.turn import Again, Finished, Ready
from crashcart.engine.undo import UndoList
from crashcart.errors import JournalError
from crashcart.events import StepFinished, Stream, TargetFinished, UndoBegun, UndoOwed
from crashcart.journal.recall import Begun
from crashcart.operations.base import Action
from crashcart.plan import OnFailure, OwedUndo, PlannedStep, TargetPlan
from crashcart.results import BAD, GOOD, Outcome, Phase, StepResult, TargetResult, Verdict
from crashcart.targets import Target
from crashcart.transports.base import Session

MakeReconciler = Callable[[TargetPlan, PlannedStep, UndoList], Reconciler]
OpenSession = Callable[[Target], Session]
"""Opens the session with whom a step speaks to."""


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
        finished: Mapping[str, StepResult] | None = None,
        looks_only: bool = False,
    ) -> None:
        self.plan = plan
        self.result: TargetResult | None = None
        self.wanted: Action | None = None
        self._make, self._stream, self._undos, self._on_failure = make, stream, undos, on_failure
        self._looks_only = looks_only
        self._steps = list(plan.all_steps)
        self._owed = list(plan.owed)
        self._done: list[StepResult] = []
        self._current: Reconciler | None = None
        self._finished = finished or {}
        self._made: dict[str, Reconciler] = {}
        self._due: dict[str, Action] = {}
        self._asked: set[tuple[str, bool]] = set()
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
    def wishes(self) -> tuple[Wish, ...]:
        """The acts that are wanted here: the next one, and the one that it prepares."""
        if not (self.wanted and self.step):
            return ()
        later = [(step, self._due[step.name]) for step in self._steps[len(self._done) + 1 :] if step.name in self._due]
        return tuple(
            Wish(self.name, step.name, step.operation, action, self._reconciler(step).pin)
            for step, action in ((self.step, self.wanted), *later)
        )

    @property
    def acts_on(self) -> frozenset[str]:
        """What its acts are about, as far as it was looked at and as another target may be about the same."""
        return frozenset(filter(None, (made.acts_on for made in self._made.values())))

    def turn(self, session: OpenSession, *, may_act: bool) -> float | None:
        """Take one turn. Returns seconds to the next one, or None: finished, or an act is wanted and not allowed."""
        try:
            return self._turn(session, may_act=may_act)
        except JournalError:
            raise
        except Exception as error:  # noqa: BLE001 -- a defect met on one target must not hide the others' results
            where = traceback.extract_tb(error.__traceback__)[-1]
            message = f"internal error, please report: {type(error).__name__}: {error} ({where.name}:{where.lineno})"
            self._end(Outcome.FAILED, message)
            return None if self.result else 0.0

    def _turn(self, session: OpenSession, *, may_act: bool) -> float | None:
        self.wanted = None
        while self.result is None:
            step = self._next_step()
            if step is None:
                if self._try_owed_again():
                    continue
                self._conclude()
                return None
            prepared = self._prepared(step, may_act=may_act)
            self._current = self._reconciler(prepared or step)
            prepares, acts = bool(prepared) and may_act, may_act and not prepared
            match self._current.turn(session(self._current.subject), may_act=acts, prepares=prepares):
                case Finished(result):
                    self._pass_over(prepared, result) if prepared else self._pass(step, result)
                case Again(after):
                    return after
                case Ready(action) if prepared:
                    self._due[prepared.name] = action
                    self._asked.add((prepared.name, may_act))
                case Ready(action):
                    self.wanted = action
                    return None
        return None

    def _reconciler(self, step: PlannedStep) -> Reconciler:
        if step.name not in self._made:
            # What follows an act up, and would take it back, puts back just what was there: that port, not the usual one.
            known = self._undos.args_of(step.when_changed, step.operation) if step.when_changed else {}
            asked = msgspec.structs.replace(step, args={**step.args, **known})
            self._made[step.name] = self._make(self.plan, asked, self._undos)
        return self._made[step.name]

    def _prepared(self, step: PlannedStep, *, may_act: bool) -> PlannedStep | None:
        """Return the later step that this one prepares, while it is not known whether that one wants to act.

        Before the first act it is asked again: the survey may be long ago.
        """
        if not step.when_due or (step.when_due, may_act) in self._asked or self._reconciler(step).has_begun:
            return None
        return next((other for other in self._steps[len(self._done) :] if other.name == step.when_due), None)

    def _pass_over(self, prepared: PlannedStep, result: StepResult) -> None:
        """A step has ended without an act: what would have prepared it is not needed."""
        why = f"not needed: {prepared.name} is {result.outcome.value}"
        for step in self._steps[len(self._done) : self._steps.index(prepared)]:
            self._append(_result(step, Outcome.SKIPPED, why))
        self._pass(prepared, result)

    def would(self) -> None:
        """End here in check mode: the wanted act is what would change, and later steps depend on it."""
        assert self.wanted is not None  # noqa: S101 -- the caller asks only targets that want an act
        self._would(self._steps[len(self._done)], self.wanted)
        while self.step and self.step.name in self._due:
            self._would(self.step, self._due[self.step.name])
        self._skip_rest(f"depends on step {len(self._done)}")
        self._conclude()

    def _would(self, step: PlannedStep, wanted: Action) -> None:
        result = _result(step, Outcome.WOULD_CHANGE, wanted.summary)
        undo = wanted.undo.summary if wanted.undo else ""
        self._append(msgspec.structs.replace(result, changes=wanted.changes, evidence=wanted.proof, undo=undo))

    def leave_out(self, why: str, outcome: Outcome = Outcome.SKIPPED, hint: str = "") -> None:
        """End here without acting, for a reason that lies outside the target."""
        self._end(outcome, why, hint)

    def interrupt(self, why: str, *, late: bool = False, hint: str = "") -> None:
        """End here because the run ends; what has to be taken back still is, if there is time.

        ``late``: its time is up. A target that was only to be looked at is unknown then: it was asked and has not answered,
        or its turn never came. ``hint`` says what would give it one.
        """
        if self.result or self.is_undoing:
            return
        if late and self._looks_only:
            what = "no whole answer in time" if self._made else "not looked at"
            self._end(Outcome.UNKNOWN, f"{what}: {why}", hint, Verdict.UNKNOWN)
            return
        step = self.step
        if self._current and step and self._current is self._made.get(step.name):  # or else a later step was only asked
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
            skip = step.skip or self._needless(step) or self._gated(step) or self._nothing_to_follow_up(step)
            before = self._finished.get(step.name) if step.when_due else None
            if skip:
                self._append(_result(step, Outcome.SKIPPED, skip))
            elif before:  # a later step of an earlier process may have reversed it, and looking again would tell nothing
                self._reconciler(step)  # it recalls how its acts are taken back
                self._append(before)
            else:
                return step
        return None

    def _nothing_to_follow_up(self, step: PlannedStep) -> str:
        first = next((done for done in self._done if step.when_changed and done.name == step.when_changed), None)
        return f"{first.name} has changed nothing" if first and first.outcome is not Outcome.CHANGED else ""

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
        if step.phase is not Phase.UNDO and result.outcome not in GOOD and not self._looks_on(result):
            self._give_up(f"step {len(self._done)} is {result.outcome.value}")

    def _looks_on(self, result: StepResult) -> bool:
        """Tell whether the other looks are worth taking: a playbook that only looks goes on where the target answers."""
        return self._looks_only and result.outcome not in {Outcome.UNREACHABLE, Outcome.REFUSED}

    def _end(self, outcome: Outcome, message: str, hint: str = "", verdict: Verdict | None = None) -> None:
        self._current = None
        if self.step:
            self._append(_result(self.step, outcome, message, hint, verdict))
        if self.is_undoing:
            return
        self._give_up(message)

    def _give_up(self, why: str) -> None:
        self._skip_rest(why)
        if not self._begin_undo():
            self._conclude(why)

    def _try_owed_again(self) -> bool:
        """Try once more what earlier runs owe: this run has changed something. Tell whether there is such a thing."""
        done = {step.name: step.outcome for step in self._done}
        missing = [undo for undo in self.plan.owed if done.get(undo.steps[-1].name) not in GOOD]
        useful = not self.is_undoing and any(done.get(step.name) is Outcome.CHANGED for step in self.plan.steps)
        steps = [_again(step) for undo in missing for step in undo.steps] if useful else []
        if not steps or steps[0].name in done:
            return False
        self._steps.extend(steps)
        return True

    def _begin_undo(self) -> bool:
        undos = self._undos.due() if self._on_failure is OnFailure.UNDO else ()
        if not undos:
            return False
        why = next((done.message for done in self._done if done.outcome not in {*GOOD, Outcome.SKIPPED}), "")
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
        open_undos = [undo for undo in self._owed if done.isdisjoint((undo.steps[-1].name, _again(undo.steps[-1]).name))]
        if open_undos:
            last = {step.name: step.message for step in self._done}
            self._stream.emit(UndoOwed(self.name, last.get(open_undos[0].steps[-1].name, ""), tuple(open_undos)))
        still = {undo.run for undo in open_undos}
        for run in {undo.run for undo in self._owed} | {""}:
            if run not in still and not (run == "" and self.is_undoing):
                self._undos.settle(run)


def _result(step: PlannedStep, outcome: Outcome, message: str, hint: str = "", verdict: Verdict | None = None) -> StepResult:
    return StepResult(step.name, step.operation, step.phase, outcome, message, hint, verdict)


def _again(step: PlannedStep) -> PlannedStep:
    """Return a step of an owed undo for a second try."""
    gate = f"{step.gate} again" if step.gate else ""
    return msgspec.structs.replace(step, name=f"{step.name} again", gate=gate)
