"""A rehearsal: steady state, a fault, the check notices it, the playbook recovers, steady state, a second run is a no-op.

A variant with ``undo`` takes the recovery back in the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from queue import SimpleQueue

import msgspec

from crashcart.clock import Clock
from crashcart.drills.score import VariantScore
from crashcart.drills.stage import Stage
from crashcart.errors import CrashcartError, Refused
from crashcart.playbooks.schema import Drill, VariantSpec
from crashcart.results import GOOD, Change, Mode, Outcome, Phase, TargetResult, Verdict
from crashcart.targets import Selection

NOTICE_WITHIN = 60.0
"""Seconds that a check gets to notice a fault."""


class PlaybookRun(msgspec.Struct, frozen=True):
    """What a playbook came to during a drill."""

    run: str
    results: tuple[TargetResult, ...]
    duration_s: float
    interrupted: bool = False


RunPlaybook = Callable[[str, VariantSpec, Mode], PlaybookRun]
"""Runs a playbook over the variant's targets, with the variant's parameters and time."""

TakeBack = Callable[[str], PlaybookRun]
"""Takes back what a run did, by its id."""

Wished = tuple[tuple[str, str, tuple[Change, ...]], ...]
"""What check mode would change, by target and step, and so how that is now."""


class Stop(CrashcartError):
    """The variant cannot go on; its problems so far are kept and the fault is taken back."""


class Interrupted(Stop):
    """A person or CI stopped the drill."""


def check_drillable(selection: Selection) -> None:
    """Refuse any target that is not marked for drills. Raises ``Refused``."""
    others = [target.name for target in selection.targets if target.variable("drill") is not True]
    if others:
        raise Refused(
            f"drills inject faults, and {', '.join(others[:5])} is not marked for them",
            hint="--hosts lab, or set 'drill: true' on targets that may be broken on purpose",
        )
    protected = [target.name for target in selection.targets if target.variable("protected")]
    if protected:
        raise Refused(f"{', '.join(protected[:5])} is protected; drills are never run there")


class Rehearsal:
    """Runs the variants of one drill. The fault is always taken back, also on errors and interrupts.

    ``restored`` is false while something is broken, and after a fault that could not be taken back. ``runs`` are the ids of
    the playbook's runs so far.
    """

    def __init__(
        self, drill: Drill, *, run: RunPlaybook, take_back: TakeBack, clock: Clock, say: Callable[[str], None]
    ) -> None:
        self._drill = drill
        self._run, self._back, self._clock, self._say = run, take_back, clock, say
        self.restored = True
        self.runs: list[str] = []

    def rehearse(self, name: str, stage: Stage) -> VariantScore:
        """Run one variant and score it. Raises ``Interrupted`` when it was stopped from outside."""
        spec = self._drill.variants[name]
        self._say(f"{name}: {stage.summary(spec)}")
        report = _Report(name, spec.fault)
        with self._fault_taken_back(spec, stage, report):
            try:
                self._variant(spec, stage, report)
            except Interrupted:
                raise
            except CrashcartError as error:
                report.problems.append(error.message)
        return report.score(restored=self.restored)

    def _variant(self, spec: VariantSpec, stage: Stage, report: _Report) -> None:
        stage.prepare()
        self._demand(self._is_healthy(spec, report), "steady state: the check is not healthy before the fault")
        stage.inject(spec)
        before = stage.canary() if self._drill.collateral else []
        self._notice(spec, report)
        wished = self._only_look(spec, stage, report)
        stage.hinder(spec)
        done = self._recover(spec, stage, report)
        self._compare(before, stage, report)
        if spec.expect == Outcome.CHANGED:
            again = self._is_healthy(spec, report)
            self._demand(again, "steady state: the check is not healthy after the recovery")
            self._second_run(spec, stage, report)
        if spec.undo:
            self._take_back(done, wished, spec, stage, report)

    def _is_healthy(self, spec: VariantSpec, report: _Report) -> bool:
        return all(result.verdict is Verdict.HEALTHY for result in self._check(spec, report))

    def _notice(self, spec: VariantSpec, report: _Report) -> None:
        """Run the check until it says of every target that something is wrong."""
        began = self._clock.monotonic()
        seen = self._check(spec, report)
        while spec.check.notices and any(result.verdict not in {Verdict.DEGRADED, Verdict.DOWN} for result in seen):
            if self._clock.monotonic() - began > NOTICE_WITHIN:
                raise Stop(f"{spec.check.playbook} did not notice the fault within {NOTICE_WITHIN:.0f} s")
            self._clock.wait(SimpleQueue[None](), 0.5, busy=False)
            seen = self._check(spec, report)
        report.before = "; ".join(dict.fromkeys(result.message for result in seen if result.message))
        if spec.check.notices:
            report.detected_s = round(self._clock.monotonic() - began, 1)
            self._say(f"  noticed by {spec.check.playbook} in {report.detected_s} s: {report.before}")

    def _only_look(self, spec: VariantSpec, stage: Stage, report: _Report) -> Wished:
        """Return what check mode would change; where writes are counted, see that it sends none.

        It is left out where it would wait for what is under way, and so end it, and where nothing is to be learned from it.
        """
        if spec.expect != Outcome.CHANGED or (stage.writes() is None and not spec.undo):
            return ()
        run = self._playbook(self._drill.playbook, spec, report, mode=Mode.CHECK)
        if sent := stage.writes():
            report.problems.append(f"check mode sent {sent} requests that change something")
        return tuple(
            (result.name, step.name, step.changes) for result in run.results for step in result.steps if step.changes
        )

    def _recover(self, spec: VariantSpec, stage: Stage, report: _Report) -> PlaybookRun:
        run = self._playbook(self._drill.playbook, spec, report)
        report.writes = stage.writes()
        report.undo = _undone(run.results)
        if report.writes is not None and spec.writes is not None and report.writes != spec.writes:
            report.problems.append(f"expected {spec.writes} requests that change something, {report.writes} were sent")
        wrong = [result for result in run.results if result.outcome != spec.expect or spec.message not in result.message]
        if wrong:
            told = "; ".join(f"{result.name} {result.outcome.value}: {result.message}" for result in wrong[:3])
            raise Stop(f"expected {spec.expect} {spec.message!r}, got {told}")
        report.recovered_s = run.duration_s if spec.expect == Outcome.CHANGED else None
        self._say(f"  {self._drill.playbook}: {spec.expect} as expected, in {run.duration_s:.1f} s")
        return run

    def _compare(self, before: list[bytes], stage: Stage, report: _Report) -> None:
        """Compare what no recovery may touch, byte for byte, where the drill has such a thing."""
        if not self._drill.collateral:
            return
        same = stage.canary() == before
        report.collateral = "none" if same else "CHANGED"
        if not same:
            report.problems.append("something outside the allow-list was changed")

    def _second_run(self, spec: VariantSpec, stage: Stage, report: _Report) -> None:
        run = self._playbook(self._drill.playbook, spec, report)
        report.second_run_changes = sum(result.outcome != Outcome.OK for result in run.results)
        if report.second_run_changes:
            report.problems.append(f"the second run was not a no-op on {report.second_run_changes} targets")
        if sent := stage.writes():
            report.problems.append(f"the second run sent {sent} requests that change something")
        self._say(f"  second run: {report.second_run_changes} changes")

    def _take_back(self, done: PlaybookRun, wished: Wished, spec: VariantSpec, stage: Stage, report: _Report) -> None:
        """Take the recovery back, and see that all it changed is as it was: check mode would change just the same again."""
        report.undo = "FAILED"
        self._demand(bool(wished), "undo: check mode named no change before the recovery, so that none can be compared")
        run = self._noted(self._back(done.run), report)
        wrong = [result for result in run.results if result.outcome is not Outcome.CHANGED]
        told = "; ".join(f"{result.name} {result.outcome.value}: {result.message}" for result in wrong[:3])
        self._demand(bool(run.results) and not wrong, f"undo: expected changed, got {told or 'nothing'}")
        stage.writes()
        now = self._only_look(spec, stage, report)
        self._demand(now == wished, f"undo: not as it was before the recovery: {_differing(wished, now)}")
        report.undo = "verified"
        self._say(f"  undo: taken back in {run.duration_s:.1f} s, and as before")

    def _check(self, spec: VariantSpec, report: _Report) -> Sequence[TargetResult]:
        check = msgspec.structs.replace(spec, params=spec.check.params, deadline="")
        return self._playbook(spec.check.playbook, check, report, keep=False).results

    def _playbook(
        self, name: str, spec: VariantSpec, report: _Report, *, keep: bool = True, mode: Mode = Mode.APPLY
    ) -> PlaybookRun:
        return self._noted(self._run(name, spec, mode), report, keep=keep)

    def _noted(self, run: PlaybookRun, report: _Report, *, keep: bool = True) -> PlaybookRun:
        if keep:
            self.runs.append(run.run)
            report.runs.append(run.run)
        if run.interrupted:
            raise Interrupted("interrupted; the fault was taken back")
        return run

    @contextmanager
    def _fault_taken_back(self, spec: VariantSpec, stage: Stage, report: _Report) -> Iterator[None]:
        self.restored = False
        try:
            yield
        finally:
            try:
                stage.restore(spec)
                self.restored = True
            except CrashcartError as error:
                report.problems.append(f"NOT RESTORED: {error.message}")
                self._say(f"  NOT RESTORED: {error.message}")

    @staticmethod
    def _demand(holds: bool, problem: str) -> None:
        if not holds:
            raise Stop(problem)


def _undone(results: Sequence[TargetResult]) -> str:
    """Say in a word what became of the acts that were taken back; nothing where none was."""
    steps = [step for result in results for step in result.steps if step.phase is Phase.UNDO]
    if not steps:
        return ""
    return "verified" if all(step.outcome in GOOD for step in steps) else "owed"


def _differing(before: Wished, now: Wished) -> str:
    """Say how what would change differs from what would have changed before."""
    told = (_changes_text(name, changes) for name, _, changes in now if (name, _, changes) not in before)
    return "; ".join(told) or "check mode would change less than before"


def _changes_text(name: str, changes: Sequence[Change]) -> str:
    return f"{name} " + ", ".join(f"{change.what} is {change.before}" for change in changes)


class _Report:
    """What is known of a variant while it runs."""

    def __init__(self, variant: str, fault: str) -> None:
        self.variant, self.fault = variant, fault
        self.detected_s: float | None = None
        self.recovered_s: float | None = None
        self.second_run_changes: int | None = None
        self.collateral = ""
        self.before = ""
        self.writes: int | None = None
        self.undo = ""
        self.runs: list[str] = []
        self.problems: list[str] = []

    def score(self, *, restored: bool) -> VariantScore:
        return VariantScore(
            variant=self.variant,
            fault=self.fault,
            passed=not self.problems,
            detected_s=self.detected_s,
            recovered_s=self.recovered_s,
            second_run_changes=self.second_run_changes,
            collateral=self.collateral,
            runs=tuple(self.runs),
            problems=tuple(self.problems),
            before=self.before,
            writes=self.writes,
            undo=self.undo,
            restored=restored,
        )
