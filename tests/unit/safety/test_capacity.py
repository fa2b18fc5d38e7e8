"""What an act takes away: never more than is allowed, and nothing from what is down already."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crashcart.errors import BadInput
from crashcart.results import Verdict
from crashcart.safety.capacity import Census, admit, allowed_down, may_disturb

SIZES = (1, 2, 3, 100)
NOT_HEALTHY = [verdict for verdict in Verdict if verdict is not Verdict.HEALTHY]


def census(verdicts: Sequence[Verdict], min_healthy: str = "70%", in_flight: frozenset[str] = frozenset()) -> Census:
    return Census("web", {f"w{number}": verdict for number, verdict in enumerate(verdicts)}, min_healthy, in_flight)


def healthy(size: int, min_healthy: str = "70%", in_flight: frozenset[str] = frozenset()) -> Census:
    return census([Verdict.HEALTHY] * size, min_healthy, in_flight)


amounts = st.integers(0, 100).map("{}%".format) | st.integers(0, 120).map(str)


@st.composite
def censuses(draw: st.DrawFn) -> Census:
    size = draw(st.sampled_from(SIZES))
    verdicts = draw(st.lists(st.sampled_from(list(Verdict)), min_size=size, max_size=size))
    flying = draw(st.sets(st.integers(0, size - 1), max_size=3))
    return census(verdicts, draw(amounts), frozenset(f"w{number}" for number in flying))


@pytest.mark.parametrize(
    ("min_healthy", "size", "allowed"),
    [
        ("70%", 1, 1),
        ("70%", 2, 1),
        ("70%", 3, 1),
        ("70%", 10, 3),
        ("70%", 100, 30),
        ("90%", 10, 1),
        ("99%", 100, 1),
        ("33%", 100, 67),
        ("66.6%", 1000, 334),
        ("100%", 100, 1),
        ("0%", 100, 100),
        ("0", 3, 3),
        ("3", 3, 1),
        ("3", 5, 2),
        ("9", 5, 1),
        (" 70 % ", 10, 3),
    ],
)
def test_how_many_may_be_down(min_healthy: str, size: int, allowed: int) -> None:
    assert allowed_down(min_healthy, size) == allowed


def test_percentages_are_exact_for_every_size() -> None:
    for size in range(1, 301):
        for percent in range(1, 101):
            assert allowed_down(f"{percent}%", size) == max(1, size * (100 - percent) // 100)


@pytest.mark.parametrize("text", ["", "70 per cent", "101%", "-1", "1.5", "%", "1e3%", "٣", "all"])
def test_what_is_no_amount_is_bad_input(text: str) -> None:
    with pytest.raises(BadInput, match="expected a share such as 70%"):
        may_disturb(healthy(3, text), "w0", force=False)


@given(censuses(), st.data())
@settings(max_examples=80, deadline=None)
def test_never_more_down_than_allowed_because_of_us(group: Census, data: st.DataObject) -> None:
    wanted = data.draw(st.permutations(list(group.members)))
    admitted, refused = admit(group, wanted, force=False)
    taken = [name for name in admitted if name not in group.down]
    allowed = allowed_down(group.min_healthy, len(group.members))
    assert not taken or len(group.down) + len(taken) <= allowed
    assert sorted(admitted + [name for name, _ in refused]) == sorted(group.members)
    assert all(name not in group.down for name, _ in refused)


@given(censuses(), st.data())
@settings(max_examples=60, deadline=None)
def test_as_many_are_admitted_as_fit(group: Census, data: st.DataObject) -> None:
    wanted = data.draw(st.permutations(list(group.members)))
    admitted, refused = admit(group, wanted, force=True)
    taken = [name for name in admitted if name not in group.down]
    assert not refused or len(group.down) + len(taken) >= allowed_down(group.min_healthy, len(group.members))
    assert [name for name in wanted if name in admitted] == admitted


@pytest.mark.parametrize("size", SIZES)
@given(data=st.data(), min_healthy=amounts)
@settings(max_examples=20, deadline=None)
def test_repairing_a_fleet_that_is_down_is_never_forbidden(size: int, data: st.DataObject, min_healthy: str) -> None:
    verdicts = data.draw(st.lists(st.sampled_from(NOT_HEALTHY), min_size=size, max_size=size))
    group = census(verdicts, min_healthy)
    assert admit(group, list(group.members), force=False) == (list(group.members), [])


@given(censuses(), st.data())
@settings(max_examples=80, deadline=None)
def test_worse_never_allows_more(group: Census, data: st.DataObject) -> None:
    """Another one that goes down, or is taken in flight, never lets a healthy target be disturbed that was refused."""
    names = sorted(group.members)
    target, other = data.draw(st.sampled_from(names)), data.draw(st.sampled_from(names))
    if other == target or not may_disturb(group, target, force=False):
        return
    broken = {**group.members, other: data.draw(st.sampled_from(NOT_HEALTHY))}
    for worse in (
        Census(group.group, broken, group.min_healthy, group.in_flight),
        Census(group.group, group.members, group.min_healthy, group.in_flight | {other}),
    ):
        assert may_disturb(worse, target, force=False)


@given(st.sampled_from(SIZES), st.integers(1, 100), st.integers(1, 100))
@settings(max_examples=60, deadline=None)
def test_a_higher_share_never_allows_more(size: int, one: int, other: int) -> None:
    low, high = sorted((one, other))
    assert allowed_down(f"{high}%", size) <= allowed_down(f"{low}%", size)


@given(st.sampled_from(SIZES), st.integers(0, 800))
@settings(max_examples=60, deadline=None)
def test_parts_of_a_per_cent_are_exact_too(size: int, eighths: int) -> None:
    share = Fraction(eighths, 8)
    percent = f"{float(share):.3f}%"  # an eighth has three decimals
    expected = max(1, (size - share * size / 100).__floor__()) if share else size
    assert allowed_down(percent, size) == expected


@pytest.mark.parametrize("verdict", NOT_HEALTHY)
def test_a_target_that_is_not_healthy_takes_nothing_away(verdict: Verdict) -> None:
    assert may_disturb(census([verdict, *[Verdict.DOWN] * 9]), "w0", force=False) == ""


def test_a_group_of_one_needs_force() -> None:
    why = may_disturb(healthy(1), "w0", force=False)
    assert why == "w0 is healthy and the only one of group web; --force consents to its outage"
    assert may_disturb(healthy(1), "w0", force=True) == ""
    assert may_disturb(healthy(1, "0%"), "w0", force=False) == ""


def test_force_is_no_consent_in_a_larger_group() -> None:
    assert may_disturb(census([Verdict.HEALTHY, Verdict.DOWN]), "w0", force=True)


def test_one_of_two_may_be_disturbed_and_never_both() -> None:
    admitted, refused = admit(healthy(2), ["w1", "w0"], force=False)
    assert admitted == ["w1"]
    (pair,) = refused
    assert pair[0] == "w0"
    assert pair[1] == (
        "w0 is healthy, and at most 1 of the 2 of group web may be down at a time (min_healthy 70%): "
        "there are 1 being acted on (w1); it is its turn once they serve again"
    )


def test_a_refusal_names_who_is_down_and_how_to_repair_them() -> None:
    group = census([*[Verdict.HEALTHY] * 7, Verdict.DOWN, Verdict.UNKNOWN, Verdict.HEALTHY], in_flight=frozenset({"w1"}))
    why = may_disturb(group, "w0", force=True)
    assert "at most 3 of the 10" in why
    assert "2 not healthy (w7, w8) and 1 being acted on (w1)" in why
    assert why.endswith("--hosts w7,w8 repairs them first")


def test_long_lists_are_cut() -> None:
    why = may_disturb(census([Verdict.HEALTHY, *[Verdict.DOWN] * 9]), "w0", force=False)
    assert "9 not healthy (w1, w2, w3, w4, w5 and 4 more)" in why


def test_who_is_in_flight_may_be_acted_on_again_and_is_counted_once() -> None:
    group = healthy(2, in_flight=frozenset({"w0"}))
    assert may_disturb(group, "w0", force=False) == ""
    assert may_disturb(group, "w1", force=False)


def test_who_was_not_counted_is_not_disturbed() -> None:
    assert "was not counted in group web" in may_disturb(healthy(3), "stranger", force=True)


def test_a_name_twice_is_one_target() -> None:
    assert admit(healthy(10), ["w0", "w0"], force=False) == (["w0"], [])
