"""How fast something changes, from the values that were measured of it: robustly, or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from statistics import median

import msgspec

DAY = 86400.0
FEWEST, SHORTEST = 6, 21600.0
"""Values, and seconds from the first to the last one, below which a trend would be a guess."""


class Value(msgspec.Struct, frozen=True, array_like=True):
    """What was measured at a moment (seconds since 1970)."""

    at: float
    amount: float


def per_day(values: Sequence[Value]) -> float | None:
    """Return by how much the values change in a day, None when there are too few or they are too close together.

    ``values`` are in the order of time, each at its own moment. It is the median of the slopes between all of them
    (Theil and Sen), so that a few which stand out, such as an hour of temporary files, do not make a trend.
    """
    if len(values) < FEWEST or values[-1].at - values[0].at < SHORTEST:
        return None
    slopes = ((later.amount - earlier.amount) / (later.at - earlier.at) for earlier, later in combinations(values, 2))
    return median(slopes) * DAY


def until_empty(left: float, daily: float | None) -> float | None:
    """Return the seconds until nothing is left of ``left``, changing by ``daily``; None when it does not shrink."""
    if daily is None or daily >= 0:
        return None
    return max(0.0, left) / -daily * DAY
