"""The time axis of a run's timeline: seconds from the journal's lines, and where they stand from left to right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import takewhile

import msgspec

from crashcart.events import AnyEvent, BatchStarted, RunResumed, Soaking
from crashcart.journal.lines import Line
from crashcart.values import format_span

MOST_TICKS = 6
"""Labelled times on an axis; more do not fit on a phone."""

SHORT_BREAK = 1.0
"""Seconds that a break takes on the axis, however long nobody ran anything before the run was resumed."""

_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
"""Seconds between ticks that people can count in."""


class Moment(msgspec.Struct, frozen=True):
    """One event: ``at`` in seconds on the axis, ``time`` as the journal has it (UTC)."""

    at: float
    time: datetime
    event: AnyEvent


LABEL_ROOM = 15.0
"""Per cent of the width that a label takes; a mark that is nearer to the label before it has none."""


class Tick(msgspec.Struct, frozen=True):
    """A place on the axis, in per cent from the left. ``near_end``: its label has no room on the right."""

    x: str
    label: str
    near_end: bool = False


class Axis(msgspec.Struct, frozen=True):
    """How long the whole timeline is, in seconds."""

    seconds: float

    def x(self, at: float) -> str:
        """Return a moment's place in per cent of the width, as short as it may be."""
        share = 100 * at / self.seconds if self.seconds else 0.0
        return f"{share:.2f}".rstrip("0").rstrip(".")

    def ticks(self) -> tuple[Tick, ...]:
        """Return round times from the start on, at most ``MOST_TICKS``."""
        step = next((step for step in _STEPS if self.seconds / step < MOST_TICKS), self.seconds)
        places = takewhile(lambda at: at <= self.seconds, (number * step for number in range(MOST_TICKS)))
        return tuple(self._tick(at, _clock(at, self.seconds)) for at in places) if self.seconds else ()

    def marks(self, moments: Sequence[Moment]) -> tuple[Tick, ...]:
        """Return what happened to the run as a whole: its batches, its soaks, its breaks."""
        return tuple(self._labelled([(moment.at, label) for moment in moments if (label := _label(moment.event))]))

    def _labelled(self, marks: Sequence[tuple[float, str]]) -> Iterator[Tick]:
        room = LABEL_ROOM * self.seconds / 100
        free = 0.0
        for at, label in marks:
            yield self._tick(at, label if at >= free else "")
            free = at + room if at >= free else free

    def _tick(self, at: float, label: str) -> Tick:
        return Tick(self.x(at), label, near_end=at > self.seconds * (1 - LABEL_ROOM / 100))


def moments_of(lines: Sequence[Line]) -> list[Moment]:
    """Place every line of a journal on the axis.

    A clock that was set back does not turn the axis around, and the time in which an interrupted run lay still is cut out.
    """
    return list(_placed(lines))


def span(seconds: float) -> str:
    """Write a time that something took: tenths matter below ten seconds, seconds below two hours."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if 2 <= minutes < 120 and rest else format_span(seconds)


def _clock(at: float, whole: float) -> str:
    """Write a time on the axis: seconds where the whole is short, else as a stop watch shows them."""
    if whole < 120:
        return f"{at:.1f} s" if at % 1 else f"{at:.0f} s"
    minutes, seconds = divmod(round(at), 60)
    return f"{minutes}:{seconds:02}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"


def _placed(lines: Sequence[Line]) -> Iterator[Moment]:
    at, before = 0.0, lines[0].head.time
    for line in lines:
        passed = max(0.0, (line.head.time - before).total_seconds())
        at += min(passed, SHORT_BREAK) if isinstance(line.event, RunResumed) else passed
        before = max(before, line.head.time)
        yield Moment(at, line.head.time, line.event)


def _label(event: AnyEvent) -> str:
    match event:
        case BatchStarted(number, of):
            return f"batch {number}/{of}"
        case Soaking():
            return "soak"
        case RunResumed():
            return "resumed"
        case _:
            return ""
