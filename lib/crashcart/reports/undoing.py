"""What a run did that could be taken back, and what it should have taken back and did not, as its events tell it."""

from __future__ import annotations

import msgspec

from crashcart.events import Acted, AnyEvent, Intended, StepFinished, UndoBegun, UndoOwed
from crashcart.journal.recall import PastRun
from crashcart.plan import Undo
from crashcart.results import GOOD, Phase, StepResult

_NOTHING_DONE = frozenset({"not_applied", "rejected", "refused"})


class Undoable:
    """Keeps the undos of acts that were sent and not taken back."""

    def __init__(self) -> None:
        self._undos: dict[tuple[str, str, str], Undo] = {}

    def notice(self, event: AnyEvent) -> None:
        """Take note of an event."""
        match event:
            case Intended(target, step, key, undo=Undo() as undo):
                self._undos[target, step, key] = undo
            case Acted(target, step, key, result) if result in _NOTHING_DONE:
                self._undos.pop((target, step, key), None)
            case StepFinished(target, result) if result.outcome in GOOD:
                self._undos = {
                    place: undo for place, undo in self._undos.items() if not _puts_back(target, result, place, undo)
                }
            case UndoBegun(target):
                # What could not be taken back is owed, which is told by itself.
                self._undos = {place: undo for place, undo in self._undos.items() if place[0] != target}

    def all(self) -> list[tuple[str, Undo]]:
        """Return each undo with its target, newest first."""
        return [(place[0], undo) for place, undo in reversed(self._undos.items())]


def _puts_back(target: str, result: StepResult, place: tuple[str, str, str], undo: Undo) -> bool:
    """Tell whether a later step of the run itself has done what would take an act back, as a host rejoins its group."""
    return place[0] == target and place[1] != result.name and undo.operation == result.operation


def standing_undos(past: PastRun) -> list[tuple[str, Undo]]:
    """Return the undo of each act of a past run that still stands, with its target, newest first."""
    undoable = Undoable()
    for line in past.lines:
        undoable.notice(line.event)
    return undoable.all()


def owed_undos(past: PastRun) -> tuple[UndoOwed, ...]:
    """Return what is still owed on each target: what a resumed run took back after all is left out."""
    owed: dict[str, UndoOwed] = {}
    done: set[tuple[str, str]] = set()
    for line in past.lines:
        match line.event:
            case UndoOwed(target):
                owed[target] = line.event
            case StepFinished(target, result) if result.phase is Phase.UNDO and result.outcome in GOOD:
                done.add((target, result.name))
    still = (_without(event, done) for event in owed.values())
    return tuple(event for event in still if event.undos)


def _without(event: UndoOwed, done: set[tuple[str, str]]) -> UndoOwed:
    undos = tuple(undo for undo in event.undos if (event.target, undo.steps[-1].name) not in done)
    return msgspec.structs.replace(event, undos=undos)
