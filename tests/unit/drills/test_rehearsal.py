"""A variant that takes its recovery back: it is passed only if everything is as it was before the recovery."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from crashcart.clock import FakeClock
from crashcart.drills.rehearsal import PlaybookRun, Rehearsal
from crashcart.drills.score import VariantScore
from crashcart.playbooks.schema import CheckSpec, Drill, VariantSpec
from crashcart.results import Change, Mode, Outcome, Phase, StepResult, TargetResult, Verdict

SPEC = VariantSpec(CheckSpec("check.group", notices=False), "asg.small", undo=True)
DRILL = Drill("drill.group", "", "", "recover.group", {"clean": SPEC})


class Group:
    """A group of two that a playbook raises to four; a place for drills, too."""

    def __init__(self) -> None:
        self.size, self.sent, self.before = 2, 0, 2

    def run(self, name: str, spec: VariantSpec, mode: Mode) -> PlaybookRun:
        if name.startswith("check."):
            return self._ended(Outcome.OK)
        change = (Change("size", str(self.size), "4"),) if self.size != 4 else ()
        if mode is Mode.CHECK or not change:
            return self._ended(Outcome.WOULD_CHANGE if change else Outcome.OK, change)
        self.before = self.size
        self._set(4)
        return self._ended(Outcome.CHANGED, change)

    def take_back(self, run: str) -> PlaybookRun:
        """What an undo does."""
        assert run == "changed"
        self._set(self.before)
        return self._ended(Outcome.CHANGED, phase=Phase.UNDO)

    def half(self, run: str) -> PlaybookRun:
        """An undo that says that it was done, and left something else."""
        self._set(3)
        return self._ended(Outcome.CHANGED, phase=Phase.UNDO)

    def none(self, run: str) -> PlaybookRun:
        """An undo that cannot be done."""
        return self._ended(Outcome.FAILED, phase=Phase.UNDO, message="no right to")

    def summary(self, spec: VariantSpec) -> str:
        return "small"

    def prepare(self) -> None:
        self.size = 2

    def inject(self, spec: VariantSpec) -> None:
        pass

    def hinder(self, spec: VariantSpec) -> None:
        pass

    def restore(self, spec: VariantSpec) -> None:
        self.size = 2

    def canary(self) -> list[bytes]:
        return []

    def writes(self) -> int | None:
        sent, self.sent = self.sent, 0
        return sent

    def _set(self, size: int) -> None:
        self.size, self.sent = size, self.sent + 1

    def _ended(
        self, outcome: Outcome, changes: tuple[Change, ...] = (), phase: Phase = Phase.STEP, message: str = ""
    ) -> PlaybookRun:
        step = StepResult("scale", "asg.scale", phase, outcome, message, verdict=Verdict.HEALTHY, changes=changes)
        return PlaybookRun(outcome.value, (TargetResult.of("group", "asg", [step]),), 1.0)


def rehearsed(group: Group, undo: Callable[[str], PlaybookRun]) -> VariantScore:
    told: list[str] = []
    rehearsal = Rehearsal(DRILL, run=group.run, take_back=undo, clock=FakeClock(), say=told.append)
    return rehearsal.rehearse("clean", group)


def test_an_undo_that_leaves_everything_as_it_was_is_verified() -> None:
    group = Group()
    score = rehearsed(group, group.take_back)
    assert (score.passed, score.undo, score.problems, score.writes) == (True, "verified", (), 1)
    assert len(score.runs) == 5


@pytest.mark.parametrize(
    ("undo", "said"),
    [
        ("half", "undo: not as it was before the recovery: group size is 3"),
        ("none", "undo: expected changed, got group failed: no right to"),
    ],
)
def test_an_undo_that_does_not_fails_the_fault(undo: str, said: str) -> None:
    group = Group()
    score = rehearsed(group, getattr(group, undo))
    assert (score.passed, score.undo, score.problems) == (False, "FAILED", (said,))
