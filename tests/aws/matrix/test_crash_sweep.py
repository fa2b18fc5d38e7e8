"""The crash sweep: the controller, a real process, is killed at every journal event of every AWS recovery, and resumed.

After each: the world is as it should be, what happens once happened once by the emulator's log, what was switched off on the
way is on again, and the journal is whole. So are those that take back: ``runs.undo``, and the undo of a recovery that fails.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import count

import pytest

from tests.aws.matrix.recoveries import RECOVERIES, Recovery
from tests.aws.matrix.rig import Rig, after

MOST_EVENTS = 60
FIRST = 2
"""The first event is written before the run's folder appears: killed there, there is no run, and nothing was contacted."""

JSON = ("--output", "json")
Told = pytest.CaptureFixture[str]


def tell(told: Told, what: str, points: int) -> None:
    with told.disabled():
        print(f"\n{what}: {points} crash points, each resumed", file=sys.stderr)


def sweep(rig: Rig, begin: Callable[[], tuple[str, ...]], judge: Callable[[int, str], None]) -> int:
    """Kill what ``begin`` names after each of its events, resume, and judge; return how many points there are."""
    for events in count(FIRST):
        assert events < MOST_EVENTS, "a run of one target has fewer events than that"
        words = begin()
        if not rig.killed(after(events), *words):
            return events - FIRST
        said = rig.run("runs.resume", "last", *JSON)
        judge(said.code, f"{words[0]}, killed after event {events}: {said.message}")
        assert rig.run("runs.verify", "last").code == 0
    return 0


@pytest.mark.parametrize("name", sorted(RECOVERIES))
def test_killed_at_every_event_and_resumed(name: str, rig: Rig, capsys: Told) -> None:
    recovery = RECOVERIES[name]

    def begin() -> tuple[str, ...]:
        rig.begin(recovery.part, recovery.arrange)
        return recovery.command(rig)

    def judge(code: int, where: str) -> None:
        seen = recovery.look(rig)
        assert code == 0, where
        assert rig.effective() == list(recovery.acts), where
        assert recovery.is_well(seen), (where, seen)
        assert _is_kept(rig, recovery), (where, seen)

    points = sweep(rig, begin, judge)
    tell(capsys, name, points)
    assert points > 8


def _is_kept(rig: Rig, recovery: Recovery) -> bool:
    """Tell whether what had to stay as it was did; the scenes' groups have both settings on."""
    seen = recovery.look(rig)
    return all(seen[name] == "enabled" for name in recovery.as_before)


def test_taking_back_a_raise_is_killed_at_every_event_and_resumed(rig: Rig, capsys: Told) -> None:
    raised = RECOVERIES["asg-raise"]

    def begin() -> tuple[str, ...]:
        rig.begin(raised.part, raised.arrange)
        assert rig.run(*raised.command(rig)).code == 0
        rig.emulator.forget_requests()
        return ("runs.undo", "last", "--yes", *JSON)

    def judge(code: int, where: str) -> None:
        seen = raised.look(rig)
        assert code == 0, where
        assert (seen["desired"], seen["max"], seen["serving"]) == (2, 4, 2), (where, seen)
        assert rig.effective() == ["SetDesiredCapacity", "SetDesiredCapacity", "UpdateAutoScalingGroup"], where

    points = sweep(rig, begin, judge)
    tell(capsys, "runs.undo of asg-raise", points)
    assert points > 8


@pytest.mark.parametrize("name", ["cache", "register"])
def test_a_recovery_that_fails_is_killed_at_every_event_and_taken_back(name: str, rig: Rig, capsys: Told) -> None:
    """The second act is refused, or the target never gets healthy: the first act is taken back, once."""
    recovery = RECOVERIES[name]

    def begin() -> tuple[str, ...]:
        rig.begin(recovery.part, recovery.arrange)
        words = recovery.command(rig, "--deadline", "60s")
        if name == "cache":
            rig.emulator.fault("aws.denied", action="ModifyReplicationGroup", resource="lab-redis-002", times=100)
        else:
            rig.emulator.fault("aws.unhealthy", resource=words[words.index("--member") + 1])
        return words

    def judge(code: int, where: str) -> None:
        sent = [*recovery.acts[:1], *recovery.undo]
        assert code in {1, 5}, where
        assert rig.effective() == sent, (rig.effective(), where)
        assert _is_kept(rig, recovery), (where, recovery.look(rig))

    points = sweep(rig, begin, judge)
    tell(capsys, f"{name}, failing", points)
    assert points > 8
