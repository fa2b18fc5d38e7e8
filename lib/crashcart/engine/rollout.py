"""The rollout: look at the whole selection in parallel, then act batch by batch, stop when too much fails, and take back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

import msgspec

from crashcart.clock import Clock
from crashcart.engine.guard import ActGuard
from crashcart.engine.limits import allowed_failures, batch_sizes
from crashcart.engine.overlap import overlapping
from crashcart.engine.queue import DueQueue
from crashcart.engine.sessions import Sessions
from crashcart.engine.targetrun import TargetRun, Wish
from crashcart.errors import Refused
from crashcart.events import BatchStarted, GuardRefused, Soaking, Stream, Surveyed
from crashcart.plan import Options, Plan
from crashcart.results import BAD, Mode, Outcome, TargetResult
from crashcart.values import Duration

UNDO_TIME = 60.0
"""Seconds that undos get when the run's own time is over."""

RELEASE_TIME = 1.0
"""Seconds that giving back leases may take at the end of a run."""

Consent = Callable[[Sequence[TargetRun]], None]
"""Asked once, after the survey and before the first act. Raises ``Refused``."""


class Capacity(Protocol):
    """Says how many of a batch may be disturbed at the same time."""

    def admit(
        self, batch: Sequence[TargetRun], everyone: Sequence[TargetRun]
    ) -> tuple[Sequence[TargetRun], Sequence[tuple[TargetRun, Refused]]]:
        """Return those of a batch that may be acted on now, and those that may not at all, with the reason."""


class Guarding(msgspec.Struct, frozen=True):
    """The guards of a rollout: what is asked before the first act, before each batch, and before each act."""

    consent: Consent
    capacity: Capacity
    act: ActGuard


class Stopped(msgspec.Struct, frozen=True):
    """Why a run ended early."""

    why: str
    interrupted: bool = False


