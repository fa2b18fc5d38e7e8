"""Batches, thresholds, canaries and interrupts over a simulated world."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crashcart.engine.limits import allowed_failures, batch_sizes
from crashcart.errors import BadInput, ConnectRefused, Refused
from crashcart.events import BatchStarted
from crashcart.plan import Options, Plan, Rollout, TargetPlan
from crashcart.results import Mode, Outcome
from crashcart.targets import Target
from tests.unit.engine.simulated import World


def outcomes(world: World, plan: Plan | None = None) -> list[str]:
    return [result.outcome.value for result in world.run(plan).results]


def batches(world: World) -> list[tuple[str, ...]]:
    return [event.targets for event in world.seen.events if isinstance(event, BatchStarted)]


def test_only_targets_that_need_an_act_are_batched(runs: Path) -> None:
    world = World(runs, a="off", b="on", c="off", d="off")
    assert outcomes(world, world.plan(Rollout(("1", "100%")))) == ["changed", "ok", "changed", "changed"]
    assert batches(world) == [("a",), ("c", "d")]


def test_a_failed_canary_stops_the_run(runs: Path) -> None:
    world = World(runs, a="off", b="off", c="off")
    world.lamps["a"].becomes = "broken"
    verdicts = world.run(world.plan(Rollout(("1", "100%"))))
    assert [result.outcome.value for result in verdicts.results] == ["failed", "skipped", "skipped"]
    assert verdicts.exit_code == 1
    assert "--max-failures 1" in verdicts.message
    assert world.lamps["b"].switched == 0


def test_unreachable_at_the_first_look_stops_before_any_act(runs: Path) -> None:
    world = World(runs, a="off", b="off")
    world.lamps["b"].before_look = [ConnectRefused("nothing listens")]
    verdicts = world.run()
    assert [result.outcome.value for result in verdicts.results] == ["skipped", "unreachable"]
    assert verdicts.exit_code == 4
    assert "before any act" in verdicts.message


def test_max_failures_lets_it_go_on(runs: Path) -> None:
    world = World(runs, a="off", b="off")
    world.lamps["b"].before_look = [ConnectRefused("nothing listens")]
    assert outcomes(world, world.plan(Rollout(max_failures="1"))) == ["changed", "unreachable"]


def test_every_target_is_in_the_result_skipped_ones_too(runs: Path) -> None:
    world = World(runs, a="on")
    plan = world.plan()
    other = TargetPlan(Target("db", kind="rds_cluster"), skip="acts on linux, this is rds_cluster")
    verdicts = world.run(Plan("p", "s", "all", (*plan.targets, other)))
    assert [result.outcome.value for result in verdicts.results] == ["ok", "skipped"]
    assert verdicts.exit_code == 0


def test_nothing_but_skipped_is_refused(runs: Path) -> None:
    world = World(runs)
    other = TargetPlan(Target("db", kind="rds_cluster"), skip="not ours")
    assert world.run(Plan("p", "s", "all", (other,))).exit_code == 3


def test_consent_that_is_not_given_refuses_what_was_ready(runs: Path) -> None:
    world = World(runs, a="off", b="on")

    def refuse(ready: object) -> None:
        raise Refused("not confirmed", hint="--yes")

    world.consent = refuse
    verdicts = world.run()
    assert [result.outcome.value for result in verdicts.results] == ["refused", "ok"]
    assert verdicts.exit_code == 3
    assert world.lamps["a"].switched == 0


def test_the_deadline_of_the_run_ends_it(runs: Path) -> None:
    world = World(runs, a="off", b="off")
    world.lamps["a"].becomes = "warming"
    verdicts = world.run(world.plan(Rollout(("1",)), deadline=300.0), Options(deadline=30))
    assert [result.outcome.value for result in verdicts.results] == ["unknown", "skipped"]
    assert "deadline of 30 s" in verdicts.results[0].message


def test_sessions_stay_within_twice_the_forks(runs: Path) -> None:
    world = World(runs, **{f"h{number}": "off" for number in range(20)})
    assert set(outcomes(world)) == {"changed"}
    verdicts = world.run(options=Options(forks=2))
    assert {result.outcome for result in verdicts.results} == {Outcome.OK}


@pytest.mark.parametrize(
    ("batches", "total", "sizes"),
    [
        (["1", "25%", "100%"], 3, [1, 1, 1]),
        (["1", "25%", "100%"], 10, [1, 3, 6]),
        (["10%"], 5, [1, 1, 1, 1, 1]),
        (["2", "3"], 10, [2, 3, 3, 2]),
        ([], 4, [4]),
        (["5"], 0, []),
    ],
)
def test_batch_sizes(batches: list[str], total: int, sizes: list[int]) -> None:
    assert batch_sizes(batches, total) == sizes


AMOUNTS = st.one_of(st.integers(1, 200).map(str), st.integers(0, 100).map(lambda n: f"{n}%"))


@given(st.lists(AMOUNTS, max_size=5), st.integers(0, 500))
def test_batches_cover_everything_and_none_is_empty(batches: list[str], total: int) -> None:
    sizes = batch_sizes(batches, total)
    assert sum(sizes) == total
    assert all(size >= 1 for size in sizes)


@given(st.integers(0, 100), st.integers(1, 1000))
def test_a_percentage_of_failures_rounds_down(percent: int, total: int) -> None:
    assert allowed_failures(f"{percent}%", total) == total * percent // 100


@pytest.mark.parametrize("text", ["", "-1", "1.5", "101%", "x", "%", "²"])
def test_bad_amounts(text: str) -> None:
    with pytest.raises(BadInput, match="expected a count"):
        allowed_failures(text, 10)


def test_targets_that_are_one_thing_are_not_both_acted_on(runs: Path) -> None:
    """Whichever of them wants an act is refused before any act; what only looks or is alone goes on."""
    world = World(runs, a="off", b="off", c="locked", d="off", e="on", f="off")
    for name, circuit in {"a": "kitchen", "b": "kitchen", "c": "hall", "d": "hall", "e": "attic", "f": "cellar"}.items():
        world.lamps[name].circuit = circuit
    verdicts = world.run()
    assert [result.outcome.value for result in verdicts.results] == [
        *("refused", "refused", "refused", "refused"),
        *("ok", "changed"),
    ]
    assert [lamp.switched for lamp in world.lamps.values()] == [0, 0, 0, 0, 0, 1]
    told = {result.name: (result.message, result.hint) for result in verdicts.results}
    assert told["d"] == (
        "d and c are both selected, and an act on one is an act on the other (hall)",
        "select what is meant: --hosts d",
    )
    assert told["c"][0] == "the lamp is locked"
    assert verdicts.exit_code == 3


def test_one_thing_under_two_names_is_refused_in_check_mode_too(runs: Path) -> None:
    world = World(runs, a="off", b="off")
    for lamp in world.lamps.values():
        lamp.circuit = "kitchen"
    verdicts = world.run(options=Options(mode=Mode.CHECK))
    assert [result.outcome.value for result in verdicts.results] == ["refused", "refused"]
