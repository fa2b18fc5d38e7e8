"""The score of a drill: what was injected, how fast it was noticed and mended, and what else changed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from crashcart.results import Outcome, Phase, StepResult, TargetResult

MISSING = "-"
HEADINGS = ["fault", "detected in", "recovered in", "second run", "writes", "collateral", "undo", "result"]


class VariantScore(msgspec.Struct, frozen=True):
    """One fault of a drill. Times are in seconds; None means that it did not happen.

    ``before`` is how the targets were after the fault and before the recovery, in the check's words. ``writes`` counts the
    requests of the recovery that may have changed something. ``undo`` says what became of acts that were taken back.
    ``restored`` is false where the fault itself could not be taken out again.
    """

    variant: str
    fault: str
    passed: bool
    detected_s: float | None = None
    recovered_s: float | None = None
    second_run_changes: int | None = None
    collateral: str = ""
    runs: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    before: str = ""
    writes: int | None = None
    undo: str = ""
    restored: bool = True


class DrillScore(msgspec.Struct, frozen=True):
    """A whole drill."""

    drill: str
    playbook: str
    started: datetime
    targets: tuple[str, ...]
    variants: tuple[VariantScore, ...]
    version: str
    in_lab: bool = True
    schema: int = 1

    @property
    def passed(self) -> bool:
        """Whether every variant passed, and there was one."""
        return bool(self.variants) and all(variant.passed for variant in self.variants)


def target_results(score: DrillScore) -> tuple[TargetResult, ...]:
    """Return the drill as results per target, a step per variant: a variant passes or fails for all of them together."""
    steps = [_step(score, variant) for variant in score.variants]
    return tuple(TargetResult.of(name, "linux", steps) for name in score.targets)


def _step(score: DrillScore, variant: VariantScore) -> StepResult:
    outcome = Outcome.OK if variant.passed else Outcome.FAILED
    return StepResult(variant.variant, score.playbook, Phase.STEP, outcome, "; ".join(variant.problems) or "passed")


def store(score: DrillScore, folder: Path) -> Path:
    """Keep a score in the folder of drills and return its file."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{score.started:%Y%m%d-%H%M%S}-{score.drill}.json"
    half = path.with_suffix(".half")
    half.write_bytes(msgspec.json.format(msgspec.json.encode(score)) + b"\n")
    half.replace(path)
    return path


def table(score: DrillScore) -> list[list[str]]:
    """Return the score as rows of text, the first one the headings."""
    return [HEADINGS, *(_row(variant) for variant in score.variants)]


def overview(scores: Sequence[DrillScore]) -> list[list[str]]:
    """Return several scores as rows of text, the first one the headings."""
    rows = [[f"{score.drill} {row[0]}", *row[1:]] for score in scores for row in table(score)[1:]]
    return [HEADINGS, *rows]


def _row(variant: VariantScore) -> list[str]:
    return [
        variant.variant,
        _seconds(variant.detected_s),
        _seconds(variant.recovered_s),
        MISSING if variant.second_run_changes is None else f"{variant.second_run_changes} changes",
        MISSING if variant.writes is None else str(variant.writes),
        variant.collateral or MISSING,
        variant.undo or MISSING,
        "passed" if variant.passed else "FAILED",
    ]


def _seconds(value: float | None) -> str:
    return MISSING if value is None else f"{value:.1f} s"
