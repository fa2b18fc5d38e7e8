"""Targets of one run that turn out to be one and the same thing, such as a cluster and its own member.

That two names are one resource is seen before a run begins; what belongs together is known only once it was looked at.
"""

from __future__ import annotations

from collections.abc import Sequence

from crashcart.engine.targetrun import TargetRun
from crashcart.errors import Refused

_SHOWN = 3


def overlapping(runs: Sequence[TargetRun]) -> list[tuple[TargetRun, Refused]]:
    """Return the targets that want an act on what another target stands for too, each with the reason to refuse it."""
    alike: dict[str, list[TargetRun]] = {}
    for run in runs:
        for thing in run.acts_on:
            alike.setdefault(thing, []).append(run)
    shared = {thing: those for thing, those in alike.items() if len(those) > 1}
    wanting = {run.name: (run, thing, those) for thing, those in shared.items() for run in those if run.wanted}
    return [(run, _refusal(run, thing, those)) for run, thing, those in wanting.values()]


def _refusal(run: TargetRun, thing: str, those: Sequence[TargetRun]) -> Refused:
    others = [other.name for other in those if other is not run]
    more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
    why = f"{run.name} and {', '.join(others[:_SHOWN])}{more} are both selected, and an act on one is an act on the other"
    return Refused(f"{why} ({thing})", hint=f"select what is meant: --hosts {run.name}")
