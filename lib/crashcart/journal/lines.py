"""The lines of a journal: one event each, chained by the hash of the line before."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import msgspec

from crashcart.decoding import from_json
from crashcart.errors import JournalError
from crashcart.events import AnyEvent
from crashcart.secrets import encode_secret

ORIGIN = "0" * 64
"""What the first line names as the hash before it."""


class Head(msgspec.Struct, frozen=True):
    """What every line has besides its event: when it was written (UTC), and the hash of the line before."""

    time: datetime
    prev: str


class Line(msgspec.Struct, frozen=True):
    """One line as read back: its number from 1, its own hash, and its event."""

    number: int
    hash: str
    head: Head
    event: AnyEvent


class Altered(JournalError):
    """A line does not fit the one before it: something was changed, removed or put elsewhere."""


def encode_line(event: AnyEvent, head: Head) -> bytes:
    """Return the line for an event, without its newline; secrets are masked."""
    fields = {**msgspec.to_builtins(head), **msgspec.to_builtins(event, enc_hook=encode_secret)}
    return msgspec.json.encode(fields)


def digest(line: bytes) -> str:
    """Return the hash that the next line names."""
    return hashlib.sha256(line).hexdigest()


def read_lines(path: Path) -> Iterator[Line]:
    """Read a journal, checking the chain. Raises ``Altered`` naming the line, ``JournalError`` when it cannot be read.

    A torn last line (no newline: the writer was killed) is left out.
    """
    previous = ORIGIN
    for number, raw in enumerate(_whole_lines(path), start=1):
        line = _decode(path, number, raw)
        if line.head.prev != previous:
            raise Altered(f"{path}:{number}: this line does not follow from the one before it")
        previous = line.hash
        yield line


def torn_bytes(path: Path) -> int:
    """Return the length of a torn last line, 0 when the last line is whole."""
    data = path.read_bytes()
    return len(data) - (data.rfind(b"\n") + 1)


def _whole_lines(path: Path) -> list[bytes]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise JournalError(f"cannot read {path}: {error.strerror}") from error
    return data[: data.rfind(b"\n") + 1].split(b"\n")[:-1]


def _decode(path: Path, number: int, raw: bytes) -> Line:
    try:
        head = from_json(raw, Head)
        event = from_json(raw, AnyEvent)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Altered(f"{path}:{number}: not an event: {error}") from error
    return Line(number, digest(raw), head, event)
