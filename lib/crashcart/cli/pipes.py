"""What a program does when whoever reads its output has left (``| head -1``): it ends without a word, as other tools do."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

CUT_SHORT = 141
"""The exit status that a shell gives to a tool which the signal SIGPIPE ended."""


def while_read(stage: Callable[[], None]) -> None:
    """Run the program, or its last stage. Raises ``SystemExit`` when it could not go on because nobody reads it.

    A command that came to its own end keeps its exit code, whoever read it: a run goes on without its display, and its
    journal is complete. A pipe that broke anywhere else is an error like any other, and no reason to be silent.
    """
    try:
        stage()
    except BrokenPipeError:
        if not _silence():
            raise
        raise SystemExit(CUT_SHORT) from None
    finally:
        _silence()


def _silence() -> bool:
    """Lead to nowhere what nobody reads, or the interpreter would complain when it ends; tell whether there was such."""
    gone = [stream for stream in (sys.stdout, sys.stderr) if _is_unread(stream)]
    for stream in gone:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    return bool(gone)


def _is_unread(stream: TextIO | None) -> bool:
    """Whether a stream is a pipe that nobody reads; what is left in it is written."""
    with suppress(OSError, ValueError):  # of any other trouble with a stream, whoever writes to it has heard
        if stream is not None:
            try:
                stream.flush()
            except BrokenPipeError:
                return True
            return _has_no_reader(stream.fileno())
    return False


def _has_no_reader(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, 0)
    return any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0))
