"""The stored scores of drills, as the reports read them: every rehearsal of every fault, oldest first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
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


class Course(msgspec.Struct, frozen=True):
    """All stored rehearsals of one fault, oldest first; there is at least one."""

    drill: str
    variant: str
    rehearsals: tuple[Rehearsal, ...]

    @property
    def latest(self) -> Rehearsal:
        """The rehearsal that counts."""
        return self.rehearsals[-1]

    def is_stale(self, now: datetime) -> bool:
        """Whether the last rehearsal is too long ago to be believed."""
        return now - self.latest.drill.started > STALE_AFTER

    def urgency(self, now: datetime) -> tuple[int, str, str]:
        """Return a key that sorts what failed first, then what was not rehearsed for long."""
        rank = 0 if not self.latest.score.passed else 1 if self.is_stale(now) else 2
        return (rank, self.drill, self.variant)


class History(msgspec.Struct, frozen=True):
    """Stored drills, oldest first, and the files that could not be read: not known is not passed."""

    records: tuple[DrillRecord, ...] = ()
    unreadable: tuple[str, ...] = ()

    def courses(self, now: datetime) -> list[Course]:
        """Return every fault that was ever rehearsed, those first that need attention most."""
        found: defaultdict[tuple[str, str], list[Rehearsal]] = defaultdict(list)
        for record in self.records:
            for score in record.variants:
                found[record.drill, score.variant].append(Rehearsal(record, score))
        courses = [Course(*names, tuple(rehearsals)) for names, rehearsals in found.items()]
        return sorted(courses, key=lambda course: course.urgency(now))


def read_history(folder: Path) -> History:
    """Read every score in a folder of drills; there is none where nobody ever drilled."""
    records: list[DrillRecord] = []
    unreadable: list[str] = []
    for path in sorted(folder.glob("*.json")):
        try:
            records.append(from_json(path.read_bytes(), DrillRecord))
        except (OSError, msgspec.MsgspecError, ValueError):
            unreadable.append(path.name)
    return History(tuple(sorted(records, key=lambda record: record.started)), tuple(unreadable))


def passed(courses: Sequence[Course], now: datetime) -> int:
    """Count the faults whose last rehearsal passed and is not too old."""
    return sum(course.latest.score.passed and not course.is_stale(now) for course in courses)
