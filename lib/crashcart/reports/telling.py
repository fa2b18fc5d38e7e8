"""What every display of a run keeps while the run goes on, so that it can tell each event and the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from crashcart.events import AnyEvent, RunFinished, RunStarted, TargetFinished, UndoOwed
from crashcart.reports.banner import Banner, make_banner
from crashcart.reports.closing import Closing, make_closing
from crashcart.reports.commands import Commands
from crashcart.reports.story import Line, Story
from crashcart.reports.undoing import Undoable
from crashcart.results import TargetResult


class Source(msgspec.Struct, frozen=True):
    """What a display knows of a run besides its events. ``command`` is the command line as it was typed, if known.

    ``journal_hash`` is asked at the end: the journal has written ``run.finished`` by the time that a display hears of it.
    """

    journal: Path
    journal_hash: Callable[[], str]
    command: Sequence[str] = ()


class Telling:
    """One run as it is told; made from its first event."""

    def __init__(self, started: RunStarted, source: Source) -> None:
        self.started = started
        self._source = source
        self._commands = Commands.of(started, source.command)
        self._story = Story(started)
        self._results: dict[str, TargetResult] = {}
        self._owed: dict[str, UndoOwed] = {}
        self._undoable = Undoable()
        self.is_over = False

    def banner(self, began: datetime) -> Banner:
        """Return what is shown first."""
        return make_banner(self.started, began, self._commands)

    @property
    def record(self) -> tuple[str, str]:
        """The journal's path, and the hash of its last line as it stands now."""
        return str(self._source.journal), self._source.journal_hash()

    def take(self, event: AnyEvent) -> list[Line]:
        """Take note of an event and return its lines."""
        self._undoable.notice(event)
        if isinstance(event, TargetFinished):
            self._results[event.result.name] = event.result
        elif isinstance(event, UndoOwed):
            self._owed[event.target] = event
        return list(self._story.tell(event))

    def end(self, ended: RunFinished | None) -> Closing:
        """Return what is shown last; None for a run that broke off."""
        self.is_over = True
        names = (plan.target.name for plan in self.started.plan.targets)
        results = [self._results[name] for name in names if name in self._results]
        owed, undos = list(self._owed.values()), self._undoable.all()
        return make_closing(self.started, results, ended, self._commands, owed, undos)
