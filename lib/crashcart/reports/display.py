"""The console: plain lines for files and pipes, colours and a live table of what is under way for a terminal."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from crashcart.events import AnyEvent, BatchStarted, Decided, Observer, RunFinished, RunStarted, TargetFinished
from crashcart.reports.telling import Teller, Told
from crashcart.reports.layout import clean

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.table import Table

STYLES = {
    "banner": "bold white on red",
    "check": "bold white on blue",
    "act": "bold",
    "quiet": "dim",
    "ok": "green",
    "changed": "yellow",
    "would_change": "cyan",
    "skipped": "dim",
    "refused": "magenta",
    "failed": "bold red",
    "unreachable": "bold red",
    "unknown": "bold magenta",
    "interrupted": "bold red",
}


def make_console(out: TextIO, journal: Path, journal_hash: Callable[[], str]) -> Observer:
    """Return the display that fits a stream: no control codes unless it is a terminal that can take them."""
    if out.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        return LiveConsole(out, journal, journal_hash)
    return PlainConsole(out, journal, journal_hash)


class PlainConsole:
    """One line per event, stable words, no control codes."""

    def __init__(self, out: TextIO, journal: Path, journal_hash: Callable[[], str]) -> None:
        self._out, self._journal, self._hash = out, journal, journal_hash
        self._teller = Teller()

    def notice(self, event: AnyEvent) -> None:
        """Print what an event is worth."""
        for told in self._teller.tell(event):
            self._print(told)
        if isinstance(event, RunFinished):
            self._print(Told(f"journal: {self._journal} {self._hash()}", "quiet"))

    def _print(self, told: Told) -> None:
        self._out.write(f"{told.text}\n")
        self._out.flush()


class LiveConsole(PlainConsole):
    """The same lines in colour, above a table of the targets that are under way."""

    def __init__(self, out: TextIO, journal: Path, journal_hash: Callable[[], str]) -> None:
        from rich.console import Console  # noqa: PLC0415 -- only a terminal pays for it

        super().__init__(out, journal, journal_hash)
        self._console: Console = Console(file=out, highlight=False, no_color="NO_COLOR" in os.environ or None)
        self._live: Live | None = None
        self._doing: dict[str, str] = {}
        self._left: set[str] = set()

    def notice(self, event: AnyEvent) -> None:
        """Print what an event is worth and keep the table up to date."""
        self._follow(event)
        if isinstance(event, RunFinished):
            self._stop()
        super().notice(event)
        if isinstance(event, RunStarted):
            self._start()
        elif self._live:
            self._live.update(self._table())

    def _print(self, told: Told) -> None:
        self._console.print(told.text, style=STYLES.get(told.style, ""), markup=False, soft_wrap=True)

    def _follow(self, event: AnyEvent) -> None:
        match event:
            case RunStarted():
                self._left = {target.target.name for target in event.plan.targets}
            case BatchStarted(_, _, targets):
                self._doing |= dict.fromkeys(targets, "its turn")
            case Decided(target, _, decision, why):
                self._doing[target] = f"{decision}: {why}"
            case TargetFinished(result):
                self._doing.pop(result.name, None)
                self._left.discard(result.name)

    def _start(self) -> None:
        from rich.live import Live  # noqa: PLC0415

        self._live = Live(self._table(), console=self._console, transient=True, refresh_per_second=8)
        self._live.start()

    def _stop(self) -> None:
        if self._live:
            self._live.stop()
            self._live = None

    def _table(self) -> Table:
        """As many targets as fit into a third of the screen, and how many are left."""
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        table = Table(box=None, show_header=False, pad_edge=False, expand=True)
        table.add_column(no_wrap=True, max_width=30)
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        room = max(3, shutil.get_terminal_size().lines // 3)
        for name, doing in list(self._doing.items())[:room]:
            table.add_row(Text(name, style="bold"), Text(clean(doing), style="dim"))
        table.add_row(Text(f"{len(self._left)} left", style="dim"), Text(""))
        return table
