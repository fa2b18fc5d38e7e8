"""What shell completion knew last time: kept until a file that it was made from changes, so that a Tab costs little."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Generic, TypeVar

import msgspec
import platformdirs

T = TypeVar("T")
Stamp = tuple[str, int, int]
"""A path, its time of change (ns) and its size; both -1 while it is not there."""


class Made(msgspec.Struct, Generic[T], frozen=True):
    """An answer, and the stamps of all files and folders that it was made from."""

    answer: T
    stamps: tuple[Stamp, ...] = ()


class Cache:
    """Keeps answers by question, in files that only their owner can read. What is wrong with one makes it be asked anew."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or platformdirs.user_cache_path("crashcart", appauthor=False) / "completion"

    def get(self, question: Iterable[str], kind: type[T], make: Callable[[], tuple[T, Iterable[Path]]]) -> T:
        """Return the answer that is kept while nothing changed, else make it; ``make`` also says which paths to watch."""
        path = self._folder / f"{hashlib.sha256(msgspec.json.encode(list(question))).hexdigest()[:32]}.json"
        kept = _read(path, kind)
        if kept is not None:
            return kept
        began = time.time_ns()
        answer, watched = make()
        stamps = tuple(stamp(each) for each in dict.fromkeys(watched))
        # What changed while it was read may have been read too early; the next Tab reads it again.
        if all(changed < began for _, changed, _ in stamps):
            _write(path, Made(answer, stamps))
        return answer


def stamp(path: Path) -> Stamp:
    """Return what tells whether a path is still as it was."""
    try:
        status = path.stat()
    except OSError:
        return str(path), -1, -1
    return str(path), status.st_mtime_ns, status.st_size


def _read(path: Path, kind: type[T]) -> T | None:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            made = msgspec.json.decode(file.read(), type=Made[kind])  # type: ignore[valid-type]
    except (OSError, msgspec.MsgspecError):
        return None
    ours = status.st_uid == os.geteuid() and not status.st_mode & 0o077
    return made.answer if ours and all(stamp(Path(each[0])) == each for each in made.stamps) else None


def _write(path: Path, made: Made[T]) -> None:
    with suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        with open(draft, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(msgspec.json.encode(made))
        draft.replace(path)
