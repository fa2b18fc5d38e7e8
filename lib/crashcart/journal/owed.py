"""Owed undos: what a run should have taken back on a target and did not, so that later runs on that target find it.

The truth is each run's own journal. A mark per run and target only says which journals to ask; it is made before the first
act that can be taken back, and goes when nothing is owed any more.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from crashcart.errors import JournalError
from crashcart.journal.folder import EVENTS
from crashcart.journal.recall import PastRun
from crashcart.plan import OwedUndo


class Marks:
    """The marks below one folder, owner-only. ``key`` names a target across inventories."""

    def __init__(self, folder: Path, runs: Path) -> None:
        self._folder, self._runs = folder, runs

    def add(self, key: str, run: str) -> None:
        """Note that a run may owe an undo to a target. Raises ``JournalError``: what cannot be noted is not begun."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(self._place(key, run), os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600))
            _sync(self._folder)
        except OSError as error:
            raise JournalError(f"cannot note an undo in {self._folder}: {error.strerror}") from error

    def drop(self, key: str, run: str) -> None:
        """Forget a mark; one that is not there is fine."""
        self._place(key, run).unlink(missing_ok=True)

    def owed(self, key: str, target: str, *, but: str = "") -> tuple[OwedUndo, ...]:
        """Return what runs other than ``but`` owe to a target, newest first. Raises ``JournalError``."""
        marked = sorted(self._folder.glob(f"{_digest(key)}.*"), reverse=True)
        runs = [path.name.partition(".")[2] for path in marked]
        return tuple(undo for run in runs if run != but for undo in self._of(run, target))

    def _of(self, run: str, target: str) -> Sequence[OwedUndo]:
        journal = self._runs / run / EVENTS
        return PastRun.read(journal).owed(target) if journal.exists() else ()

    def _place(self, key: str, run: str) -> Path:
        return self._folder / f"{_digest(key)}.{run}"


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
