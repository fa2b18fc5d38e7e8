"""The lab's time, and what falls due in it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crashcart.errors import BadInput
from crashcart.lab.aws.durations import DURATIONS
from crashcart.lab.aws.world import Condition, World


@settings(max_examples=40)
@given(st.lists(st.integers(0, 100), max_size=20), st.lists(st.integers(0, 30), max_size=10))
def test_what_is_due_happens_in_order_each_at_its_own_moment(delays: list[int], steps: list[int]) -> None:
    world, happened = World(), list[tuple[int, datetime]]()
    for delay in delays:
        world.after(delay, lambda delay=delay: happened.append((delay, world.now())))  # type: ignore[misc]
    passed = 0
    for step in steps:
        world.advance(step)
        passed += step
        assert {delay for delay in delays if delay <= passed} <= {delay for delay, _ in happened}
    world.advance(200)
    assert [delay for delay, _ in happened] == sorted(delays)
    moments = [moment for _, moment in happened]
    assert moments == sorted(moments)


def test_what_follows_from_an_effect_counts_from_its_moment() -> None:
    world, moments = World(), list[datetime]()

    def again() -> None:
        moments.append(world.now())
        if len(moments) < 4:
            world.after(10, again)

    world.after(10, again)
    world.advance(100)
    assert len(moments) == 4
    assert {later - earlier for earlier, later in pairwise(moments)} == {timedelta(seconds=10)}


def test_an_effect_that_fails_does_not_stop_the_clock() -> None:
    world = World()
    world.after(1, lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        world.advance(5)
    assert (world.now() - datetime.now(UTC)).total_seconds() == pytest.approx(5, abs=1)


def test_a_condition_holds_for_its_resource_its_time_and_its_uses() -> None:
    world = World()
    until = world.now() + timedelta(seconds=10)
    world.set_condition(Condition("a", "x", "1", times=2))
    world.set_condition(Condition("b", "*", "2", until=until))
    assert [world.condition("a", "y"), world.condition("a", "x"), world.condition("a", "x"), world.condition("a", "x")] == [
        None,
        "1",
        "1",
        None,
    ]
    assert world.condition("b", "anything") == "2"
    world.advance(11)
    assert world.condition("b", "anything") is None
    assert world.standing() == []


def test_a_newer_condition_takes_the_place_of_an_older_and_an_empty_one_takes_it_away() -> None:
    world = World()
    for value in ("1", "2"):
        world.set_condition(Condition("a", "x", value))
    assert world.condition("a", "x") == "2"
    world.set_condition(Condition("a", "x", ""))
    assert world.condition("a", "x") is None


@pytest.mark.parametrize(
    ("wanted", "message"),
    [({"rds.failovr": 1.0}, "did you mean rds.failover"), ({"rds.failover": -1.0}, "expected 0 to 86400")],
)
def test_a_duration_that_cannot_be_is_refused(wanted: dict[str, float], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        World().set_durations(wanted)


def test_durations_name_their_source_and_are_shorter_than_on_aws() -> None:
    assert all(duration.source and 0 <= duration.lab < duration.aws for duration in DURATIONS.values())


def test_reset_forgets_everything_and_may_begin_in_the_past() -> None:
    world, happened = World(), list[str]()
    world.after(1, lambda: happened.append("never"))
    world.set_condition(Condition("a"))
    world.set_durations({"rds.failover": 77})
    world.reset(behind=60)
    assert (datetime.now(UTC) - world.now()).total_seconds() == pytest.approx(60, abs=1)
    world.advance(60)
    assert (happened, world.standing(), world.seconds("rds.failover")) == ([], [], DURATIONS["rds.failover"].lab)
