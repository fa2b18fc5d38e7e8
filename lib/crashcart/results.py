"""What came of a run: per step, per target, and as an exit code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from enum import StrEnum

import msgspec


class Outcome(StrEnum):
    """What became of one step, or of one target."""

    OK = "ok"
    CHANGED = "changed"
    WOULD_CHANGE = "would_change"
    SKIPPED = "skipped"
    REFUSED = "refused"
    FAILED = "failed"
    UNREACHABLE = "unreachable"
    UNKNOWN = "unknown"


class Phase(StrEnum):
    """Which part of the playbook a step belongs to."""

    STEP = "step"
    VERIFY = "verify"
    UNDO = "undo"


class Verdict(StrEnum):
    """How a target is, as far as its facts tell. ``unknown`` is never healthy."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    DOWN = "down"
    UNKNOWN = "unknown"


class Mode(StrEnum):
    """``check`` stops where ``apply`` would act; all else is the same code."""

    CHECK = "check"
    APPLY = "apply"


GOOD = frozenset({Outcome.OK, Outcome.CHANGED})
"""After these the next step of a target runs."""

BAD = frozenset({Outcome.FAILED, Outcome.UNREACHABLE, Outcome.UNKNOWN})
"""These count against ``max_failures``."""

_WORST_FIRST = (
    Outcome.FAILED,
    Outcome.UNREACHABLE,
    Outcome.UNKNOWN,
    Outcome.REFUSED,
    Outcome.WOULD_CHANGE,
    Outcome.CHANGED,
    Outcome.OK,
    Outcome.SKIPPED,
)

_GRAVEST_FIRST = (Verdict.DOWN, Verdict.DEGRADED, Verdict.UNKNOWN, Verdict.HEALTHY)

EXIT_OK, EXIT_FAILED, EXIT_BAD_INPUT, EXIT_REFUSED, EXIT_UNREACHABLE, EXIT_UNKNOWN, EXIT_INTERRUPTED = 0, 1, 2, 3, 4, 5, 130

_EXIT_OF = {
    Outcome.FAILED: EXIT_FAILED,
    Outcome.UNREACHABLE: EXIT_UNREACHABLE,
    Outcome.UNKNOWN: EXIT_UNKNOWN,
    Outcome.REFUSED: EXIT_REFUSED,
}


class Change(msgspec.Struct, frozen=True):
    """One thing that an act changed, or would change."""

    what: str
    before: str
    after: str


class Evidence(msgspec.Struct, frozen=True):
    """Something kept before an act: a file of the run's folder with its hash, or a list of lines."""

    name: str
    file: str = ""
    sha256: str = ""
    lines: tuple[str, ...] = ()


class StepResult(msgspec.Struct, frozen=True):
    """What became of one step on one target. ``attempts`` counts acts, ``duration_s`` is in seconds.

    ``undo`` says how what would change could be taken back.
    """

    name: str
    operation: str
    phase: Phase
    outcome: Outcome
    message: str = ""
    hint: str = ""
    verdict: Verdict | None = None
    attempts: int = 0
    duration_s: float = 0.0
    evidence: tuple[Evidence, ...] = ()
    changes: tuple[Change, ...] = ()
    undo: str = ""


class TargetResult(msgspec.Struct, frozen=True):
    """What became of one target; ``message`` is that of the step that decided its outcome."""

    name: str
    kind: str
    outcome: Outcome
    message: str = ""
    hint: str = ""
    verdict: Verdict | None = None
    steps: tuple[StepResult, ...] = ()

    @classmethod
    def of(cls, name: str, kind: str, steps: Sequence[StepResult]) -> TargetResult:
        """Derive a target's outcome from its steps: the worst one decides; of several, the first with the worst verdict."""
        outcome = worst(step.outcome for step in steps)
        verdicts = [step.verdict for step in steps if step.verdict]
        decisive = min((step for step in steps if step.outcome == outcome), key=_gravity, default=None)
        return cls(
            name=name,
            kind=kind,
            outcome=outcome,
            message=decisive.message if decisive else "",
            hint=decisive.hint if decisive else "",
            verdict=worst_verdict(verdicts),
            steps=tuple(steps),
        )

    @property
    def changed(self) -> bool:
        """Whether an act was applied here, whatever came after it."""
        return any(step.outcome == Outcome.CHANGED or step.changes for step in self.steps if step.attempts)


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """Return the outcome that decides; nothing at all counts as skipped."""
    return min(outcomes, key=_WORST_FIRST.index, default=Outcome.SKIPPED)


def worst_verdict(verdicts: Sequence[Verdict]) -> Verdict | None:
    """Return the verdict that decides, or None where none was given."""
    return min(verdicts, key=_GRAVEST_FIRST.index, default=None)


def _gravity(step: StepResult) -> int:
    """Return a key that sorts steps by their verdicts, worst first; one without a verdict comes last."""
    return _GRAVEST_FIRST.index(step.verdict) if step.verdict else len(_GRAVEST_FIRST)


def summarize(targets: Iterable[TargetResult]) -> dict[str, int]:
    """Count targets by outcome; every outcome is a key."""
    counts = Counter(target.outcome for target in targets)
    return {outcome.value: counts[outcome] for outcome in Outcome}


def exit_code(outcomes: Sequence[Outcome], *, interrupted: bool = False) -> int:
    """Return the exit code of a run; the first of the contract's rules that applies."""
    if interrupted:
        return EXIT_INTERRUPTED
    decisive = worst(outcomes)
    if decisive == Outcome.SKIPPED:
        return EXIT_REFUSED
    return _EXIT_OF.get(decisive, EXIT_OK)
