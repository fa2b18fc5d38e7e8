"""What a run did that could be taken back, as its events tell it: the undo of each act that counts."""

from __future__ import annotations

from crashcart.events import Acted, AnyEvent, Intended, UndoBegun
from crashcart.plan import Undo

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
            case UndoBegun(target):
                # What could not be taken back is owed, which is told by itself.
                self._undos = {place: undo for place, undo in self._undos.items() if place[0] != target}

    def all(self) -> list[tuple[str, Undo]]:
        """Return each undo with its target, newest first."""
        return [(place[0], undo) for place, undo in reversed(self._undos.items())]
