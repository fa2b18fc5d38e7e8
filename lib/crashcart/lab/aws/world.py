"""What the emulator's services share: the lab's time, what is due, and what a fault makes true of a resource.

Nothing happens by itself. Before each request the front runs what has become due, in order, each at its own moment; so a
transition costs no thread, and a test drives time by moving the clock.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from itertools import count

import msgspec

from crashcart.errors import BadInput, nearest
from crashcart.lab.aws.durations import DURATIONS

ANY = "*"


class Condition(msgspec.Struct):
    """Something that a fault makes true: of one resource or of any, for some time or some uses, or until it is cleared."""

    kind: str
    resource: str = ANY
    value: str = "on"
    times: int | None = None
    until: datetime | None = None

    def holds(self, kind: str, resource: str, now: datetime) -> bool:
        """Tell whether it is about this resource, now."""
        fits = self.kind == kind and self.resource in {ANY, resource}
        return fits and self.times != 0 and (self.until is None or now < self.until)


class Trailed(msgspec.Struct, frozen=True):
    """A call that changed something, for whoever asks later who did it: when, what, and what it was about."""

    at: datetime
    service: str
    action: str
    concerned: tuple[str, ...]
    agent: str = ""


class World:
    """The state that all services share. ``lock`` is held by whoever answers a request; nothing here takes it."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.durations = {name: duration.lab for name, duration in DURATIONS.items()}
        self.conditions: list[Condition] = []
        self.trail: list[Trailed] = []
        self._order = count()
        self._ahead = timedelta()
        self._moment: datetime | None = None
        self._due: list[tuple[datetime, int, Callable[[], object]]] = []

    def now(self) -> datetime:
        """The lab's time, in UTC; while an effect runs, the moment at which it was due."""
        return self._moment or datetime.now(UTC) + self._ahead

    def advance(self, seconds: float) -> None:
        """Move the lab's time, and let everything happen that is due by then."""
        self._ahead += timedelta(seconds=seconds)
        self.settle()

    def seconds(self, transition: str) -> float:
        """How long a transition takes. Raises ``KeyError`` for one that ``durations.py`` does not list."""
        return self.durations[transition]

    def set_durations(self, wanted: Mapping[str, float]) -> None:
        """Change how long transitions take from now on. Raises ``BadInput``."""
        for name, seconds in wanted.items():
            if name not in DURATIONS:
                raise BadInput(f"there is no transition {name!r}", hint=nearest(name, DURATIONS) or ", ".join(DURATIONS))
            if not 0 <= seconds <= 86400:
                raise BadInput(f"{name}: expected 0 to 86400 seconds, got {seconds}")
        self.durations.update(wanted)

    def after(self, seconds: float, effect: Callable[[], object]) -> None:
        """Have something happen so many seconds from now."""
        heappush(self._due, (self.now() + timedelta(seconds=seconds), next(self._order), effect))

    def settle(self) -> None:
        """Let everything happen that is due, each at its own moment, and what follows from it too."""
        until = self.now()
        while self._due and self._due[0][0] <= until:
            self._moment, _, effect = heappop(self._due)
            try:
                effect()
            finally:
                self._moment = None

    def condition(self, kind: str, resource: str) -> str | None:
        """The value that a fault gives to this kind of condition for a resource, or None. Uses it up once."""
        for condition in self.conditions:
            if condition.holds(kind, resource, self.now()):
                condition.times = None if condition.times is None else condition.times - 1
                return condition.value
        return None

    def set_condition(self, condition: Condition) -> None:
        """Make a condition hold in place of an older one of this kind and resource; an empty value only takes that away."""
        same = (condition.kind, condition.resource)
        self.conditions = [one for one in self.conditions if (one.kind, one.resource) != same]
        if condition.value:
            self.conditions.append(condition)

    def standing(self) -> list[Condition]:
        """The conditions that have not ended."""
        return [one for one in self.conditions if one.holds(one.kind, one.resource, self.now())]

    def reset(self, behind: float = 0.0) -> None:
        """Forget everything and put the clock right, or so many seconds behind; durations are the lab's again."""
        self.durations = {name: duration.lab for name, duration in DURATIONS.items()}
        self.conditions.clear()
        self.trail.clear()
        self._due.clear()
        self._moment, self._ahead = None, timedelta(seconds=-behind)
