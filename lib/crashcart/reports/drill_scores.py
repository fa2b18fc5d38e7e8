"""The stored scores of drills, as the reports read them: every rehearsal of every fault, oldest first."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

import msgspec

from crashcart.decoding import from_json

STALE_AFTER = timedelta(days=90)
"""A fault that was not rehearsed for so long counts as no longer known to be recovered from."""


class FaultScore(msgspec.Struct, frozen=True):
    """One fault of a drill. Times are in seconds; None means that it did not happen, or was not measured."""

    variant: str
    fault: str
    passed: bool
    detected_s: float | None = None
    recovered_s: float | None = None
    second_run_changes: int | None = None
    writes: int | None = None
    collateral: str = ""
    undo: str = ""
    problems: tuple[str, ...] = ()


class DrillRecord(msgspec.Struct, frozen=True):
    """One drill as it was stored: the JSON below ``drills/`` of the state folder; fields that are not shown are left out."""

    drill: str
    playbook: str
    started: datetime
    targets: tuple[str, ...]
    variants: tuple[FaultScore, ...]
    version: str


class Rehearsal(msgspec.Struct, frozen=True):
    """One fault of one stored drill."""

    drill: DrillRecord
    score: FaultScore


class DeclaredFault(msgspec.Struct, frozen=True, order=True):
    """One fault that a drill declares, whether it was ever rehearsed or not."""

    drill: str
    variant: str
    playbook: str


class Standing(StrEnum):
    """What is known of a fault now; those that need attention most come first."""

    FAILED = "FAILED"
    NEVER = "never rehearsed"
    STALE = "stale"
    PASSED = "passed"


class Course(msgspec.Struct, frozen=True):
    """All stored rehearsals of one declared fault, oldest first; there may be none."""

    fault: DeclaredFault
    rehearsals: tuple[Rehearsal, ...] = ()

    @property
    def latest(self) -> Rehearsal | None:
        """The rehearsal that counts."""
        return self.rehearsals[-1] if self.rehearsals else None

    def standing(self, now: datetime) -> Standing:
        """Return what the last rehearsal says; one that is too long ago is not believed."""
        latest = self.latest
        if latest is None:
            return Standing.NEVER
        if not latest.score.passed:
            return Standing.FAILED
        return Standing.STALE if now - latest.drill.started > STALE_AFTER else Standing.PASSED


class History(msgspec.Struct, frozen=True):
    """Every fault that drills declare, what was stored of them, and the files that could not be read.

    ``records`` are oldest first. What is not known, and what was never rehearsed, is not passed.
    """

    declared: tuple[DeclaredFault, ...]
    records: tuple[DrillRecord, ...] = ()
    unreadable: tuple[str, ...] = ()

    def courses(self, now: datetime) -> list[Course]:
        """Return every declared fault, those first that need attention most; what no drill declares any more is left out."""
        found: defaultdict[tuple[str, str], list[Rehearsal]] = defaultdict(list)
        for record in self.records:
            for score in record.variants:
                found[record.drill, score.variant].append(Rehearsal(record, score))
        courses = [Course(fault, tuple(found[fault.drill, fault.variant])) for fault in self.declared]
        return sorted(courses, key=lambda course: (list(Standing).index(course.standing(now)), course.fault))


def read_history(folder: Path, declared: Sequence[DeclaredFault]) -> History:
    """Read every score in a folder of drills; there is none where nobody ever drilled."""
    records: list[DrillRecord] = []
    unreadable: list[str] = []
    for path in sorted(folder.glob("*.json")):
        try:
            records.append(from_json(path.read_bytes(), DrillRecord))
        except (OSError, msgspec.MsgspecError, ValueError):
            unreadable.append(path.name)
    return History(tuple(declared), tuple(sorted(records, key=lambda record: record.started)), tuple(unreadable))


def standings(courses: Sequence[Course], now: datetime) -> dict[Standing, int]:
    """Count the faults by what is known of them; every standing is a key."""
    counts = Counter(course.standing(now) for course in courses)
    return {standing: counts[standing] for standing in Standing}
