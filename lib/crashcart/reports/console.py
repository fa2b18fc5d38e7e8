"""The console display of a run: a live table on a terminal, one plain line per event everywhere else."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol, TextIO

from crashcart.clock import Clock
from crashcart.events import AnyEvent, Observer, RunFinished, RunStarted
from crashcart.reports.banner import Banner
from crashcart.reports.closing import Closing, Notice
from crashcart.reports.telling import Source, Telling
from crashcart.results import Outcome, Verdict

WORD_WIDTH = 12
"""Cells of the longest outcome, ``would_change``; what follows a word begins in the same column on every line."""


class Console(Observer, Protocol):
    """Shows a run's events; ``close`` leaves the terminal as it was, whatever happened, and may be called twice."""

    def close(self) -> None:
        """Show what is left to show. Never raises for a stream that is gone."""


def make_console(
    stream: TextIO,
    clock: Clock,
    *,
    journal: Path,
    journal_hash: Callable[[], str],
    command: Sequence[str] = (),
    plain: bool | None = None,
    environ: Mapping[str, str] | None = None,
) -> Console:
    """Make the display that suits the stream, or the one that ``plain`` says."""
    source = Source(journal, journal_hash, command)
    if _is_plain(stream, os.environ if environ is None else environ) if plain is None else plain:
        return PlainConsole(stream, clock, source)
    from crashcart.reports.console_live import LiveConsole  # noqa: PLC0415 -- rich costs time, and a log needs none of it

    return LiveConsole(stream, clock, source)


class PlainConsole:
    """Writes lines that a log can hold and ``grep`` can find: time, word, target, text; no control codes.

    The summary's lines have no time and begin with their word: ``counts``, ``failed``, ``next``, ``journal``.
    """

    def __init__(self, stream: TextIO, clock: Clock, source: Source) -> None:
        self._stream, self._clock, self._source = stream, clock, source
        self._telling: Telling | None = None

    def notice(self, event: AnyEvent) -> None:
        """Write an event's lines at once. Raises ``OSError`` or ``ValueError`` when the stream is gone."""
        try:
            self._show(event)
        except (OSError, ValueError):
            # Nobody tells a display that failed how the run ended, so it must not say that it broke off.
            self._telling = None
            raise

    def close(self) -> None:
        """Write how to go on, if the run broke off."""
        if self._telling and not self._telling.is_over:
            with suppress(OSError, ValueError):
                self._end(self._telling, None)

    def _show(self, event: AnyEvent) -> None:
        if isinstance(event, RunStarted):
            self._telling = Telling(event, self._source)
            self._write(_banner_lines(self._telling.banner(self._clock.now())))
        elif self._telling and isinstance(event, RunFinished):
            self._end(self._telling, event)
        elif self._telling:
            now = f"{self._clock.now():%H:%M:%S}"
            self._write(f"{now} {_worded(line.word, line.sentence)}" for line in self._telling.take(event))

    def _end(self, telling: Telling, ended: RunFinished | None) -> None:
        path, last_hash = telling.record
        record = _worded("journal", f"{path} sha256 {last_hash}")
        self._write([*_closing_lines(telling.end(ended)), record])

    def _write(self, lines: Iterator[str] | Sequence[str]) -> None:
        # A stream whose encoding lacks a character shows its number; a display must not end for that.
        encoding = self._stream.encoding or "utf-8"
        text = "".join(f"{line}\n" for line in lines)
        self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        self._stream.flush()


def _is_plain(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether a stream is no terminal, or one that can show no moving table. ``NO_COLOR`` takes the colours alone away."""
    dumb = environ.get("TERM", "") in {"", "dumb", "unknown"}
    encoding = (stream.encoding or "").lower().replace("-", "")
    return not stream.isatty() or dumb or encoding != "utf8"


def _worded(word: str, text: str) -> str:
    return f"{word:<{WORD_WIDTH}} {text}".rstrip()


def _banner_lines(banner: Banner) -> Iterator[str]:
    yield f"=== {banner.mode}: {banner.promise} ==="
    yield from (_worded(label, value) for label, value in banner.rows)


def _closing_lines(closing: Closing) -> Iterator[str]:
    yield f"=== {closing.title} ==="
    if closing.ended:
        yield _worded("ended", closing.ended)
    yield _worded("counts", _pairs(closing.counts))
    if closing.verdicts:
        yield _worded("verdicts", _pairs(closing.verdicts))
    for notice in (*closing.wishes, *closing.notices, *closing.undos):
        yield from _notice_lines(notice)
    for step in closing.following:
        yield _worded("next", f"{step.command}  # {step.purpose}")
    if closing.show:
        yield _worded("show", closing.show)
    for notice in closing.owed:
        yield from _notice_lines(notice)


def _notice_lines(notice: Notice) -> Iterator[str]:
    hint = f" (hint: {notice.hint})" if notice.hint else ""
    yield _worded(notice.word, f"{notice.sentence}{hint}")
    yield from (_worded(notice.detail, f"{notice.subject}: {detail}") for detail in notice.details)
    if notice.undo:
        yield _worded("undo", f"{notice.subject}: {notice.undo}")


def _pairs(counts: Mapping[Outcome, int] | Mapping[Verdict, int]) -> str:
    """Write every count, zero or not, so that a line has the same fields in every run."""
    return " ".join(f"{word}={count}" for word, count in counts.items())
