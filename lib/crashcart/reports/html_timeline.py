"""A target's lane in the timeline: what was done there and when, as bars, from the journal's own times.

The journal has the time of each event, and how long each step took. It has no line for the start of a look: that is known
only where a step's duration says so. Where it is not known, as for a look that ended in wanting an act before its batch had
begun, the look is drawn as a mark at the moment when its answer was written, and nothing is made up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from enum import StrEnum

import msgspec
from msgspec.structs import replace

from crashcart.events import (
    Acted,
    AnyEvent,
    BatchStarted,
    Decided,
    Intended,
    Pinned,
    RunResumed,
    Soaking,
    StepFinished,
    Surveyed,
)
from crashcart.reports.html_axis import Moment, span
from crashcart.reports.text import visible
from crashcart.results import Phase

_ROUNDED = 0.005
"""Seconds by which a duration (rounded) and the journal's times may differ for one and the same moment."""


class Kind(StrEnum):
    """What a bar stands for."""

    OBSERVE = "observe"
    WAIT = "wait"
    ACT = "act"
    VERIFY = "verify"
    UNDO = "undo"


class Bar(msgspec.Struct, frozen=True):
    """One stretch of a lane, in seconds on the axis. ``open``: the journal does not say how it ended."""

    kind: Kind
    start: float
    end: float
    text: str
    open: bool = False

    @property
    def title(self) -> str:
        """What the bar stands for, in words."""
        took = f", {span(self.end - self.start)}" if self.end > self.start else ""
        return f"{self.kind.value}: {self.text}{took}{'; its end is not known' if self.open else ''}"


_OF_PHASE = {Phase.STEP: Kind.OBSERVE, Phase.VERIFY: Kind.VERIFY, Phase.UNDO: Kind.UNDO}
_PATIENT = frozenset({"wait", "unknown"})


def lanes(moments: Sequence[Moment], phases: dict[tuple[str, str], Phase]) -> dict[str, list[Bar]]:
    """Return the bars of every target on which something happened; ``phases`` are those of its planned steps."""
    found: defaultdict[str, list[Bar]] = defaultdict(list)
    under_way: defaultdict[tuple[str, str], list[Moment]] = defaultdict(list)
    phases = {**phases, **_finished_phases(moments)}
    last = 0.0
    for moment in moments:
        event = moment.event
        # After the survey a target waits for its batch, which is no looking at it.
        if isinstance(event, RunResumed | Surveyed):
            _break_off(found, under_way, phases, last)
        elif isinstance(event, StepFinished):
            place = (event.target, event.result.name)
            found[event.target] += _step(under_way.pop(place, []), moment, event, _kind(phases, place))
        elif isinstance(event, Pinned | Decided | Intended | Acted):
            under_way[event.target, event.step].append(moment)
        last = moment.at
    _break_off(found, under_way, phases, last)
    _add_soaks(found, moments)
    return {name: sorted(bars, key=lambda bar: bar.start) for name, bars in found.items()}


def _finished_phases(moments: Iterable[Moment]) -> dict[tuple[str, str], Phase]:
    """Steps that were not planned (undos, those after a soak) say their phase when they end."""
    ended = (moment.event for moment in moments if isinstance(moment.event, StepFinished))
    return {(event.target, event.result.name): event.result.phase for event in ended}


def _kind(phases: dict[tuple[str, str], Phase], place: tuple[str, str]) -> Kind:
    return _OF_PHASE[phases.get(place, Phase.STEP)]


def _break_off(
    found: dict[str, list[Bar]],
    under_way: dict[tuple[str, str], list[Moment]],
    phases: dict[tuple[str, str], Phase],
    at: float,
) -> None:
    """End what has no end in the journal: an act lasted until we lost sight of it, of a look only its mark is known."""
    for (target, step), seen in under_way.items():
        bars = _walk(seen, visible(step), _kind(phases, (target, step)))
        if bars and bars[-1].kind is Kind.ACT:
            bars[-1] = replace(bars[-1], end=at, open=True)
        found[target] += bars
    under_way.clear()


def _step(seen: Sequence[Moment], end: Moment, event: StepFinished, kind: Kind) -> list[Bar]:
    """Return the bars of a finished step: the looks of the survey, and the stretch that its duration tells of."""
    result = event.result
    name = visible(result.name)
    began = end.at - result.duration_s
    before = [moment for moment in seen if moment.at < began - _ROUNDED]
    if not result.duration_s:
        return _walk(seen, name, kind)
    within = [moment for moment in seen if moment.at >= began - _ROUNDED]
    return _walk(before, name, kind) + _walk(within, name, kind, began, end.at)


def _walk(
    seen: Sequence[Moment], text: str, kind: Kind, began: float | None = None, ended: float | None = None
) -> list[Bar]:
    """Turn a step's events into bars; without a known beginning the first event is only a mark."""
    if not seen and began is None:
        return []
    start = began if began is not None else seen[0].at
    bars = [Bar(kind, max(0.0, start), max(0.0, start), text)]
    for moment in seen:
        bars[-1] = replace(bars[-1], end=max(bars[-1].start, moment.at))
        following = _after(moment.event, kind, text)
        if following and (following.kind, following.text) != (bars[-1].kind, bars[-1].text):
            bars.append(replace(following, start=bars[-1].end, end=bars[-1].end))
    if ended is not None:
        bars[-1] = replace(bars[-1], end=max(bars[-1].start, ended))
    return _whole(bars)


def _after(event: AnyEvent, kind: Kind, text: str) -> Bar | None:
    """Return what goes on after an event, its times still open; None where nothing changes."""
    if kind is Kind.UNDO:
        return None
    match event:
        case Intended(summary=summary):
            return Bar(Kind.ACT, 0, 0, visible(summary))
        case Decided(decision=decision) if decision in _PATIENT:
            return Bar(Kind.WAIT, 0, 0, text)
        case Acted(result="in_doubt" | "not_applied"):
            return Bar(Kind.WAIT, 0, 0, text)
        case Decided() | Acted():
            return Bar(kind, 0, 0, text)
        case _:
            return None


def _whole(bars: Sequence[Bar]) -> list[Bar]:
    """Leave out stretches without any length, but never an act, nor the only mark of a step."""
    kept = [bar for bar in bars if bar.end > bar.start or bar.kind is Kind.ACT]
    return kept or list(bars[:1])


def _add_soaks(found: dict[str, list[Bar]], moments: Sequence[Moment]) -> None:
    batches: dict[int, tuple[str, ...]] = {}
    for moment in moments:
        if isinstance(moment.event, BatchStarted):
            batches[moment.event.number] = moment.event.targets
        elif isinstance(moment.event, Soaking):
            until = min(moment.at + moment.event.seconds, moments[-1].at)
            for name in batches.get(moment.event.number, ()):
                _add_soak(found[name], moment.at, until)


def _add_soak(bars: list[Bar], start: float, until: float) -> None:
    """A target that is verified again has soaked; one that was not changed is left alone anyway."""
    later = [bar.start for bar in bars if bar.start > start]
    if later:
        bars.append(Bar(Kind.WAIT, start, min(until, *later), "soak"))
