"""Which runs are still to be shipped to their audit: a mark per run, from before its first event until all of it is there.

A mark says why the last try failed. It is made before the run begins, so a crash at any moment leaves it.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

from crashcart.errors import JournalError
from crashcart.journal.folder import EVENTS

NOT_TRIED = "not tried yet"
_LONGEST = 1000
_LITTER = 86400.0


class Unshipped:
    """The marks below one folder, owner-only."""

    def __init__(self, folder: Path, runs: Path) -> None:
        self._folder, self._runs = folder, runs

    def add(self, run: str) -> None:
        """Note that a run is to be shipped. Raises ``JournalError``: what cannot be noted is not begun."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._write(run, "")
        except OSError as error:
            raise JournalError(f"cannot note in {self._folder} that a run is to be shipped: {error.strerror}") from error

    def failed(self, run: str, why: str) -> None:
        """Note why shipping did not work, best effort; only where the mark still is."""
        with suppress(OSError):
            if self._place(run).exists():
                self._write(run, why.replace("\n", " ")[:_LONGEST])

    def drop(self, run: str) -> None:
        """Forget a run that is shipped."""
        self._place(run).unlink(missing_ok=True)

    def why(self, run: str) -> str:
        """Return why a run is not shipped; empty for one that is, or has no audit."""
        try:
            return self._place(run).read_text(errors="replace").strip() or NOT_TRIED
        except FileNotFoundError:
            return ""
        except OSError as error:
            return f"cannot tell: {error.strerror}"

    def runs(self) -> list[str]:
        """List the runs that have a journal and are not shipped, oldest first."""
        marked = sorted(path for path in self._folder.glob("*") if not path.name.startswith("."))
        for path in marked:
            # A run that never got its folder leaves its mark behind.
            with suppress(OSError):
                if not (self._runs / path.name).exists() and time.time() - path.stat().st_mtime > _LITTER:
                    path.unlink()
        return [path.name for path in marked if (self._runs / path.name / EVENTS).is_file()]

    def _write(self, run: str, text: str) -> None:
        with open(self._place(run), "w", opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW, 0o600)) as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())

    def _place(self, run: str) -> Path:
        return self._folder / run
