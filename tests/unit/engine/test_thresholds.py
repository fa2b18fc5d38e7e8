"""``max_failures``, as docs/safety.md says it in one sentence, over the real rollout: random fates, batches and limits."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crashcart.engine.limits import allowed_failures, batch_sizes
from crashcart.errors import ConnectRefused
from crashcart.events import BatchStarted
from crashcart.plan import Plan, Rollout
from crashcart.transports.base import CommandResult
from tests.unit.engine.simulated import Lamp, World

RUNS = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
"""Each example is a whole run with a journal, so there are few of them."""

AT_FIRST_LOOK = {"good": "ok", "gone": "unreachable", "broken": "failed", "foggy": "unknown", "locked": "refused"}
"""Fates that are settled before any act, and their outcomes."""

BY_THE_ACT = {"mends": "changed", "breaks": "failed", "vanishes": "unreachable", "fogs": "unknown"}
"""Fates that only an act brings about."""

OUTCOMES = AT_FIRST_LOOK | BY_THE_ACT
BAD = {"failed", "unreachable", "unknown"}

FATES = st.sampled_from([*OUTCOMES, "mends", "mends", "breaks"])
AMOUNTS = st.one_of(st.integers(1, 5).map(str), st.integers(1, 100).map(lambda number: f"{number}%"))
LIMITS = st.one_of(st.integers(0, 9).map(str), st.integers(0, 100).map(lambda number: f"{number}%"))


def vanish(lamp: Lamp) -> CommandResult | None:
    """The act is done, and nothing answers afterwards."""
    lamp.switch()
    lamp.before_look = [ConnectRefused("nothing listens")] * 50
    return None


def make_lamp(fate: str) -> Lamp:
    states = {"good": "on", "broken": "broken", "foggy": "fog", "locked": "locked"}
    lamp = Lamp(states.get(fate, "off"))
    lamp.becomes = {"breaks": "broken", "fogs": "fog"}.get(fate, "on")
    if fate == "gone":
        lamp.before_look = [ConnectRefused("nothing listens")]
    if fate == "vanishes":
        lamp.on_switch = [vanish]
    return lamp


_numbers = itertools.count()


def make_world(folder: Path, fates: Sequence[str]) -> World:
    """A world with a state folder of its own: an example must not see the journals of the ones before."""
    runs = folder / f"world{next(_numbers)}"
    runs.mkdir()
    world = World(runs, **{f"h{number:02}": "off" for number in range(len(fates))})
    for name, fate in zip(world.lamps, fates, strict=True):
        world.lamps[name] = world.transports[name].lamp = make_lamp(fate)
    return world


def batched(world: World) -> list[str]:
    return [name for event in world.seen.events if isinstance(event, BatchStarted) for name in event.targets]


def limited(world: World, batches: Sequence[str], limit: str) -> Plan:
    return world.plan(Rollout(tuple(batches), limit), deadline=20.0)


def expected(fates: Sequence[str], batches: Sequence[str], limit: str) -> list[str]:
    """The sentence, once more and without the engine: what becomes of each target."""
    number = int(limit.removesuffix("%"))
    allowed = len(fates) * number // 100 if limit.endswith("%") else number
    outcomes = [AT_FIRST_LOOK.get(fate, "skipped") for fate in fates]
    ready = [place for place, fate in enumerate(fates) if fate in BY_THE_ACT]
    for batch in by_hand(ready, batches):
        if sum(outcome in BAD for outcome in outcomes) > allowed:
            break
        for place in batch:
            outcomes[place] = BY_THE_ACT[fates[place]]
    return outcomes


def by_hand(ready: list[int], batches: Sequence[str]) -> Iterator[list[int]]:
    total, left = len(ready), list(ready)
    for spec in itertools.chain(batches, itertools.repeat(batches[-1])):
        if not left:
            return
        number = int(spec.removesuffix("%"))
        size = -(-total * number // 100) if spec.endswith("%") else number
        yield left[:size]
        left = left[size:]


@RUNS
@given(st.lists(FATES, min_size=1, max_size=8), st.lists(AMOUNTS, min_size=1, max_size=3), LIMITS)
def test_a_run_stops_exactly_when_more_have_failed_than_is_allowed(
    runs: Path, fates: list[str], batches: list[str], limit: str
) -> None:
    """And what the stop leaves out is not looked at or acted on again; each target is told why, and what would pass."""
    world = make_world(runs, fates)
    verdicts = world.run(limited(world, batches, limit))
    assert [result.outcome.value for result in verdicts.results] == expected(fates, batches, limit)
    bad = sum(result.outcome.value in BAD for result in verdicts.results)
    left_out = {result.name: result.message for result in verdicts.results if result.outcome == "skipped"}
    for (name, lamp), fate in zip(world.lamps.items(), fates, strict=True):
        assert lamp.switched == (fate in BY_THE_ACT and name not in left_out)
    assert all(f"--max-failures {bad}" in message and message == verdicts.message for message in left_out.values())
    assert [world.lamps[name].asked for name in left_out] == [1] * len(left_out), "the survey looked, and nobody since"
    assert not set(left_out) & set(batched(world))


@settings(RUNS, max_examples=25)
@given(st.lists(FATES, min_size=4, max_size=8), st.just(["1"]), st.integers(0, 1).map(str))
def test_the_value_that_a_stop_names_gets_further(runs: Path, fates: list[str], batches: list[str], limit: str) -> None:
    stopped = expected(fates, batches, limit)
    if "skipped" not in stopped:
        return
    world = make_world(runs, fates)
    named = world.run(limited(world, batches, limit)).message.rpartition("--max-failures ")[2]
    assert expected(fates, batches, named).count("skipped") < stopped.count("skipped")


@pytest.mark.parametrize(
    ("fates", "batches", "limit", "outcomes"),
    [
        # no failure allowed: the first one stops, at whatever share it is written
        (["breaks", "mends", "mends"], ["1"], "0", "failed skipped skipped"),
        (["breaks", "mends", "mends"], ["1"], "0%", "failed skipped skipped"),
        # one target: there is nobody left to spare
        (["breaks"], ["1"], "0", "failed"),
        (["gone"], ["1"], "0", "unreachable"),
        (["mends"], ["100%"], "0%", "changed"),
        # everything allowed: nothing stops
        (["breaks", "gone", "breaks", "mends"], ["1"], "100%", "failed unreachable failed changed"),
        (["gone", "gone", "gone"], ["1"], "100%", "unreachable unreachable unreachable"),
        # a percentage rounds down: 33 % of three are none, 34 % are one
        (["breaks", "mends", "mends"], ["1"], "33%", "failed skipped skipped"),
        (["breaks", "mends", "mends"], ["1"], "34%", "failed changed changed"),
        # exactly as many as are allowed do not stop, one more does
        (["breaks", "breaks", "mends"], ["1"], "1", "failed failed skipped"),
        (["breaks", "breaks", "mends"], ["1"], "2", "failed failed changed"),
        # those in flight in the same batch finish; the border of the next one is where it stops
        (["breaks", "mends", "mends", "mends"], ["2"], "0", "failed changed skipped skipped"),
        (["mends", "breaks", "mends", "mends"], ["2"], "0", "changed failed skipped skipped"),
        (["mends", "mends", "breaks", "mends", "mends"], ["2"], "0", "changed changed failed changed skipped"),
        # each failure counts over the whole selection, however many batches ago it was
        (["breaks", "mends", "breaks", "mends"], ["1"], "1", "failed changed failed skipped"),
        # unreachable and unknown count like failed (others leave the unreachable out), refused does not
        (["gone", "mends"], ["1"], "0", "unreachable skipped"),
        (["mends", "gone"], ["1"], "0", "skipped unreachable"),
        (["foggy", "mends"], ["1"], "0", "unknown skipped"),
        (["vanishes", "mends"], ["1"], "0", "unreachable skipped"),
        (["fogs", "mends"], ["1"], "0", "unknown skipped"),
        (["locked", "mends"], ["1"], "0", "refused changed"),
        # those that were well count in the percentage: one of four is 25 %
        (["good", "good", "breaks", "mends"], ["1"], "25%", "ok ok failed changed"),
        (["good", "good", "breaks", "mends"], ["1"], "24%", "ok ok failed skipped"),
    ],
)
def test_borders(runs: Path, fates: list[str], batches: list[str], limit: str, outcomes: str) -> None:
    world = make_world(runs, fates)
    results = world.run(limited(world, batches, limit)).results
    assert [result.outcome.value for result in results] == outcomes.split()
    assert expected(fates, batches, limit) == outcomes.split(), "the sentence as the property tests read it"


def serving(folder: Path, fates: Sequence[str], min_healthy: str, limit: str) -> tuple[World, Plan]:
    """Lamps that all burn, in one capacity group, and are all to be switched anew."""
    world = make_world(folder, fates)
    for lamp in world.lamps.values():
        lamp.state = "on"
    plan = world.plan(Rollout(("100%",), limit, min_healthy), force=True, disturbs=True, deadline=20.0)
    targets = [
        msgspec.structs.replace(each, target=msgspec.structs.replace(each.target, variables={"capacity_group": "web"}))
        for each in plan.targets
    ]
    return world, msgspec.structs.replace(plan, targets=tuple(targets))


def test_within_a_batch_it_stops_before_the_next_part(runs: Path) -> None:
    """One batch of six, of which two may be down: when one of the first two fails, the other four are left alone."""
    world, plan = serving(runs, ["breaks", "mends", "mends", "mends", "mends", "mends"], "4", "0")
    verdicts = world.run(plan)
    assert [result.outcome.value for result in verdicts.results] == ["failed", "changed", *["skipped"] * 4]
    assert [lamp.switched for lamp in world.lamps.values()] == [1, 1, 0, 0, 0, 0]


def test_within_a_batch_it_goes_on_while_no_more_fail_than_allowed(runs: Path) -> None:
    world, plan = serving(runs, ["breaks", "mends", "mends", "mends", "mends", "mends"], "4", "1")
    verdicts = world.run(plan)
    assert [result.outcome.value for result in verdicts.results] == ["failed", *["changed"] * 5]


@settings(max_examples=80)
@given(st.lists(AMOUNTS, min_size=1, max_size=4), st.integers(1, 300))
def test_sizes_are_as_written_round_up_and_the_last_one_repeats(batches: list[str], total: int) -> None:
    sizes = batch_sizes(batches, total)
    written = [
        math.ceil(total * int(spec[:-1]) / 100) if spec.endswith("%") else int(spec)
        for spec in itertools.islice(itertools.chain(batches, itertools.repeat(batches[-1])), len(sizes))
    ]
    assert sum(sizes) == total
    assert min(sizes) >= 1
    assert sizes[:-1] == written[:-1]
    assert sizes[-1] <= written[-1], "the last batch is what is left"


@settings(max_examples=80)
@given(st.integers(0, 100), st.integers(1, 5000))
def test_a_limit_never_rounds_up(percent: int, total: int) -> None:
    allowed = allowed_failures(f"{percent}%", total)
    assert allowed * 100 <= percent * total < (allowed + 1) * 100
    assert allowed_failures("0%", total) == allowed_failures("0", total) == 0
    assert allowed_failures("100%", total) == total
