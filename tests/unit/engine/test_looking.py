"""A playbook that only looks: it goes on after a bad look, the worst decides, and what has no answer in time is unknown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crashcart import operations
from crashcart.errors import ConnectionLost, ConnectRefused
from crashcart.operations.base import Decision, Done, Fail, HostOperation, Memory, NoGoal, Unknown
from crashcart.plan import Options, Plan, PlannedStep, TargetPlan
from crashcart.results import Evidence, Outcome, Phase, StepResult, TargetResult, Verdict
from crashcart.targets import Target
from crashcart.transports.base import Command, Transport
from tests.unit.engine.simulated import LampState, World


class SeenAs(msgspec.Struct, frozen=True):
    verdict: str
    why: str = "so it is"


class See(HostOperation[SeenAs, LampState, NoGoal]):
    """Finds what it is told to find."""

    name = "lamp.see"
    reads_only = True
    wish, state, goal_type = SeenAs, LampState, NoGoal

    def observe(self, transport: Transport, wish: SeenAs, looks: frozenset[str]) -> LampState:
        return LampState(transport.run(Command("look")).stdout.text)

    def goal(self, pin: LampState, wish: SeenAs) -> NoGoal:
        return NoGoal()

    def decide(self, state: LampState, memory: Memory[LampState, NoGoal], wish: SeenAs) -> Decision:
        verdict = Verdict(wish.verdict)
        if verdict is Verdict.HEALTHY:
            return Done(wish.why, verdict, evidence=(Evidence("seen", lines=("a light",)),))
        return Unknown(wish.why) if verdict is Verdict.UNKNOWN else Fail(wish.why, "mend it", verdict)


@pytest.fixture(autouse=True)
def _seeing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(operations.SHIPPED, "lamp.see", f"{__name__}:See")


def looking(*verdicts: str, deadline: float = 4.0) -> Plan:
    steps = tuple(
        PlannedStep(
            f"look{place}", "lamp.see", Phase.STEP, {"verdict": verdict, "why": f"{verdict} {place}"}, deadline=deadline
        )
        for place, verdict in enumerate(verdicts)
    )
    return Plan("check.lamp", "Look", "all", (TargetPlan(Target("lamp"), steps),), read_only=True)


def look(world: World, plan: Plan, options: Options | None = None) -> TargetResult:
    (result,) = world.run(plan, options).results
    return result


def outcomes(result: TargetResult) -> list[str]:
    return [step.outcome.value for step in result.steps]


def test_a_bad_look_does_not_end_the_others_and_the_worst_decides(world: World) -> None:
    result = look(world, looking("healthy", "degraded", "down", "healthy"))
    assert outcomes(result) == ["ok", "failed", "failed", "ok"]
    assert (result.outcome, result.verdict, result.message) == (Outcome.FAILED, Verdict.DOWN, "down 2")
    assert result.steps[0].evidence == (Evidence("seen", lines=("a light",)),)


def test_of_equally_bad_ones_the_first_decides(world: World) -> None:
    assert look(world, looking("degraded", "degraded")).message == "degraded 0"


def test_a_target_that_cannot_be_reached_is_asked_once_and_unknown(world: World) -> None:
    world.lamps["lamp"].before_look = [ConnectRefused("nothing listens")] * 5
    result = look(world, looking("healthy", "healthy"))
    assert outcomes(result) == ["unreachable", "skipped"]
    assert (result.outcome, result.verdict, world.lamps["lamp"].asked) == (Outcome.UNREACHABLE, Verdict.UNKNOWN, 1)


def test_what_has_no_answer_when_time_is_up_is_unknown_and_not_skipped(world: World) -> None:
    world.lamps["lamp"].before_look = [ConnectionLost("it fell silent")] * 500
    result = look(world, looking("healthy", "healthy", deadline=600), Options(forks=4, deadline=18))
    assert outcomes(result) == ["unknown", "skipped"]
    assert (result.outcome, result.verdict) == (Outcome.UNKNOWN, Verdict.UNKNOWN)
    assert "deadline of 18 s" in result.message


def test_what_was_never_looked_at_says_so_and_with_which_flags_it_would_be(world: World) -> None:
    result = look(world, looking("healthy"), Options(forks=4, deadline=0))
    assert (result.outcome, result.verdict, world.lamps["lamp"].asked) == (Outcome.UNKNOWN, Verdict.UNKNOWN, 0)
    assert result.message.startswith("not looked at: ")
    assert result.hint == "--forks 4 --deadline 1s gives each of them a turn"


def test_a_look_that_stays_unknown_does_not_hide_the_others(world: World) -> None:
    result = look(world, looking("unknown", "healthy"))
    assert (outcomes(result), result.outcome, result.verdict) == (["unknown", "ok"], Outcome.UNKNOWN, Verdict.UNKNOWN)


def test_a_recovery_still_stops_at_its_first_bad_step(runs: Path) -> None:
    world = World(runs, lamp="broken")
    result = look(world, world.plan(steps=2))
    assert outcomes(result) == ["failed", "skipped"]


WORDS = st.lists(st.sampled_from([verdict.value for verdict in Verdict]), min_size=1, max_size=6)
BY_VERDICT = {"healthy": Outcome.OK, "unknown": Outcome.UNKNOWN, "degraded": Outcome.FAILED, "down": Outcome.FAILED}


@given(WORDS)
def test_message_and_verdict_are_always_of_the_same_step(words: Sequence[str]) -> None:
    steps = [
        StepResult(f"s{place}", "x.y", Phase.STEP, BY_VERDICT[word], f"{place}", verdict=Verdict(word))
        for place, word in enumerate(words)
    ]
    result = TargetResult.of("t", "linux", steps)
    worst = min(words, key=["down", "degraded", "unknown", "healthy"].index)
    assert result.verdict == worst
    assert result.message == str(words.index(worst))
