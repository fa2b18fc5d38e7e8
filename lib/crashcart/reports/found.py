"""What the looks at a target found beside the fact that decides: all of it, or the one line that helps most."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from crashcart.reports.alike import common, likeness
from crashcart.reports.diff import MOST_LINES, evidence_lines
from crashcart.reports.text import bounded, visible
from crashcart.results import BAD, TargetResult

CHANGES = ("changed lately", "changed by")
"""The evidence of what changed, whoever found it."""

ERRORS = "error"
"""The evidence of what a log complains of, the most frequent first."""

ALSO = "also"
"""The evidence of what one look found beside its worst finding."""

PLANNED = "planned"
"""The evidence of what somebody else is going to do: maintenance, updates, events."""

MOST_HEADLINES = 3
"""Different headlines that are told of many targets."""

_TIME = re.compile(r"(?:(?P<date>\d{4}-\d\d-\d\d) )?(?P<time>\d\d:\d\d:\d\d) UTC\b")
_TODAY = "9999-12-31"
"""Lines of today have no date: they come after all that have one."""


def findings(result: TargetResult) -> tuple[str, ...]:
    """Return what the last thing that was found says, such as the largest consumers of a disk that stays full.

    Where nothing was done, there is no last thing: all that the looks have found is told, bounded.
    """
    found = [evidence for step in result.steps for evidence in step.evidence if evidence.lines]
    if not any(step.attempts for step in result.steps):
        told = [line for evidence in found for line in evidence_lines(evidence)]
        return tuple(bounded([*(f"{ALSO}: {visible(message)}" for message in _other_steps(result)), *told], MOST_LINES))
    return tuple(evidence_lines(found[-1])) if found else ()


def headline(result: TargetResult) -> str:
    """Return in one line what changed last at a target, or else what its log complains of most, or what is planned there."""
    latest = max(evidence_of(result, *CHANGES), key=_moment, default=None)
    told = latest or next(evidence_of(result, ERRORS), None) or next(evidence_of(result, PLANNED), None)
    return f"{told[0]}: {visible(told[1])}" if told else ""


def brief(result: TargetResult) -> tuple[str, ...]:
    """Return the headline, and one line of what else is bad there."""
    others = [*_other_steps(result), *(line for _, line in evidence_of(result, ALSO))]
    more = f" (and {len(others) - 1} more)" if len(others) > 1 else ""
    return tuple(filter(None, [headline(result), f"{ALSO}: {visible(others[0])}{more}" if others else ""]))


def headlines(alike: Sequence[TargetResult]) -> tuple[str, ...]:
    """Return the headlines of targets that are told together, the most frequent first, with how many of them have each."""
    if len(alike) == 1:
        return brief(alike[0])
    kinds: defaultdict[tuple[str, ...], list[tuple[str, str]]] = defaultdict(list)
    for result in alike:
        if line := headline(result):
            kinds[likeness(line, result.name)].append((line, result.name))
    ordered = sorted(kinds.values(), key=len, reverse=True)
    return tuple(bounded([f"{len(kind)} of {len(alike)}: {common(kind)}" for kind in ordered], MOST_HEADLINES))


def evidence_of(result: TargetResult, *names: str) -> Iterator[tuple[str, str]]:
    """Yield name and line of a target's evidence of these names, in the order in which it was found."""
    kept = (evidence for step in result.steps for evidence in step.evidence if evidence.name in names)
    yield from ((evidence.name, line) for evidence in kept for line in evidence.lines)


def _other_steps(result: TargetResult) -> list[str]:
    return [step.message for step in result.steps if step.outcome in BAD and step.message != result.message]


def _moment(told: tuple[str, str]) -> tuple[str, str]:
    """Return a key by which lines that tell when something was are sorted; without a date it was today."""
    found = _TIME.match(told[1])
    return (found["date"] or _TODAY, found["time"]) if found else ("", "")
