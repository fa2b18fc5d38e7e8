"""What is shipped of a closed run: its journal, its evidence, its plan, and a list of them with their hashes.

All of it is what the run's folder holds, so secrets are out already. The same run gives the same parcel each time. A run
that was closed by an interrupt and went on is closed again: its journal is longer then, and gets a name of its own
(``events.2.jsonl``), so that nothing that was shipped is ever replaced.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from crashcart.errors import JournalError, Refused
from crashcart.events import RunFinished
from crashcart.journal.lines import digest
from crashcart.journal.recall import PastRun
from crashcart.secrets import encode_secret


class Piece(msgspec.Struct, frozen=True):
    """One object: its name below the run's id, and its bytes."""

    name: str
    data: bytes

    @property
    def sha256(self) -> str:
        """The hash of the bytes, in hexadecimal."""
        return hashlib.sha256(self.data).hexdigest()


class Listed(msgspec.Struct, frozen=True):
    """A piece as the manifest names it."""

    name: str
    sha256: str
    size: int


class Manifest(msgspec.Struct, frozen=True):
    """The last piece: what was shipped. ``last_hash`` is what ``runs.verify`` compares a journal with."""

    run: str
    playbook: str
    actor: str
    status: str
    exit_code: int
    last_hash: str
    pieces: tuple[Listed, ...]
    schema: int = 1


def parcel(past: PastRun) -> list[Piece]:
    """Return the pieces of a closed run, the manifest last. Raises ``Refused`` for one that is not closed."""
    finished = past.finished
    if finished is None:
        run = past.started.run
        raise Refused(f"run {run} is not closed, so there is nothing to ship yet", hint=f"inv runs.resume {run} closes it")
    closed = sum(isinstance(line.event, RunFinished) for line in past.lines)
    later = f".{closed}" if closed > 1 else ""
    pieces = [Piece(f"events{later}.jsonl", _journal(past)), Piece("plan.json", _json(past.started.plan)), *_evidence(past)]
    manifest = Manifest(
        run=past.started.run,
        playbook=past.started.plan.playbook,
        actor=past.started.actor,
        status=finished.status,
        exit_code=finished.exit_code,
        last_hash=past.lines[-1].hash,
        pieces=tuple(Listed(piece.name, piece.sha256, len(piece.data)) for piece in pieces),
    )
    return [*pieces, Piece(f"manifest{later}.json", _json(manifest))]


def _journal(past: PastRun) -> bytes:
    """Read the journal's bytes as they were when it was read as events; it may be going on in this moment."""
    data = _read(past.path)
    last = data.rstrip(b"\n").rpartition(b"\n")[2]
    if digest(last) != past.lines[-1].hash:
        raise Refused(f"run {past.started.run} is going on", hint="it is shipped when it is closed")
    return data


def _evidence(past: PastRun) -> list[Piece]:
    folder = past.path.parent / "evidence"
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return [Piece(str(path.relative_to(folder.parent)), _read(path)) for path in files]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise JournalError(f"cannot read {path}: {error.strerror}") from error


def _json(value: msgspec.Struct) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value, enc_hook=encode_secret), indent=2)
