"""The ledger of budgets: which acts were spent on which target, over all runs of one state folder.

``spending.jsonl`` lies next to ``runs/``, owner-only, one line per act. Counting and writing happen under one short lock, so
of two runs that want the last unit exactly one gets it. A line is on the disk before its act is sent: what a crash tears off
was never acted on, and is cut off. Anything else that cannot be read refuses: what is not known may be spent already.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from queue import SimpleQueue

import msgspec

from crashcart.clock import Clock
from crashcart.decoding import from_json
from crashcart.errors import Refused
from crashcart.values import format_span

PATIENCE = 10.0
"""Seconds to wait for another run that is spending at this very moment."""

KEPT = timedelta(days=8)
"""For how long lines are kept; no budget looks back further than a week."""

MANY = 200
"""As many old lines are worth writing the ledger anew."""

_LARGEST = 64 * 1024 * 1024
_PAUSES = tuple(0.001 * 2**tries for tries in range(6))
_SHOWN = 3


class Allowance(msgspec.Struct, frozen=True):
    """So many acts of one kind on one target within ``period`` seconds; ``text`` is how the inventory says it."""

    kind: str
    count: int
    period: float
    text: str


class Spent(msgspec.Struct, frozen=True):
    """One line: an act of a run on a target, by somebody, at a time in UTC. ``key`` names the act within its run."""

    time: datetime
    kind: str
    target: str
    run: str
    actor: str
    key: str

    def __post_init__(self) -> None:
        if self.time.tzinfo is None:
            raise ValueError("a time without a zone")


class Ledger:
    """Spends the budgets of one state folder. The ledger and its lock are made when they are not there."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path, self._clock = path, clock

    def spend(
        self, kind: str, target: str, run: str, actor: str, allowances: Sequence[Allowance], *, key: str, others: int = 0
    ) -> str:
        """Spend one act, or return why not: who used the budget up, and when the next act is allowed.

        An act that this run has spent already, and now sends again, is not counted twice. ``others`` are acts that the
        target itself knows of, within the same period; the larger count wins. What has no allowance is not recorded.
        Raises ``Refused`` when it cannot be told what is spent, or cannot be written down.
        """
        matching = [allowance for allowance in allowances if allowance.kind == kind]
        if not matching:
            return ""
        with self._book() as book:
            known = [line for line in book.lines if (line.kind, line.target) == (kind, target)]
            if any((line.run, line.key) == (run, key) for line in known):
                return ""
            now = self._clock.now()
            for allowance in matching:
                why = _used_up(allowance, known, others, now)
                if why:
                    return why
            book.add(Spent(now, kind, target, run, actor, key), now - KEPT)
            return ""

    @contextmanager
    def _book(self) -> Iterator[_Book]:
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _opened(self._path.with_suffix(".lock")) as lock:
                self._wait_for(lock)
                with _opened(self._path) as ledger:
                    yield _Book(self._path, ledger)
        except OSError as error:
            hint = "no budget is spent unseen; CRASHCART_STATE names another folder"
            raise Refused(f"cannot keep budgets in {self._path}: {error.strerror or error}", hint=hint) from error

    def _wait_for(self, lock: int) -> None:
        """Take the lock. Not with a blocking call, which a stopped process would make endless."""
        deadline = self._clock.monotonic() + PATIENCE
        pauses = iter(_PAUSES)
        while not _locked(lock):
            if self._clock.monotonic() > deadline:
                why = f"another process has held the lock of {self._path} for {format_span(PATIENCE)}"
                raise Refused(why, hint="a stopped or hung run: fuser names its process; try again once it is gone")
            self._clock.wait(SimpleQueue[None](), next(pauses, _PAUSES[-1]), busy=False)


class _Book:
    """The open ledger, while nobody else writes to it."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path, self._descriptor = path, descriptor
        self._size, self.lines = self._read()

    def add(self, line: Spent, oldest: datetime) -> None:
        """Append a line, synced; lines from before ``oldest`` are left out once there are many."""
        kept = [known for known in self.lines if known.time >= oldest]
        if len(self.lines) - len(kept) >= MANY:
            self._replace([*kept, line])
            return
        os.ftruncate(self._descriptor, self._size)
        try:
            _write_all(self._descriptor, msgspec.json.encode(line) + b"\n")
            os.fsync(self._descriptor)
        except OSError:
            # A whole line that could not be synced must not count against an act that is never sent.
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self._size)
            raise

    def _replace(self, lines: Sequence[Spent]) -> None:
        new = self._path.with_suffix(".new")
        new.unlink(missing_ok=True)
        with _opened(new) as descriptor:
            _write_all(descriptor, b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
            os.fsync(descriptor)
        new.rename(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _read(self) -> tuple[int, list[Spent]]:
        """Return the length of the whole lines, and what they say; a torn last line is not among them."""
        found = os.fstat(self._descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size > _LARGEST:
            raise self._unreadable("it is no ledger of ours")
        with open(self._descriptor, "rb", closefd=False) as file:
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        return len(whole), [self._decode(number, raw) for number, raw in enumerate(whole.split(b"\n")[:-1], start=1)]

    def _decode(self, number: int, raw: bytes) -> Spent:
        try:
            return from_json(raw, Spent)
        except msgspec.MsgspecError as error:
            raise self._unreadable(f"line {number}: {error}") from error

    def _unreadable(self, why: str) -> Refused:
        hint = f"mend it, or put it aside, and all budgets with it: mv {self._path} {self._path}.broken"
        return Refused(f"cannot tell what is spent: {self._path}: {why}", hint=hint)


def _used_up(allowance: Allowance, known: Sequence[Spent], others: int, now: datetime) -> str:
    """Say why an act does not fit any more, or nothing. Lines from the future count: a clock may have been put back."""
    period = timedelta(seconds=allowance.period)
    spent = sorted((line for line in known if line.time + period > now), key=lambda line: line.time)
    if max(len(spent), others) < allowance.count:
        return ""
    parts = [f"the budget {allowance.kind}: {allowance.text} is used up", _who(spent)]
    if others > len(spent):
        parts.append(f"the target itself knows of {others}")
    if allowance.count == 0:
        parts.append("none is allowed at all")
    elif others >= allowance.count:
        parts.append(f"the next one is allowed at {_clock(now + period)} at the latest")
    else:
        parts.append(f"the next one is allowed at {_clock(spent[len(spent) - allowance.count].time + period)}")
    return "; ".join(filter(None, parts))


def _who(spent: Sequence[Spent]) -> str:
    last = [f"{line.actor} at {_clock(line.time)} (run {line.run})" for line in reversed(spent[-_SHOWN:])]
    more = f" and {len(spent) - _SHOWN} before" if len(spent) > _SHOWN else ""
    return ", ".join(last) + more


def _clock(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    """Open a file of ours, made where it is not there, never through a link, and without waiting for a pipe's other end."""
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK
    descriptor = os.open(path, flags, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    """Lock an open file, and tell whether that worked: not while somebody else holds it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
