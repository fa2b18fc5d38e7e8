"""A run's folder: ``events.jsonl`` and its evidence, owner-only, there from the first event on."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import secrets
import shutil
from pathlib import Path

import platformdirs

from crashcart.clock import Clock
from crashcart.errors import BadInput, JournalError, Refused, nearest
from crashcart.events import AnyEvent, Intended, RunFinished, RunResumed, RunStarted, UndoBegun, UndoOwed
from crashcart.journal.index import append_to_index
from crashcart.journal.lines import ORIGIN, Head, digest, encode_line, read_lines, torn_bytes
from crashcart.results import Evidence

EVENTS = "events.jsonl"

_SYNCED = (RunStarted, RunResumed, Intended, UndoBegun, UndoOwed, RunFinished)
"""Events that must be on the disk before anything else happens."""


def runs_folder(state: str | None = None) -> Path:
    """Return the folder of all runs: below ``state``, else ``$XDG_STATE_HOME/crashcart``."""
    return (Path(state) if state else platformdirs.user_state_path("crashcart", appauthor=False)) / "runs"


def new_run_id(clock: Clock) -> str:
    """Make a run's id: unique, and sortable by its start to the millisecond, so that ``last`` is the last one."""
    now = clock.now()
    return f"{now:%Y%m%d-%H%M%S}-{now.microsecond // 1000:03x}{secrets.token_hex(3)}"


def find_run(runs: Path, name: str) -> Path:
    """Return the journal that an id, ``last`` or a path names. Raises ``BadInput`` with the nearest ids."""
    if "/" in name or name.endswith(".jsonl"):
        path = Path(name) / EVENTS if Path(name).is_dir() else Path(name)
        if path.is_file():
            return path
        raise BadInput(f"there is no journal at {name}")
    known = run_ids(runs)
    if name == "last" and known:
        return runs / known[-1] / EVENTS
    if name in known:
        return runs / name / EVENTS
    raise BadInput(f"there is no run {name!r} in {runs}", hint=nearest(name, known) or "inv runs.list shows them")


def run_ids(runs: Path) -> list[str]:
    """List the ids of all runs, oldest first."""
    return sorted(path.parent.name for path in runs.glob(f"*/{EVENTS}") if not path.parent.name.startswith("."))


class RunFolder:
    """Writes one run's record. It holds a lock on the journal, so that a run has one writer at a time."""

    def __init__(self, path: Path, descriptor: int, clock: Clock, previous: str) -> None:
        self.path = path
        self._descriptor, self._clock, self._previous = descriptor, clock, previous

    @classmethod
    def create(cls, runs: Path, first: RunStarted, clock: Clock) -> RunFolder:
        """Make the folder with a complete first event; it appears by rename or not at all. Raises ``JournalError``."""
        half = runs / f".{first.run}"
        try:
            half.mkdir(mode=0o700, parents=True)
            descriptor = os.open(half / EVENTS, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
            folder = cls(runs / first.run, descriptor, clock, ORIGIN)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            folder.notice(first)
            half.rename(folder.path)
            _sync_folder(runs)
        except OSError as error:
            shutil.rmtree(half, ignore_errors=True)
            hint = "no journal, no act; CRASHCART_STATE names another folder"
            raise JournalError(f"cannot write the journal in {runs}: {error.strerror}", hint=hint) from error
        return folder

    @classmethod
    def reopen(cls, journal: Path, clock: Clock) -> RunFolder:
        """Go on with an interrupted run's record; a torn last line is cut off. Raises ``Refused`` while it is running."""
        try:
            descriptor = os.open(journal, os.O_WRONLY | os.O_APPEND)
        except OSError as error:
            raise JournalError(f"cannot write {journal}: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise Refused(f"run {journal.parent.name} is still going on", hint="wait for it, or stop it first") from None
        os.ftruncate(descriptor, os.fstat(descriptor).st_size - torn_bytes(journal))
        last = list(read_lines(journal))[-1]
        return cls(journal.parent, descriptor, clock, last.hash)

    @property
    def hash(self) -> str:
        """The hash of the last line: whoever holds it can tell whether the journal was altered."""
        return self._previous

    @property
    def journal(self) -> Path:
        """The path of the events."""
        return self.path / EVENTS

    def notice(self, event: AnyEvent) -> None:
        """Append an event; synced to the disk where later steps rely on it. Raises ``JournalError``."""
        line = encode_line(event, Head(self._clock.now(), self._previous))
        try:
            _write_all(self._descriptor, line + b"\n")
            if isinstance(event, _SYNCED):
                os.fsync(self._descriptor)
        except OSError as error:
            raise JournalError(f"cannot write {self.journal}: {error.strerror}") from error
        self._previous = digest(line)
        if isinstance(event, RunFinished):
            append_to_index(self.path.parent, self.path.name, self._previous, self._clock)

    def keep(self, target: str, name: str, data: bytes) -> Evidence:
        """Write evidence below ``evidence/``, owner-only. Raises ``JournalError``."""
        folder = self.path / "evidence" / _safe(target)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            number = len(list(folder.iterdir())) + 1
            path = folder / f"{number}-{_safe(name)}.txt"
            with open(path, "xb", opener=_owner_only) as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise JournalError(f"cannot keep evidence in {folder}: {error.strerror}") from error
        return Evidence(name=name, file=str(path.relative_to(self.path)), sha256=hashlib.sha256(data).hexdigest())

    def close(self) -> None:
        """Release the journal."""
        os.close(self._descriptor)


def _owner_only(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _safe(name: str) -> str:
    """Make a file name of a target's or step's name: ids of cloud resources hold slashes and colons."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".") or "_"


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
