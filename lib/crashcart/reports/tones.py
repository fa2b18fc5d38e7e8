"""The words of a report and what tone each has. A word always stands there; its colour only repeats what it says."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from crashcart.results import Outcome, TargetResult, Verdict


class Tone(StrEnum):
    """How something is meant; a display picks the colour."""

    PLAIN = "plain"
    QUIET = "quiet"
    GOOD = "good"
    CHANGED = "changed"
    WOULD = "would"
    WARNING = "warning"
    BAD = "bad"
    UNSURE = "unsure"


OUTCOME_TONES = {
    Outcome.FAILED: Tone.BAD,
    Outcome.UNREACHABLE: Tone.BAD,
    Outcome.UNKNOWN: Tone.UNSURE,
    Outcome.REFUSED: Tone.WARNING,
    Outcome.SKIPPED: Tone.QUIET,
    Outcome.WOULD_CHANGE: Tone.WOULD,
    Outcome.CHANGED: Tone.CHANGED,
    Outcome.OK: Tone.GOOD,
}
"""Every outcome, in the order of a summary: what needs attention first."""

VERDICT_TONES = {
    Verdict.DOWN: Tone.BAD,
    Verdict.DEGRADED: Tone.WARNING,
    Verdict.UNKNOWN: Tone.UNSURE,
    Verdict.HEALTHY: Tone.GOOD,
}
"""Every verdict, worst first."""

ACT_TONES = {
    "applied": Tone.CHANGED,
    "not_applied": Tone.WARNING,
    "in_doubt": Tone.UNSURE,
    "rejected": Tone.BAD,
    "refused": Tone.WARNING,
}
"""What can come of an act."""

FINE = frozenset({Outcome.OK, Outcome.CHANGED, Outcome.WOULD_CHANGE})
"""Targets with these outcomes need nobody's attention."""

_OUTCOME_ORDER = {outcome: place for place, outcome in enumerate(OUTCOME_TONES)}
_VERDICT_ORDER = {verdict: place for place, verdict in enumerate(VERDICT_TONES)}


def urgency(result: TargetResult, *, by_verdict: bool) -> tuple[int, int]:
    """Return a key that sorts results by how much they need attention; a read-only playbook is about verdicts.

    A target without a verdict (it could not be reached) comes before one that is known to be healthy.
    """
    verdict = _VERDICT_ORDER[result.verdict or Verdict.UNKNOWN] if by_verdict else 0
    return (verdict, _OUTCOME_ORDER[result.outcome])


def worst_first(results: Sequence[TargetResult]) -> list[TargetResult]:
    """Return results by how much they need attention, by their verdicts where there are any; of equal ones, as they were."""
    by_verdict = any(result.verdict for result in results)
    return sorted(results, key=lambda result: urgency(result, by_verdict=by_verdict))
