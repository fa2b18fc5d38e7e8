"""Several things found on one target, and the one that decides: the worst, and of equal ones the first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from crashcart.operations.base import Decision, Done, Fail, Unknown
from crashcart.results import Evidence, Verdict, worst_verdict


class Finding(msgspec.Struct, frozen=True):
    """One thing that is not as it should be; ``hint`` is the command that helps, as in ``Fail``."""

    verdict: Verdict
    why: str
    hint: str = ""


def judge(findings: Iterable[Finding], otherwise: str, evidence: Sequence[Evidence] = ()) -> Decision:
    """Decide by the worst finding; the others are kept as evidence. ``otherwise`` says why a target is healthy."""
    found = list(findings)
    worst = worst_verdict([finding.verdict for finding in found])
    kept = tuple(one for one in evidence if one.lines)
    decisive = next((finding for finding in found if finding.verdict is worst), None)
    if decisive is None:
        return Done(otherwise, Verdict.HEALTHY, evidence=kept)
    others = tuple(finding.why for finding in found if finding is not decisive)
    if decisive.verdict is Verdict.UNKNOWN:
        return Unknown("; ".join([decisive.why, *others]), decisive.hint)
    also = (Evidence("also", lines=others),) if others else ()
    return Fail(decisive.why, decisive.hint, decisive.verdict, (*also, *kept))
