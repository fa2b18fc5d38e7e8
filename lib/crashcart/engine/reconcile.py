"""The reconcile loop: one target, one step, one turn at a time.

A turn looks, decides and at most acts once; then it says when it wants the next one. The caller owns time and threads, so a
waiting target costs no worker. Check mode, resume and retry are this same code.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec

from crashcart.clock import Clock
from crashcart.engine.evidence import EvidenceKeeper
from crashcart.engine.guard import ActGuard, Attempt
from crashcart.engine.turn import Again, Doubt, Finished, Ready, Turn, Wanted
from crashcart.engine.undo import UndoList, possible
from crashcart.errors import ApiRefused, Cancelled, FactUnreadable, Refused, SudoDenied, TransportError, Unreachable
from crashcart.events import Acted, Decided, Intended, Pinned, Stream
from crashcart.journal.recall import Recalled
from crashcart.operations.base import (
    Act,
    Action,
    ActResult,
    Applied,
    CloudOperation,
    Decision,
    Done,
    Effect,
    Fail,
    InDoubt,
    Look,
    Memory,
    NotApplied,
    Operation,
    Refuse,
    Rejected,
    Unknown,
    Wait,
)
from crashcart.plan import PlannedStep
from crashcart.results import Change, Evidence, Outcome, StepResult, Verdict
from crashcart.retry import Patience
from crashcart.secrets import encode_secret
from crashcart.targets import Target
from crashcart.transports.base import Session
from crashcart.values import decode

MAX_LOOKS = 8
"""Dearer facts that one decision may ask for; more is a defect of the operation."""

INSTANT = 0.001
"""Seconds that are no time: what rounding leaves of a deadline is not waited for."""

SETTLE_LOOKS = 10
"""Looks within a settle window, at most one a second: what is asked that often may be a service that is throttled."""

HOLD_PAUSE = 2.0
"""Seconds between looks while a target has to stay well."""


class Surroundings(msgspec.Struct, frozen=True):
    """What all reconcilers of a run share."""

    stream: Stream
    clock: Clock
    keeper: EvidenceKeeper
    guard: ActGuard


class Reconciler:
    """Drives one step of one target to its outcome. ``health`` is how the target was when last looked at."""

    def __init__(
        self,
        target: Target,
        step: PlannedStep,
        operation: Operation[Any, Any, Any],
        surroundings: Surroundings,
        undos: UndoList,
        recalled: Recalled | None = None,
    ) -> None:
        self._target, self._step, self._operation, self._undos = target.name, step, operation, undos
        self._stream, self._clock, self._keeper = surroundings.stream, surroundings.clock, surroundings.keeper
        self._guard, self._on = surroundings.guard, target
        self._wish = decode(step.args, operation.wish)
        self._patience = Patience(attempts=step.attempts, deadline=step.deadline)
        self._started: float | None = None
        self._memory: Memory[Any, Any] | None = None
        self._looks: frozenset[str] = frozenset()
        self._seen: Any = None
        self._wanted: Wanted | None = None
        self._doubt: Doubt | None = None
        self._held_since: float | None = None
        self._acted_from: dict[str, str] = {}
        self._tries: Counter[str] = Counter()
        self._attempts = 0
        self._changes: list[Change] = []
        self._evidence: list[Evidence] = []
        self._last_decision = ("", "")
        self._why_not = ""
        self.health = Verdict.UNKNOWN
        if recalled:
            self._recall(recalled)

    def turn(self, transport: Session, *, may_act: bool, prepares: bool = False) -> Turn:
        """Look, decide, act at most once; ``prepares``: hold the target if it wants an act. Raises ``JournalError`` only."""
        if self._started is None:
            self._started = self._clock.monotonic()
        try:
            turn = self._turn(transport, may_act=may_act)
            if prepares and isinstance(turn, Ready):
                self._guard.hold(self._on, transport)
            return turn
        except Refused as error:
            return self._finish(Outcome.FAILED if self._applied else Outcome.REFUSED, error.message, error.hint)
        except Unreachable as error:
            return self._finish(Outcome.UNREACHABLE, error.message, error.hint)
        except (SudoDenied, ApiRefused) as error:
            unseen = Verdict.UNKNOWN if self._operation.reads_only else None
            return self._finish(Outcome.FAILED, error.message, error.hint, unseen)
        except FactUnreadable as error:
            if error.final:
                return self._finish(Outcome.UNKNOWN, error.message, error.hint, Verdict.UNKNOWN)
            return self._unless_late(Outcome.UNKNOWN, error.message, self._patience.pause(1), Verdict.UNKNOWN)
        except Cancelled as error:
            transport.close()
            if self._operation.reads_only:  # the run ends, and says so of whoever was only looked at
                return Again(self._patience.first)
            return self._unless_late(Outcome.UNREACHABLE, error.message, self._patience.first)
        except TransportError as error:
            transport.close()
            return self._unless_late(Outcome.UNREACHABLE, error.message, self._patience.first)

    def interrupt(self, why: str) -> Finished:
        """End the step from outside: what may have happened is unknown, what has not begun is skipped."""
        if self._doubt or self._attempts:
            doing = self._doubt.action.summary if self._doubt else self._last_decision[1]
            return self._finish(Outcome.UNKNOWN, f"{why}; last: {doing}")
        return self._finish(Outcome.SKIPPED, why)

    def _turn(self, transport: Session, *, may_act: bool) -> Turn:
        wanted, self._wanted = self._wanted, None
        state = self._look(transport)
        if self._doubt:
            unsettled = self._settle(self._doubt, state)
            if unsettled:
                return unsettled
        if wanted and may_act and self._operation.still_holds(state, wanted.action, self._wish):
            self._looks = wanted.looks
            return self._act(transport, wanted.action)
        decision = self._decide(transport, state)
        self._note(decision)
        if not isinstance(decision, Done):
            self._held_since = None
        match decision:
            case Done():
                return self._done(decision)
            case Act(action):
                return self._act(transport, action) if may_act else self._ready(action)
            case Wait(why, after, hint):
                late = f"still not there after {self._patience.deadline:.0f} s: {why}"
                return self._unless_late(Outcome.FAILED, late, after, hint=hint)
            case Unknown(why, hint):
                return self._unless_late(Outcome.UNKNOWN, why, self._patience.pause(1), Verdict.UNKNOWN, hint)
            case Refuse(why, hint):
                return self._finish(Outcome.FAILED if self._applied else Outcome.REFUSED, why, hint)
            case Fail(why, hint, verdict, evidence):
                self._evidence.extend(evidence)
                return self._finish(Outcome.FAILED, why, hint, verdict)
            case Look(what):
                return self._finish(Outcome.FAILED, f"{self._operation.name} asks for {what!r} without end")

    @property
    def pin(self) -> Any:
        """The state when the run first looked, or None before that."""
        return self._memory.pin if self._memory else None

    @property
    def acts_on(self) -> str:
        """What the step's act is about where that may be another target too, as the first look showed it."""
        return self._operation.acts_on(self._memory.pin) if self._memory else ""

    @property
    def subject(self) -> Target:
        """Whom the step speaks to."""
        return self._operation.subject(self._on, self._wish)

    @property
    def has_begun(self) -> bool:
        """Whether an act of this step took effect, or may have."""
        return self._applied or self._doubt is not None

    @property
    def _applied(self) -> bool:
        return bool(self._memory and self._memory.applied)

    def _look(self, transport: Session) -> Any:
        if self._seen is not None:
            state, self._seen = self._seen, None
            return state
        state = self._operation.observe(transport, self._wish, self._looks)
        self.health = self._operation.health(state, self._wish)
        if self._memory is None:
            self._memory = Memory(pin=state, goal=self._operation.goal(state, self._wish))
            pin, goal = (msgspec.to_builtins(part, enc_hook=encode_secret) for part in (state, self._memory.goal))
            self._stream.emit(Pinned(self._target, self._step.name, pin, goal))
        return state

    def _decide(self, transport: Session, state: Any) -> Decision:
        assert self._memory is not None  # noqa: S101 -- set by _look
        for _ in range(MAX_LOOKS):
            decision: Decision = self._operation.decide(state, self._memory, self._wish)
            if not isinstance(decision, Look) or decision.what in self._looks:
                return decision
            self._looks |= {decision.what}
            state = self._operation.observe(transport, self._wish, self._looks)
        return decision

    def _note(self, decision: Decision) -> None:
        why = decision.action.summary if isinstance(decision, Act) else getattr(decision, "why", "")
        noted = (type(decision).__name__.lower(), why)
        if noted != self._last_decision:
            self._last_decision = noted
            self._stream.emit(Decided(self._target, self._step.name, *noted))

    def _done(self, decision: Done) -> Turn:
        now = self._clock.monotonic()
        self._held_since = now if self._held_since is None else self._held_since
        missing = decision.hold - (now - self._held_since) if self._applied else 0.0
        if missing > INSTANT:
            return Again(min(missing, HOLD_PAUSE))
        self._evidence.extend(decision.evidence)
        return self._finish(Outcome.CHANGED if self._applied else Outcome.OK, decision.why, verdict=decision.verdict)

    def _ready(self, action: Action) -> Turn:
        # The time until a target's batch begins is not the target's: its deadline starts anew with the next turn.
        self._started = None
        if self._looks and self._operation.rechecks_cheaply:
            self._looks, self._wanted = frozenset(), Wanted(action, self._looks)
        return Ready(action)

    def _act(self, transport: Session, action: Action) -> Turn:
        hopeless = self._hopeless(action)
        if hopeless:
            return self._finish(Outcome.FAILED, hopeless)
        guarded = self._guard.admit(Attempt(self._on, self._operation, self._wish, action, transport))
        if not self._gather(transport, action):
            return self._finish(Outcome.FAILED, f"no evidence could be kept, so not done: {action.summary}")
        self._tries[action.key] += 1
        self._attempts += 1
        self._undos.register(self._step, action)
        self._intend(action)
        try:
            result = self._operation.act(guarded, action, self._wish)
        except Refused as error:
            self._forget(action, error)
            raise
        return self._after_act(action, result)

    def _forget(self, action: Action, refusal: Refused) -> None:
        """A guard on the target itself said no: the act was certainly not done."""
        self._attempts -= 1
        self._withdraw(action)
        self._stream.emit(Acted(self._target, self._step.name, action.key, "refused", refusal.message))

    def _hopeless(self, action: Action) -> str:
        once = action.effect in {Effect.ONCE, Effect.DESTROY}
        if action.key in self._acted_from and (once or self._acted_from[action.key] == action.only_if):
            return f"no progress: {action.summary} was applied and changed nothing"
        if self._patience.exhausted(self._tries[action.key], self._elapsed()) and self._tries[action.key]:
            return f"gave up after {self._tries[action.key]} tries: {action.summary}: {self._why_not}".removesuffix(": ")
        return ""

    def _gather(self, transport: Session, action: Action) -> bool:
        """Keep evidence before an act that happens once; only a destroying one insists on it."""
        if action.effect not in {Effect.ONCE, Effect.DESTROY} or self._tries[action.key]:
            return True
        gathered = self._operation.gather(transport, action, self._wish)
        kept = self._keeper.keep(self._target, self._step.name, gathered)
        if kept:
            self._evidence.append(kept)
        return bool(kept) or action.effect is Effect.ONCE

    def _intend(self, action: Action) -> None:
        self._evidence.extend(action.proof)
        call = msgspec.to_builtins(action.call, enc_hook=encode_secret)
        self._stream.emit(
            Intended(
                self._target,
                self._step.name,
                action.key,
                action.effect.value,
                action.summary,
                action.only_if,
                action.changes,
                action.proof,
                tuple(sorted(self._looks)),
                call,
                action.undo,
            )
        )

    def _withdraw(self, action: Action) -> None:
        """Forget the undo of an act that was certainly not applied, unless an earlier one of the same key was."""
        if self._memory is None or action.key not in self._memory.applied:
            self._undos.withdraw(self._step, action.key)

    def _after_act(self, action: Action, result: ActResult) -> Turn:
        self._record(action, result)
        match result:
            case Applied(seen):
                self._accept(action, seen)
                return Again(0.0)
            case NotApplied(why):
                self._why_not = why
                self._withdraw(action)
                return Again(self._patience.pause(self._tries[action.key]))
            case InDoubt(why):
                self._doubt = Doubt(action, self._clock.monotonic(), why)
                return Again(self._patience.pause(1))
            case Rejected(why, hint):
                self._withdraw(action)
                return self._finish(Outcome.FAILED, f"{action.summary}: {why}", hint)

    def _record(self, action: Action, result: ActResult) -> None:
        kinds = {Applied: "applied", NotApplied: "not_applied", InDoubt: "in_doubt", Rejected: "rejected"}
        why = getattr(result, "why", "")
        self._stream.emit(Acted(self._target, self._step.name, action.key, kinds[type(result)], why))

    def _accept(self, action: Action, seen: Any = None) -> None:
        assert self._memory is not None  # noqa: S101 -- an act follows a look
        self._memory.applied += (action.key,)
        self._acted_from[action.key] = action.only_if
        self._changes.extend(action.changes)
        self._looks, self._seen, self._doubt = frozenset(), seen, None

    def _settle(self, doubt: Doubt, state: Any) -> Turn | None:
        """Find out what became of a doubtful act: None when that is known and the loop may go on.

        A converging act is safe to decide anew, so on a host one look is enough; the others must be seen or ruled out first,
        and so must all that an API was asked, whose next answers may still show the state before it.
        """
        converging = doubt.action.effect is Effect.CONVERGE
        shows_at_once = converging and not isinstance(self._operation, CloudOperation)
        unmoved = self._operation.token(state) == doubt.action.only_if
        if self._operation.effect_seen(state, doubt.action) or (converging and not unmoved):
            self._record(doubt.action, Applied())
            self._accept(doubt.action)
            return None
        window = min(self._operation.settle, self._patience.deadline / 3)
        if not shows_at_once and self._clock.monotonic() - doubt.since < window:
            return Again(min(max(1.0, window / SETTLE_LOOKS), window))
        if unmoved:
            self._record(doubt.action, NotApplied("nothing had changed at the end of the settle window"))
            self._withdraw(doubt.action)
            self._doubt = None
            return None
        return self._finish(Outcome.UNKNOWN, f"{doubt.action.summary}: {doubt.why}; the target changed in another way since")

    def _unless_late(self, outcome: Outcome, why: str, after: float, verdict: Verdict | None = None, hint: str = "") -> Turn:
        left = self._patience.deadline - self._elapsed()
        return Again(min(after, left)) if left > INSTANT else self._finish(outcome, why, hint, verdict)

    def _elapsed(self) -> float:
        return self._clock.monotonic() - (self._started or 0.0)

    def _finish(self, outcome: Outcome, message: str, hint: str = "", verdict: Verdict | None = None) -> Finished:
        if self._operation.reads_only and outcome in {Outcome.UNREACHABLE, Outcome.UNKNOWN, Outcome.REFUSED}:
            verdict = verdict or Verdict.UNKNOWN  # what could not be asked is neither down nor healthy
        result = StepResult(
            name=self._step.name,
            operation=self._step.operation,
            phase=self._step.phase,
            outcome=outcome,
            message=message,
            hint=possible(hint, self._step).replace("--hosts ...", f"--hosts {self._target}"),
            verdict=verdict,
            attempts=self._attempts,
            duration_s=round(self._elapsed() if self._started is not None else 0.0, 3),
            evidence=tuple(self._evidence),
            changes=tuple(self._changes),
        )
        return Finished(result)

    def _recall(self, recalled: Recalled) -> None:
        """Take up where another process stopped: its pin, its goal, its acts, and the doubt it left."""
        pin = decode(recalled.pin, self._operation.state)
        goal = decode(recalled.goal, self._operation.goal_type)
        self._memory = Memory(pin=pin, goal=goal, applied=recalled.applied)
        self._acted_from = dict.fromkeys(recalled.applied, "")
        self._changes, self._attempts = list(recalled.changes), recalled.attempts
        for key, undo in recalled.undos:
            self._undos.restore(self._step, key, undo)
        if recalled.doubtful:
            self._looks = frozenset(recalled.looks)
            self._doubt = Doubt(recalled.doubtful, self._clock.monotonic(), "the run was interrupted during the act")
