"""The scores of drills as one HTML page with their trend, and as a badge."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path

import msgspec

from crashcart.reports.drill_scores import Course, DrillRecord, FaultScore, History, Rehearsal, Standing, standings
from crashcart.reports.folder import write_whole
from crashcart.reports.html_axis import span
from crashcart.reports.text import counted, visible
from crashcart.reports.tones import Tone

MOST_SHOWN = 30
"""Rehearsals of one fault that the trend and the list show, the newest last."""

NONE = "-"

_HEIGHT = 22

_TONES = {
    Standing.FAILED: Tone.BAD,
    Standing.NEVER: Tone.UNSURE,
    Standing.STALE: Tone.WARNING,
    Standing.PASSED: Tone.GOOD,
}


class Column(msgspec.Struct, frozen=True):
    """One rehearsal in a trend: how long the recovery took as a height; ``passed`` is told by colour and by form."""

    x: int
    height: int
    passed: bool
    title: str


class Past(msgspec.Struct, frozen=True):
    """One rehearsal in the list of a fault's history."""

    when: str
    version: str
    result: str
    tone: Tone
    detected: str
    recovered: str


class FaultRow(msgspec.Struct, frozen=True, kw_only=True):
    """One fault: its last rehearsal, its trend, its history, all of them empty where it was never rehearsed."""

    drill: str
    playbook: str
    variant: str
    result: str
    tone: Tone
    detected: str
    recovered: str
    change: str
    second_run: str
    writes: str
    collateral: str
    undo: str
    when: str
    age: str
    problems: tuple[str, ...]
    trend: tuple[Column, ...]
    trend_text: str
    history: tuple[Past, ...]


class ScoresPage(msgspec.Struct, frozen=True, kw_only=True):
    """The whole page; ``drilled`` tells whether anything was ever rehearsed."""

    status: str
    tone: Tone
    headline: str
    made: str
    drilled: bool
    rows: tuple[FaultRow, ...]
    unreadable: tuple[str, ...]


def scores_html(history: History, now: datetime) -> bytes:
    """Return the stored scores as a page in UTF-8; ``now`` (UTC) tells what is too long ago."""
    # jinja2 is needed by those only who asked for a report.
    from crashcart.reports.html_template import render  # noqa: PLC0415

    return render("scores.html", page=make_scores(history, now))


def scores_badge(history: History, now: datetime) -> bytes:
    """Return a badge in SVG: how many declared faults are recovered from, in green only when it is all of them."""
    from crashcart.reports.html_template import render  # noqa: PLC0415

    status, tone = _status(history, history.courses(now), now)
    return render(
        "badge.svg", label="drills", status=status, tone=tone.value, label_width=44, width=44 + _text_width(status)
    )


def write_scores(folder: Path, history: History, now: datetime) -> list[str]:
    """Write ``drills.html`` and ``badge.svg`` to a folder. Returns what could not be written, and why."""
    made = {"drills.html": scores_html, "badge.svg": scores_badge}
    notes = (write_whole(folder / name, make(history, now)) for name, make in made.items())
    return [note for note in notes if note]


def make_scores(history: History, now: datetime) -> ScoresPage:
    """Make the page of a history."""
    courses = history.courses(now)
    status, tone = _status(history, courses, now)
    return ScoresPage(
        status=status,
        tone=tone,
        headline=f"{counted(len(history.records), 'stored drill')}, {counted(len(courses), 'declared fault')}",
        made=f"{now:%Y-%m-%d %H:%M} UTC",
        drilled=any(course.rehearsals for course in courses),
        rows=tuple(_row(course, now) for course in courses),
        unreadable=tuple(visible(name) for name in history.unreadable),
    )


def _status(history: History, courses: Sequence[Course], now: datetime) -> tuple[str, Tone]:
    counts = standings(courses, now)
    if counts[Standing.NEVER] == len(courses):
        return "not known" if history.unreadable else "never drilled", Tone.UNSURE
    others = [f"{counts[each]} {each.value}" for each in (Standing.STALE, Standing.NEVER) if counts[each]]
    status = ", ".join((f"{counts[Standing.PASSED]} of {len(courses)} passed", *others))
    if counts[Standing.FAILED]:
        return status, Tone.BAD
    if history.unreadable:
        return status, Tone.UNSURE
    return status, Tone.GOOD if counts[Standing.PASSED] == len(courses) else Tone.WARNING


