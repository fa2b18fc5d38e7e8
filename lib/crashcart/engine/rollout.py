"""The rollout: look at the whole selection in parallel, then act batch by batch, and stop when too much fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from crashcart.clock import Clock
from crashcart.engine.limits import allowed_failures, batch_sizes
from crashcart.engine.queue import DueQueue
from crashcart.engine.sessions import Sessions
from crashcart.engine.targetrun import TargetRun
from crashcart.errors import Refused
from crashcart.events import BatchStarted, Stream, Surveyed
from crashcart.plan import Options, Plan
from crashcart.results import BAD, Mode, Outcome, TargetResult

Consent = Callable[[Sequence[TargetRun]], None]
"""Asked once, after the survey and before the first act. Raises ``Refused``."""


class Stopped(msgspec.Struct, frozen=True):
    """Why a run ended early."""

    why: str
    interrupted: bool = False


class Rollout:
    """Takes all targets of one plan to their outcomes."""

    def __init__(
        self, plan: Plan, options: Options, runs: Sequence[TargetRun], sessions: Sessions, stream: Stream, clock: Clock
    ) -> None:
        self._plan, self._options = plan, options
        self._runs = list(runs)
        self._sessions, self._stream, self._clock = sessions, stream, clock
        self._queue: DueQueue[TargetRun] = DueQueue(clock, options.forks)
        self._until = clock.monotonic() + options.deadline
        self.stopped: Stopped | None = None

    def interrupt(self, why: str) -> None:
        """Stop from a signal handler: start nothing more."""
        self.stopped = self.stopped or Stopped(why, interrupted=True)
        self._queue.stop()

    def run(self, consent: Consent) -> list[TargetResult]:
        """Survey, ask, act. Every target of the plan has a result afterwards."""
        for run in self._runs:
            if run.plan.skip:
                run.leave_out(run.plan.skip)
        self._drive([run for run in self._runs if run.result is None], may_act=False)
        ready = [run for run in self._runs if run.result is None]
        self._stream.emit(Surveyed(tuple(run.name for run in ready)))
        if self._options.mode is Mode.CHECK:
            self._report_wishes(ready)
        elif ready and self._may_begin() and self._consents(consent, ready):
            self._act_in_batches(ready)
        self._end_the_rest()
        return [run.result for run in self._runs if run.result]

    def _drive(self, runs: Sequence[TargetRun], *, may_act: bool) -> None:
        def turn(run: TargetRun) -> float | None:
            transport = self._sessions.take(run.plan.target)
            try:
                after = run.turn(transport, may_act=may_act)
            finally:
                self._sessions.rest(run.plan.target)
            if run.result:
                self._sessions.close(run.plan.target)
            return after

        for _ in self._queue.drain(runs, turn, self._until):
            pass

    def _report_wishes(self, ready: Sequence[TargetRun]) -> None:
        for run in ready:
            if run.wanted:
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
            self._drive(batch, may_act=True)

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

    def _consents(self, consent: Consent, ready: Sequence[TargetRun]) -> bool:
        try:
            consent(ready)
        except Refused as refusal:
            for run in ready:
                run.leave_out(refusal.message, Outcome.REFUSED, refusal.hint)
            return False
        return True

    def _end_the_rest(self) -> None:
        self._over()
        why = self.stopped.why if self.stopped else "not reached"
        for run in self._runs:
            run.interrupt(why)
