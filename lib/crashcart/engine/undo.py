"""What a target's run would have to take back, registered before each act."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from crashcart.journal.undos import make_owed
from crashcart.operations.base import Action
from crashcart.plan import OwedUndo, PlannedStep, Undo
from crashcart.results import Phase


class UndoMarks(Protocol):
    """Where it is noted, across runs, that a target may be owed an undo."""

    def add(self, key: str, run: str) -> None:
        """Note it. Raises ``JournalError``."""

    def drop(self, key: str, run: str) -> None:
        """Forget it."""


class UndoList:
    """The undos of one target in one run; ``key`` names the target in the marks."""

    def __init__(self, run: str, target: str, key: str, marks: UndoMarks) -> None:
        self._run, self._target, self._key, self._marks = run, target, key, marks
        self._undos: dict[tuple[str, str], tuple[PlannedStep, Undo]] = {}

    def register(self, step: PlannedStep, action: Action) -> None:
        """Note how an act is taken back, before it is sent. Raises ``JournalError``."""
        if action.undo and (step.name, action.key) not in self._undos:
            self.mark()
            self._undos[step.name, action.key] = (step, action.undo)

    def mark(self) -> None:
        """Note across runs that this target may be owed something. Raises ``JournalError``."""
        self._marks.add(self._key, self._run)

    def restore(self, step: PlannedStep, key: str, undo: Undo) -> None:
        """Take up an undo that an earlier process of this run registered."""
        self._undos[step.name, key] = (step, undo)

    def withdraw(self, step: PlannedStep, key: str) -> None:
        """Forget an act that was certainly not applied."""
        self._undos.pop((step.name, key), None)

    def args_of(self, step: str, operation: str) -> Mapping[str, Any]:
        """Return what an operation is asked for to take a step's act back; nothing where another one would do that."""
        undos = [undo for (name, _), (_, undo) in self._undos.items() if (name, undo.operation) == (step, operation)]
        return undos[-1].args if undos else {}

    def due(self) -> tuple[OwedUndo, ...]:
        """Return everything that there is to take back, newest first."""
        numbers: dict[str, int] = {}
        found = []
        for step, undo in self._undos.values():
            numbers[step.name] = numbers.get(step.name, 0) + 1
            found.append(make_owed(self._run, self._target, step, undo, numbers[step.name]))
        return tuple(reversed(found))

    def settle(self, run: str = "") -> None:
        """Drop the mark of this run, or of another one, on this target: nothing is owed any more."""
        self._marks.drop(self._key, run or self._run)


def possible(hint: str, step: PlannedStep) -> str:
    """Leave out of an undo's hint the flags of the operation's own playbook: what takes back is not called with them."""
    if step.phase is not Phase.UNDO:
        return hint
    return "; ".join(part for part in hint.split("; ") if not part.startswith("--"))
