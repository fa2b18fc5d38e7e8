"""The index of finished runs: chained like a journal, so that a whole run cannot vanish unseen."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import msgspec

from crashcart.clock import Clock
from crashcart.decoding import from_json
from crashcart.errors import JournalError
from crashcart.journal.lines import ORIGIN, Altered, digest

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


def ensure_indexed(runs: Path, run: str, last_hash: str, clock: Clock) -> None:
    """Add a finished run that is not there: it was killed between its last event and this index. Raises ``JournalError``."""
    if hash_in(read_index(runs) or (), run) is None:
        append_to_index(runs, run, last_hash, clock)


def read_index(runs: Path) -> tuple[IndexLine, ...] | None:
    """Read the index, checking its chain; None where there is none. Raises ``Altered`` naming the line.

    A torn last line (no newline: the writer was killed) is left out.
    """
    path = runs / INDEX
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise JournalError(f"cannot read {path}: {error.strerror}") from error
    previous, lines = ORIGIN, []
    for number, raw in enumerate(data[: data.rfind(b"\n") + 1].split(b"\n")[:-1], start=1):
        line = _decode(path, number, raw)
        if line.prev != previous:
            raise Altered(f"{path}:{number}: this line does not follow from the one before it")
        previous = digest(raw)
        lines.append(line)
    return tuple(lines)


def hash_in(index: Iterable[IndexLine], run: str) -> str | None:
    """Return the hash under which a run was closed last, or None for a run that is not in the index."""
    return next((line.hash for line in reversed(tuple(index)) if line.run == run), None)


def _decode(path: Path, number: int, raw: bytes) -> IndexLine:
    try:
        return from_json(raw, IndexLine)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Altered(f"{path}:{number}: not a line of the index: {error}") from error
