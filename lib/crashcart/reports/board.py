"""The board: where every target of a run stands at this moment, for a display that shows it live."""

from __future__ import annotations

from collections import Counter

import msgspec

from crashcart.events import (
    Acted,
    AnyEvent,
    BatchStarted,
    Decided,
    Intended,
    Pinned,
    RunStarted,
    StepFinished,
    Surveyed,
    TargetFinished,
)
from crashcart.reports.text import visible
from crashcart.reports.tones import ACT_TONES, OUTCOME_TONES, Tone
from crashcart.results import Outcome

QUEUED, READY = "queued", "ready"
_IDLE = frozenset({QUEUED, READY})

_DECISIONS = {
    "act": (READY, Tone.WOULD),
    "wait": ("waiting", Tone.PLAIN),
    "done": ("settling", Tone.GOOD),
    "unknown": ("unsure", Tone.UNSURE),
}
"""What a target that has decided something is doing; after any other decision its step ends at once."""


class Row(msgspec.Struct, frozen=True):
    """One target on the board; ``since`` is when it came into this state (monotonic seconds)."""

    name: str
    state: str
    tone: Tone
    since: float
    detail: str = ""
    finished: bool = False


class Board:
    """Keeps one row for each target, in the plan's order, and what part of the run is going on."""

    def __init__(self, started: RunStarted, now: float) -> None:
        self.began = now
        self.phase = "looking at the selection"
        self.outcomes: Counter[Outcome] = Counter()
        names = (plan.target.name for plan in started.plan.targets)
        self._rows = {name: Row(visible(name), QUEUED, Tone.QUIET, now) for name in names}

    def notice(self, event: AnyEvent, now: float) -> None:
        """Take note of an event that happened at ``now`` (monotonic seconds)."""
        match event:
            case Surveyed():
                self.phase = "looked at the selection"
            case BatchStarted(number, of):
                self.phase = f"batch {number} of {of}"
            case TargetFinished(result):
                tone = OUTCOME_TONES[result.outcome]
                self.outcomes[result.outcome] += 1
                self._put(result.name, result.outcome.value, tone, result.message, now, finished=True)
            case _:
                self._move(event, now)

    @property
    def total(self) -> int:
        """How many targets there are."""
        return len(self._rows)

    @property
    def finished(self) -> int:
        """How many targets have their outcome."""
        return sum(self.outcomes.values())

    def rows(self, most: int) -> tuple[list[Row], dict[str, int]]:
        """Return the rows to show, at most so many, and how many unfinished ones of each state were left out.

        All of them where they fit. Else those on which something is going on.
        """
        if self.total <= most:
            return list(self._rows.values()), {}
        unfinished = [row for row in self._rows.values() if not row.finished]
        active = [row for row in unfinished if row.state not in _IDLE]
        left_out = Counter(row.state for row in unfinished)
        left_out.subtract(row.state for row in active[:most])
        return active[:most], +left_out

    def _move(self, event: AnyEvent, now: float) -> None:
        match event:
            case Pinned(target, step):
                self._put(target, "looking", Tone.PLAIN, step, now)
            case Decided(target, _, decision, why) if decision in _DECISIONS:
                self._put(target, *_DECISIONS[decision], why, now)
            case Intended(target, _, _, _, summary):
                self._put(target, "acting", Tone.CHANGED, summary, now)
            case Acted(target, _, _, result, why):
                # The names of results are those of the contract; on the board they are words.
                self._put(target, result.replace("_", " "), ACT_TONES.get(result, Tone.PLAIN), why, now)
            case StepFinished(target, result):
                self._put(target, "looking", Tone.PLAIN, f"{result.name} {result.outcome.value}", now)

    def _put(self, target: str, state: str, tone: Tone, detail: str, now: float, *, finished: bool = False) -> None:
        before = self._rows.get(target)
        since = before.since if before and before.state == state else now
        shown = visible(detail) or (before.detail if before else "")
        self._rows[target] = Row(visible(target), state, tone, since, shown, finished)


def clock_face(seconds: float) -> str:
    """Write a span as a clock shows it: ``0:07``, ``12:30``, ``1:02:03``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