class Rollout:
    """Takes all targets of one plan to their outcomes. ``grace``: seconds that undos get after an interrupt."""

    def __init__(
        self,
        plan: Plan,
        options: Options,
        runs: Sequence[TargetRun],
        sessions: Sessions,
        stream: Stream,
        clock: Clock,
        guarding: Guarding,
        *,
        grace: float = UNDO_TIME,
    ) -> None:
        self._plan, self._options, self._grace = plan, options, grace
        self._runs = list(runs)
        self._sessions, self._stream, self._clock, self._guarding = sessions, stream, clock, guarding
        self._queue: DueQueue[TargetRun] = DueQueue(clock, options.forks)
        self._until = clock.monotonic() + options.deadline
        self._is_cut = False
        self.stopped: Stopped | None = None
        self.wishes: list[Wish] = []

    def interrupt(self, why: str) -> None:
        """Stop from a signal handler: start nothing more but undos; the second time, not even those."""
        self._is_cut = bool(self.stopped and self.stopped.interrupted)
        if not self._is_cut:
            self.stopped = Stopped(why, interrupted=True)
        self._queue.stop()

    def run(self) -> list[TargetResult]:
        """Survey, ask, act, take back. Every target of the plan has a result afterwards."""
        for run in self._runs:
            if run.plan.skip:
                run.leave_out(run.plan.skip)
        self._drive([run for run in self._runs if run.result is None], may_act=False)
        for run, refusal in overlapping(self._runs):
            self._refuse(run, refusal)
        ready = [run for run in self._runs if run.result is None]
        self._stream.emit(Surveyed(tuple(run.name for run in ready)))
        if self._options.mode is Mode.CHECK:
            self._report_wishes(ready)
        elif ready and self._may_begin() and self._consents(ready):
            self._act_in_batches(ready)
        self._end_the_rest()
        return [run.result for run in self._runs if run.result]

    def _drive(self, runs: Sequence[TargetRun], *, may_act: bool) -> None:
        def turn(run: TargetRun) -> float | None:
            target = run.plan.target
            try:
                after = run.turn(partial(self._sessions.take, target), may_act=may_act)
                if run.result and self._guarding.act.holds(target):
                    self._guarding.act.release(target, self._sessions.take(target))
            finally:
                self._sessions.rest(target)
            if run.result:
                self._sessions.close(target)
            return after

        for _ in self._queue.drain(runs, turn, self._until, self._sessions.cancel):
            pass

    def _report_wishes(self, ready: Sequence[TargetRun]) -> None:
        for run in ready:
            if run.wanted:
                self.wishes.extend(run.wishes)
                run.would()

    def _act_in_batches(self, ready: Sequence[TargetRun]) -> None:
        sizes = batch_sizes(self._plan.rollout.batches, len(ready))
        begin = 0
        for number, size in enumerate(sizes, start=1):
            if self._over() or self._too_many_failures():
                return
            batch = ready[begin : begin + size]
            begin += size
            self._stream.emit(BatchStarted(number, len(sizes), tuple(run.name for run in batch)))
            self._act_on(batch)
            self._soak(number, batch)

    def _act_on(self, batch: Sequence[TargetRun]) -> None:
        """Act on a batch, as many at a time as capacity allows."""
        waiting = list(batch)
        while waiting and not self._over() and not self._too_many_failures():
            admitted, refused = self._guarding.capacity.admit(waiting, self._runs)
            for run, refusal in refused:
                self._refuse(run, refusal)
            if not admitted and not refused:
                return
            self._drive(admitted, may_act=True)
            waiting = [run for run in waiting if run.result is None and run not in admitted]

    def _refuse(self, run: TargetRun, refusal: Refused) -> None:
        self._stream.emit(GuardRefused(run.name, refusal.message))
        run.leave_out(refusal.message, Outcome.REFUSED, refusal.hint)

    def _soak(self, number: int, batch: Sequence[TargetRun]) -> None:
        """Leave a batch alone for a while, then verify it once more."""
        seconds = 0.0 if self._options.break_glass else float(Duration.parse(self._plan.rollout.soak))
        changed = [run for run in batch if run.result and run.result.outcome is Outcome.CHANGED]
        if not seconds or not changed:
            return
        self._stream.emit(Soaking(number, seconds))
        self._queue.pause(min(self._clock.monotonic() + seconds, self._until))
        if not self._over():
            self._drive([run for run in changed if run.verify_again()], may_act=True)

    def _may_begin(self) -> bool:
        return not self._over() and not self._too_many_failures("before any act; ")

    def _over(self) -> bool:
        if self.stopped is None and self._clock.monotonic() >= self._until:
            self.stopped = Stopped(f"the run's deadline of {self._options.deadline:.0f} s has passed")
        return self.stopped is not None

    def _too_many_failures(self, when: str = "") -> bool:
        """Failures are counted over the whole selection; the run stops when they exceed what is allowed."""
        bad = [run for run in self._runs if run.result and run.result.outcome in BAD]
        allowed = allowed_failures(self._plan.rollout.max_failures, len(self._runs))
        if len(bad) > allowed and not self.stopped:
            names = ", ".join(f"{run.name} {run.result.outcome.value}" for run in bad[:3] if run.result)
            self.stopped = Stopped(f"stopped {when}{names}; to go on nevertheless: --max-failures {len(bad)}")
        return len(bad) > allowed

    def _consents(self, ready: Sequence[TargetRun]) -> bool:
        try:
            self._guarding.consent(ready)
        except Refused as refusal:
            for run in ready:
                run.leave_out(refusal.message, Outcome.REFUSED, refusal.hint)
            return False
        return True

    def _end_the_rest(self) -> None:
        self._over()
        why = self.stopped.why if self.stopped else "not reached"
        late = bool(self.stopped and not self.stopped.interrupted)
        hint = f"{self._options.roomier(len(self._runs))} gives each of them a turn"
        for run in self._runs:
            run.interrupt(why, late=late, hint=hint)
        self._take_back([run for run in self._runs if run.result is None])
        self._release_all()

    def _take_back(self, runs: Sequence[TargetRun]) -> None:
        """Give undos the time that there is; what is not taken back by then is owed."""
        interrupted = bool(self.stopped and self.stopped.interrupted)
        time = self._grace if interrupted else UNDO_TIME
        if runs and not self._is_cut:
            self._queue, self._until = DueQueue(self._clock, self._options.forks), self._clock.monotonic() + time
            if not self._is_cut:
                self._drive(runs, may_act=True)
        for run in runs:
            run.owe("cut short" if self._is_cut else f"not done within {time:.0f} s")

    def _release_all(self) -> None:
        """Give back what targets hold that did not end in a turn of their own; what cannot be given back runs out."""

        def give_back(run: TargetRun) -> None:
            target = run.plan.target
            self._guarding.act.release(target, self._sessions.take(target))
            self._sessions.rest(target)

        held = [run for run in self._runs if self._guarding.act.holds(run.plan.target)]
        queue: DueQueue[TargetRun] = DueQueue(self._clock, self._options.forks)
        for _ in queue.drain(held, give_back, self._clock.monotonic() + RELEASE_TIME, self._sessions.cancel):
            pass
