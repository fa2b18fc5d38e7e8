"""A rehearsal: steady state, a fault, the check notices it, the playbook recovers, steady state, a second run is a no-op."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

import msgspec

from crashcart.clock import Clock
from crashcart.drills.score import VariantScore
from crashcart.errors import CrashcartError, LabError, Refused
from crashcart.lab.faults import CANARY, FAULTS, Fault
from crashcart.playbooks.schema import Drill, VariantSpec
from crashcart.results import Outcome, TargetResult, Verdict
from crashcart.targets import Selection, Target
from crashcart.transports.base import Command, Connector

NOTICE_WITHIN = 60.0
"""Seconds that a check gets to notice a fault."""


class PlaybookRun(msgspec.Struct, frozen=True):
    """What a playbook came to during a drill."""

    run: str
    results: tuple[TargetResult, ...]
    duration_s: float
    interrupted: bool = False


RunPlaybook = Callable[[str, Mapping[str, Any]], PlaybookRun]
"""Runs a playbook over the drill's targets: (name, parameters)."""


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
    """Runs the variants of one drill. The fault is always taken back, also on errors and interrupts."""

    def __init__(
        self,
        drill: Drill,
        selection: Selection,
        *,
        run: RunPlaybook,
        connect: Connector,
        clock: Clock,
        say: Callable[[str], None],
    ) -> None:
        self._drill, self._targets = drill, selection.targets
        self._run, self._connect, self._clock, self._say = run, connect, clock, say

    def rehearse(self, name: str) -> VariantScore:
        """Run one variant and score it. Raises ``Interrupted`` when it was stopped from outside."""
        spec = self._drill.variants[name]
        fault = _find_fault(spec.fault)
        self._say(f"{name}: {fault.summary}")
        report = _Report(name, spec.fault)
        with self._fault_taken_back(fault, report):
            try:
                self._variant(spec, fault, report)
            except Interrupted:
                raise
            except CrashcartError as error:
                report.problems.append(error.message)
        return report.score()

    def _variant(self, spec: VariantSpec, fault: Fault, report: _Report) -> None:
        self._demand(self._is_healthy(spec, report), "steady state: the check is not healthy before the fault")
        self._everywhere(fault.inject, "inject")
        before = self._canary()
        self._notice(spec, report)
        self._recover(spec, report)
        self._compare(before, report)
        if spec.expect == Outcome.CHANGED:
            again = self._is_healthy(spec, report)
            self._demand(again, "steady state: the check is not healthy after the recovery")
            self._second_run(spec, report)

    def _is_healthy(self, spec: VariantSpec, report: _Report) -> bool:
        return all(result.verdict is Verdict.HEALTHY for result in self._check(spec, report))

    def _notice(self, spec: VariantSpec, report: _Report) -> None:
        """Run the check until it says of every target that something is wrong."""
        began = self._clock.monotonic()
        while any(result.verdict not in {Verdict.DEGRADED, Verdict.DOWN} for result in self._check(spec, report)):
            if self._clock.monotonic() - began > NOTICE_WITHIN:
                raise Stop(f"{spec.check.playbook} did not notice the fault within {NOTICE_WITHIN:.0f} s")
            self._clock.wait(SimpleQueue[None](), 0.5, busy=False)
        report.detected_s = round(self._clock.monotonic() - began, 1)
        self._say(f"  noticed by {spec.check.playbook} in {report.detected_s} s")

    def _recover(self, spec: VariantSpec, report: _Report) -> None:
        run = self._playbook(self._drill.playbook, spec.params, report)
        wrong = [result for result in run.results if result.outcome != spec.expect or spec.message not in result.message]
        if wrong:
            told = "; ".join(f"{result.name} {result.outcome.value}: {result.message}" for result in wrong[:3])
            raise Stop(f"expected {spec.expect} {spec.message!r}, got {told}")
        report.recovered_s = run.duration_s if spec.expect == Outcome.CHANGED else None
        self._say(f"  {self._drill.playbook}: {spec.expect} as expected, in {run.duration_s:.1f} s")

    def _compare(self, before: list[bytes], report: _Report) -> None:
        """Compare what no recovery may touch, byte for byte, where the drill has such a thing."""
        if not self._drill.collateral:
            return
        same = self._canary() == before
        report.collateral = "none" if same else "CHANGED"
        if not same:
            report.problems.append("something outside the allow-list was changed")

    def _second_run(self, spec: VariantSpec, report: _Report) -> None:
        run = self._playbook(self._drill.playbook, spec.params, report)
        report.second_run_changes = sum(result.outcome != Outcome.OK for result in run.results)
        if report.second_run_changes:
            report.problems.append(f"the second run was not a no-op on {report.second_run_changes} targets")
        self._say(f"  second run: {report.second_run_changes} changes")

    def _check(self, spec: VariantSpec, report: _Report) -> Sequence[TargetResult]:
        return self._playbook(spec.check.playbook, spec.check.params, report, keep=False).results

    def _playbook(self, name: str, params: Mapping[str, Any], report: _Report, *, keep: bool = True) -> PlaybookRun:
        run = self._run(name, params)
        if keep:
            report.runs.append(run.run)
        if run.interrupted:
            raise Interrupted("interrupted; the fault was taken back")
        return run

    @contextmanager
    def _fault_taken_back(self, fault: Fault, report: _Report) -> Iterator[None]:
        try:
            yield
        finally:
            try:
                self._everywhere(fault.restore, "restore")
            except CrashcartError as error:
                report.problems.append(f"NOT RESTORED: {error.message}")
                self._say(f"  NOT RESTORED: {error.message}")

    def _canary(self) -> list[bytes]:
        return self._everywhere((CANARY,), "canary") if self._drill.collateral else []

    def _everywhere(self, commands: Sequence[Command], what: str) -> list[bytes]:
        """Run commands on every target in parallel and return what they printed, in the targets' order."""
        with ThreadPoolExecutor(max_workers=min(32, len(self._targets))) as pool:
            return list(pool.map(lambda target: self._on(target, commands, what), self._targets))

    def _on(self, target: Target, commands: Sequence[Command], what: str) -> bytes:
        transport = self._connect(target)
        printed = b""
        try:
            for command in commands:
                result = transport.run(command)
                if not result.ok:
                    raise LabError(f"{what} on {target.name}: {result.ending}")
                printed += result.stdout.data
        finally:
            transport.close()
        return printed

    @staticmethod
    def _demand(holds: bool, problem: str) -> None:
        if not holds:
            raise Stop(problem)


class _Report:
    """What is known of a variant while it runs."""

    def __init__(self, variant: str, fault: str) -> None:
        self.variant, self.fault = variant, fault
        self.detected_s: float | None = None
        self.recovered_s: float | None = None
        self.second_run_changes: int | None = None
        self.collateral = ""
        self.runs: list[str] = []
        self.problems: list[str] = []

    def score(self) -> VariantScore:
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
        )


def _find_fault(name: str) -> Fault:
    if name not in FAULTS:
        raise LabError(f"unknown fault {name!r}; known are {', '.join(sorted(FAULTS))}")
    return FAULTS[name]
