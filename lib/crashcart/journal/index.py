"""The index of finished runs: chained like a journal, so that a whole run cannot vanish unseen."""

from __future__ import annotations

import fcntl
import os
from datetime import datetime
from pathlib import Path

import msgspec

from crashcart.clock import Clock
from crashcart.errors import JournalError
from crashcart.journal.lines import ORIGIN, digest

INDEX = "index.jsonl"


class IndexLine(msgspec.Struct, frozen=True):
    """One finished run and the hash of its journal's last line."""

    time: datetime
    prev: str
    run: str
    hash: str


def append_to_index(runs: Path, run: str, last_hash: str, clock: Clock) -> None:
    """Add a finished run. Raises ``JournalError``."""
    path = runs / INDEX
    try:
        with open(path, "a+b", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            data = file.read()
            # A line that a killed writer left half-written would make one broken line with ours.
            file.truncate(data.rfind(b"\n") + 1)
            lines = data.split(b"\n")[:-1]
            previous = digest(lines[-1]) if lines else ORIGIN
            file.write(msgspec.json.encode(IndexLine(clock.now(), previous, run, last_hash)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise JournalError(f"cannot write {path}: {error.strerror}") from error


def indexed_hash(runs: Path, run: str) -> str | None:
    """Return the hash under which a run was closed last, or None for a run that is not in the index."""
    try:
        raw = (runs / INDEX).read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return None
    lines = [msgspec.json.decode(line, type=IndexLine) for line in raw]
    return next((line.hash for line in reversed(lines) if line.run == run), None)
