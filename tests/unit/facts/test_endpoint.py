"""Percentiles: the arithmetic that closes an incident."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from crashcart.facts.endpoint import Endpoint, Sample, Trouble, percentile

TIMES = st.lists(st.floats(0, 100, allow_nan=False), min_size=1, max_size=60)
SHARES = st.floats(0, 100)


@given(TIMES, SHARES)
def test_a_percentile_is_a_measured_value_that_enough_others_do_not_exceed(times: list[float], share: float) -> None:
    found = percentile(times, share)
    assert found in times
    within = sum(time <= found for time in times)
    assert within >= math.floor(len(times) * share / 100)
    assert sum(time < found for time in times) < max(1, math.ceil(len(times) * share / 100))


@given(TIMES, SHARES, SHARES)
def test_percentiles_do_not_fall(times: list[float], one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert percentile(times, low) <= percentile(times, high) <= percentile(times, 100) == max(times)


def test_of_nothing_there_is_none_and_a_missing_answer_is_no_fast_one() -> None:
    assert percentile([], 95) == 0.0
    lost = Sample(trouble=Trouble.REFUSED, total=0.0001)
    assert Endpoint("http://x", (lost, Sample(200, 0.5))).percentile(50) == 0.5