def _row(course: Course, now: datetime) -> FaultRow:
    standing, latest = course.standing(now), course.latest
    score = latest.score if latest else FaultScore(course.fault.variant, "", passed=False)
    shown = course.rehearsals[-MOST_SHOWN:]
    return FaultRow(
        drill=visible(course.fault.drill),
        playbook=visible(course.fault.playbook),
        variant=visible(course.fault.variant),
        result=standing.value,
        tone=_TONES[standing],
        detected=_seconds(score.detected_s),
        recovered=_seconds(score.recovered_s),
        change=_change(course.rehearsals),
        second_run=NONE if score.second_run_changes is None else counted(score.second_run_changes, "change"),
        writes=NONE if score.writes is None else str(score.writes),
        collateral=visible(score.collateral) or NONE,
        undo=visible(score.undo) or NONE,
        when=f"{latest.drill.started:%Y-%m-%d}" if latest else NONE,
        age=_age(latest.drill, now) if latest else "",
        problems=tuple(visible(problem) for problem in score.problems),
        trend=_trend(shown),
        trend_text=_trend_text(shown),
        history=tuple(_past(rehearsal) for rehearsal in reversed(shown)),
    )


def _change(rehearsals: Sequence[Rehearsal]) -> str:
    """Compare the last recovery with the one before that passed."""
    times = [each.score.recovered_s for each in reversed(rehearsals) if each.score.passed]
    last, before = (*islice((time for time in times if time is not None), 2), None, None)[:2]
    if last is None or before is None or not rehearsals[-1].score.passed:
        return ""
    return f"{last - before:+.1f} s"


def _age(drill: DrillRecord, now: datetime) -> str:
    days = (now - drill.started).days
    ago = f"{counted(days, 'day')} ago" if days > 0 else "today"
    return f"{ago}, version {visible(drill.version)}"


def _trend(rehearsals: Sequence[Rehearsal]) -> tuple[Column, ...]:
    longest = max((each.score.recovered_s or 0.0 for each in rehearsals), default=0.0)
    return tuple(_column(place, each, longest) for place, each in enumerate(rehearsals))


def _column(place: int, rehearsal: Rehearsal, longest: float) -> Column:
    score = rehearsal.score
    share = (score.recovered_s or 0.0) / longest if longest else 0.0
    height = max(2, round(share * _HEIGHT)) if score.passed else _HEIGHT
    when = f"{rehearsal.drill.started:%Y-%m-%d %H:%M}"
    return Column(place * 6, height, score.passed, f"{when}: {_word(score)}, recovered in {_seconds(score.recovered_s)}")


def _trend_text(rehearsals: Sequence[Rehearsal]) -> str:
    good = [each.score.recovered_s for each in rehearsals if each.score.passed]
    times = [time for time in good if time is not None]
    between = f", recovered in {_seconds(min(times))} to {_seconds(max(times))}" if times else ""
    return f"{len(good)} of the last {len(rehearsals)} passed{between}"


def _past(rehearsal: Rehearsal) -> Past:
    score = rehearsal.score
    return Past(
        when=f"{rehearsal.drill.started:%Y-%m-%d %H:%M}",
        version=visible(rehearsal.drill.version),
        result=_word(score),
        tone=Tone.GOOD if score.passed else Tone.BAD,
        detected=_seconds(score.detected_s),
        recovered=_seconds(score.recovered_s),
    )


def _word(score: FaultScore) -> str:
    return "passed" if score.passed else "FAILED"


def _seconds(value: float | None) -> str:
    return NONE if value is None else span(value)


def _text_width(text: str) -> int:
    """Room for text of 11 px in any usual font; the badge stretches its letters to it."""
    return 14 + round(6.4 * len(text))
