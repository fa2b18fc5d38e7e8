"""Capacity: how much of a group may be down at a time, counting what an act takes away. Judges a census, never observes."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from fractions import Fraction

import msgspec

from crashcart.errors import BadInput
from crashcart.results import Verdict

_AMOUNT = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*%|(\d{1,9})", re.ASCII)
_SHOWN = 5


class Census(msgspec.Struct, frozen=True):
    """Who serves in one capacity group right now.

    ``members`` are all of the group, selected or not; who is not healthy counts as down, and so does who could not be asked.
    ``in_flight`` names those that are being acted on. ``min_healthy`` is a share (``70%``) or a count (``3``) of the group.
    """

    group: str
    members: Mapping[str, Verdict]
    min_healthy: str = "0%"
    in_flight: frozenset[str] = frozenset()

    @property
    def down(self) -> frozenset[str]:
        """Those that do not serve now, or are about to stop."""
        return self.in_flight | {name for name, verdict in self.members.items() if verdict is not Verdict.HEALTHY}


def allowed_down(min_healthy: str, size: int) -> int:
    """Return how many of a group may be down at a time: at least one, or all of them where nothing is guarded.

    Raises ``BadInput`` for what is neither a share nor a count.
    """
    needed = _needed(min_healthy, size)
    return max(1, math.floor(size - needed)) if needed else size


def may_disturb(census: Census, target_name: str, *, force: bool) -> str:
    """Return "" when a target may be acted on, else why not, in numbers, with the flag that would pass.

    Acting on a target that is not healthy takes nothing away, and so does a second act on one that is in flight. Raises
    ``BadInput`` for a ``min_healthy`` that cannot be read.
    """
    return _judge(census, target_name, census.down, force=force)


def admit(census: Census, wanted: Sequence[str], *, force: bool) -> tuple[list[str], list[tuple[str, str]]]:
    """Split targets to be acted on at the same time into those that fit, in order, and those that do not, with the reason.

    Raises ``BadInput`` like ``may_disturb``.
    """
    admitted: list[str] = []
    refused: list[tuple[str, str]] = []
    down = set(census.down)
    for name in dict.fromkeys(wanted):
        why = _judge(census, name, down, force=force)
        if why:
            refused.append((name, why))
        else:
            admitted.append(name)
            down.add(name)
    return admitted, refused


def _judge(census: Census, name: str, down: AbstractSet[str], *, force: bool) -> str:
    size = len(census.members)
    if name not in census.members:
        return f"{name} was not counted in group {census.group}: what would be left is not known; --hosts {name} counts it"
    if name in down or not _needed(census.min_healthy, size):
        return ""
    if size == 1:
        return "" if force else f"{name} is healthy and the only one of group {census.group}; --force consents to its outage"
    allowed = allowed_down(census.min_healthy, size)
    return "" if len(down) < allowed else _words(census, name, down, allowed)


def _words(census: Census, name: str, down: AbstractSet[str], allowed: int) -> str:
    size = len(census.members)
    limit = (
        f"at most {allowed} of the {size} of group {census.group} may be down at a time (min_healthy {census.min_healthy})"
    )
    broken = sorted(down & census.down - census.in_flight)
    busy = sorted(down - set(broken))
    parts = [f"{len(broken)} not healthy ({_list(broken)})"] if broken else []
    parts += [f"{len(busy)} being acted on ({_list(busy)})"] if busy else []
    way = f"--hosts {','.join(broken[:_SHOWN])} repairs them first" if broken else "it is its turn once they serve again"
    return f"{name} is healthy, and {limit}: there are {' and '.join(parts)}; {way}"


def _list(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _needed(min_healthy: str, size: int) -> Fraction:
    """Return how many have to stay healthy; a fraction, so that 70% of 10 is 7 and not a little less."""
    match = _AMOUNT.fullmatch(min_healthy.strip())
    if not match or (match[1] and Fraction(match[1]) > 100):
        raise BadInput(f"min_healthy: expected a share such as 70% or a count such as 3, got {min_healthy!r}")
    return Fraction(match[1]) * size / 100 if match[1] else Fraction(match[2])
