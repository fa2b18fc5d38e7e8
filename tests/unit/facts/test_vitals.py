"""The clocks: a host's is off only as far as the time that its answer took cannot explain."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from crashcart.facts.vitals import compare_clocks
from crashcart.facts.vitals_state import Vitals

NOW = 1795258591.0


@given(st.floats(-1e5, 1e5), st.floats(0, 30), st.floats(0, 1))
def test_the_true_difference_lies_within_the_margin(ahead: float, duration: float, place: float) -> None:
    """The host read its clock at some ``place`` between the start and the end of the exec."""
    read_at = NOW - duration * (1 - place)
    compared = compare_clocks(Vitals(now=read_at + ahead), NOW, duration)
    assert abs(compared.ahead - ahead) <= compared.ahead_margin + 0.002
