"""Runs a step of ``disk.reclaim`` with the real reconciler, a clock that does not wait, and events in a list."""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from crashcart.clock import FakeClock
from crashcart.engine.evidence import EvidenceKeeper
from crashcart.engine.guard import Unguarded
from crashcart.engine.reconcile import Reconciler, Surroundings
from crashcart.engine.turn import Again, Finished, Ready
from crashcart.engine.undo import UndoList
from crashcart.events import Acted, AnyEvent, Intended, Stream
from crashcart.journal.recall import Recalled
from crashcart.operations import find_operation
from crashcart.operations.base import Action
from crashcart.plan import PlannedStep
from crashcart.results import Evidence, Phase, StepResult
from crashcart.targets import Target
from crashcart.transports.base import Transport


class Record:
    """What a run writes down: events, and the bytes of kept evidence."""

    def __init__(self) -> None:
        self.events: list[AnyEvent] = []
        self.kept: list[bytes] = []

    def notice(self, event: AnyEvent) -> None:
        self.events.append(event)

    def keep(self, target: str, name: str, data: bytes) -> Evidence:
        self.kept.append(data)
        return Evidence(name)

    @property
    def acts(self) -> list[str]:
        """The summaries of the acts that were sent."""
        return [event.summary for event in self.events if isinstance(event, Intended)]

    @property
    def results(self) -> list[str]:
        """What came of each act."""
        return [event.result for event in self.events if isinstance(event, Acted)]


class NoMarks:
    """For acts that are never taken back."""

    def add(self, key: str, run: str) -> None:
        raise AssertionError("what was deleted is not taken back")

    def drop(self, key: str, run: str) -> None:
        pass


def make(
    record: Record, wish: dict[str, Any], operation: str = "disk.reclaim", recalled: Recalled | None = None
) -> Reconciler:
    """Return a reconciler for one step, which may have been begun by another process."""
    step = PlannedStep("disk", operation, Phase.STEP, wish, attempts=3, deadline=300.0)
    stream = Stream(record)
    surroundings = Surroundings(stream, FakeClock(), EvidenceKeeper(record, stream), Unguarded())
    undos = UndoList("run", "web1", "web1", NoMarks())
    return Reconciler(Target("web1"), step, find_operation(operation), surroundings, undos, recalled)


def reclaim(host: Transport, wish: dict[str, Any], record: Record | None = None) -> StepResult:
    """Survey, and then act until the step has its result, as a run does."""
    return drive(make(record or Record(), wish), host)


def survey(reconciler: Reconciler, host: Transport) -> StepResult | Action:
    """Take turns without permission to act."""
    return _turns(reconciler, host, may_act=False)


def drive(reconciler: Reconciler, host: Transport, between: Callable[[], object] = lambda: None) -> StepResult:
    """Survey, let something happen, and act."""
    surveyed = survey(reconciler, host)
    if isinstance(surveyed, StepResult):
        return surveyed
    between()
    result = _turns(reconciler, host, may_act=True)
    assert isinstance(result, StepResult)
    return result


def _turns(reconciler: Reconciler, host: Transport, *, may_act: bool) -> StepResult | Action:
    for _ in range(200):
        match reconciler.turn(host, may_act=may_act):
            case Finished(result):
                return result
            case Ready(action):
                return action
            case Again(after):
                reconciler._clock.wait(SimpleQueue[None](), max(after, 0.001), busy=False)
    raise AssertionError("the step does not end")
