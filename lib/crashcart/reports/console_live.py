"""The live display: lines scroll by as things happen, and a table below them shows where every target stands."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from crashcart.clock import Clock
from crashcart.events import AnyEvent, RunFinished, RunStarted, Surveyed
from crashcart.reports.alike import Crowd
from crashcart.reports.banner import Banner
from crashcart.reports.board import Board
from crashcart.reports.console_views import (
    banner_view,
    board_view,
    closing_view,
    following_lines,
    line_view,
    owed_view,
)
from crashcart.reports.story import Line
from crashcart.reports.telling import Source, Telling
from crashcart.results import Mode

CROWDED = 50
"""With more targets than this, only the first few lines of each kind scroll by."""

TICK = 0.125
"""Seconds between two pictures. What happens in between is drawn at once, so that a thousand targets cost little."""


class LiveConsole:
    """Shows a run on a terminal. The table is taken away while the run may ask for consent, and at the end.

    Events arrive on any thread, one at a time; a thread of its own draws. ``width`` and ``height`` are the terminal's
    unless they are given.
    """

    def __init__(
        self, stream: TextIO, clock: Clock, source: Source, *, width: int | None = None, height: int | None = None
    ) -> None:
        self._console = Console(
            file=stream, force_terminal=True, highlight=False, markup=False, emoji=False, width=width, height=height
        )
        self._clock, self._source = clock, source
        self._view: _View | None = None

    def notice(self, event: AnyEvent) -> None:
        """Show an event, at the next tick at the latest. Raises ``OSError`` or ``ValueError`` when the terminal is gone."""
        try:
            self._show(event)
        except (OSError, ValueError):
            # Nobody tells a display that failed how the run ended, so it must not say that it broke off.
            view, self._view = self._view, None
            if view:
                with suppress(OSError, ValueError):
                    view.clear()
            raise

    def close(self) -> None:
        """Take the table away and show how to go on, if the run broke off."""
        if self._view:
            with suppress(OSError, ValueError):
                self._view.end(None)

    def _show(self, event: AnyEvent) -> None:
        if isinstance(event, RunStarted):
            self._view = _View(self._console, self._clock, Telling(event, self._source))
            self._view.open()
        elif self._view and isinstance(event, RunFinished):
            self._view.end(event)
        elif self._view:
            self._view.take(event)


class _View:
    """One run on one terminal."""

    def __init__(self, console: Console, clock: Clock, telling: Telling) -> None:
        self._console, self._clock, self._telling = console, clock, telling
        self._banner: Banner = telling.banner(clock.now())
        self._board = Board(telling.started, clock.monotonic())
        self._lines: list[Text] = []
        self._crowd = Crowd() if self._board.total > CROWDED else None
        # Held while the board or the waiting lines change or are read, never while drawing: rich has locks of its own.
        self._lock = threading.Lock()
        self._picture: _Picture | None = None

    def open(self) -> None:
        """Show the banner and begin the table."""
        self._console.print(banner_view(self._banner))
        self._begin()

    def take(self, event: AnyEvent) -> None:
        """Take note of an event."""
        moment = self._clock.now()
        with self._lock:
            self._board.notice(event, self._clock.monotonic())
            told = [self._admitted(line) for line in self._telling.take(event) if not line.minor]
            self._lines.extend(line_view(line, moment, self._console.width) for line in told if line)
        if isinstance(event, Surveyed) and self._may_ask(event):
            self._pause()
        elif self._picture is None:
            self._begin()
        else:
            self._picture.check()

    def end(self, ended: RunFinished | None) -> None:
        """Take the table away for good and show the summary, once."""
        self._pause()
        if self._telling.is_over:
            return
        closing = self._telling.end(ended)
        self._console.print(closing_view(closing))
        # Commands, path and hash are not wrapped here: a terminal that wraps them itself lets them be copied whole.
        for line in following_lines(closing):
            self._console.print(line, soft_wrap=True)
        if closing.show:
            self._console.print(Text(f"\nshow    {closing.show}", style="dim"), soft_wrap=True)
        for view in owed_view(closing):
            self._console.print(view)
        path, last_hash = self._telling.record
        gap = "" if closing.show and not closing.owed else "\n"
        self._console.print(Text(f"{gap}journal {path}\nsha256  {last_hash}", style="dim"), soft_wrap=True)

    def _admitted(self, line: Line) -> Line | None:
        return self._crowd.admit(line) if self._crowd and line.subject else line

    def clear(self) -> None:
        """Take the table away."""
        picture, self._picture = self._picture, None
        if picture:
            picture.close()

    def _may_ask(self, event: Surveyed) -> bool:
        """Whether the run may ask for consent now; a question cannot be read below a table that moves."""
        return bool(event.ready) and self._telling.started.options.mode is Mode.APPLY

    def _begin(self) -> None:
        self._picture = _Picture(self._console, self._draw, self._scroll)

    def _pause(self) -> None:
        self.clear()
        self._scroll()

    def _draw(self) -> RenderableType:
        with self._lock:
            return board_view(self._board, self._banner, self._clock.monotonic(), self._console.height)

    def _scroll(self) -> None:
        with self._lock:
            lines, self._lines = self._lines, []
        if lines:
            self._console.print(Group(*lines))


class _Picture:
    """A table that is drawn anew at every tick, on a thread of its own, until it is closed."""

    def __init__(self, console: Console, draw: Callable[[], RenderableType], before: Callable[[], None]) -> None:
        self._live = Live(
            console=console,
            get_renderable=draw,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
        )
        self._before = before
        self._closing = threading.Event()
        self._broken: Exception | None = None
        self._live.start(refresh=True)
        self._thread = threading.Thread(target=self._tick, name="console", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise what went wrong while drawing: only the run's own thread can drop a display."""
        if self._broken:
            raise self._broken

    def close(self) -> None:
        """Stop drawing and take the table away."""
        self._closing.set()
        self._thread.join()
        try:
            self.check()
        finally:
            self._live.stop()

    def _tick(self) -> None:
        while not self._closing.wait(TICK):
            try:
                self._before()
                self._live.refresh()
            except (OSError, ValueError) as error:
                self._broken = error
                return
