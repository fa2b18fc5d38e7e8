"""What a drill has broken and not yet put back, on disk: so that whoever comes after a killed one can put it back."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import msgspec

from crashcart.decoding import from_json
from crashcart.errors import BadInput


class Underway(msgspec.Struct, frozen=True):
    """One variant of a drill that has begun.

    ``inventory`` is where its targets are found, as it was given; ``in_lab`` tells the lab's targets from other ones.
    """

    drill: str
    variant: str
    targets: tuple[str, ...]
    started: datetime
    inventory: str | None = None
    in_lab: bool = False

    @property
    def text(self) -> str:
        """It in a few words."""
        return f"{self.drill} ({self.variant}) on {', '.join(self.targets)}, begun {self.started:%Y-%m-%d %H:%M} UTC"


class Notes:
    """The notes of a folder. Each is locked by the process of its drill for as long as that lives."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def noted(self, underway: Underway) -> Iterator[Note]:
        """Note a variant while it goes on; the note stays if the process dies, or says that something was not put back."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / f"{underway.started:%Y%m%d-%H%M%S}-{os.getpid()}-{underway.variant}.json"
        with path.open("wb") as file:
            note = Note(path)
            try:  # a signal may come as soon as the note is there
                fcntl.flock(file, fcntl.LOCK_EX)
                file.write(msgspec.json.encode(underway))
                file.flush()
                os.fsync(file.fileno())
                yield note
            finally:
                note.end()

    def left(self) -> list[tuple[Path, Underway]]:
        """Return the notes whose drill is dead, oldest first. Raises ``BadInput`` for one that cannot be read."""
        return [(path, _read(path)) for path in sorted(self._folder.glob("*.json")) if _is_free(path)]

    def going_on(self) -> list[Underway]:
        """Return what living drills have broken just now. Raises ``BadInput`` for a note that cannot be read."""
        held = [path for path in sorted(self._folder.glob("*.json")) if not _is_free(path)]
        return [_read(path) for path in held if path.exists()]

    def drop(self, path: Path) -> None:
        """Forget a note: everything was put back."""
        path.unlink(missing_ok=True)


class Note:
    """The note of one variant, while it goes on."""

    def __init__(self, path: Path) -> None:
        self._path, self._stays = path, False

    def keep(self) -> None:
        """Something could not be put back."""
        self._stays = True

    def end(self) -> None:
        """Forget the variant, unless something was not put back."""
        if not self._stays:
            self._path.unlink(missing_ok=True)


def _is_free(path: Path) -> bool:
    """Tell whether nobody holds a note any more; one that is gone by now was held until a moment ago."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    except OSError:
        return False


def _read(path: Path) -> Underway:
    try:
        return from_json(path.read_bytes(), Underway)
    except (OSError, msgspec.MsgspecError) as error:
        raise BadInput(
            f"{path}: this is no note of a drill: {error}", hint="inv lab.reset mends the lab; then remove it"
        ) from error
