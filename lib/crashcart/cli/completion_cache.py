"""What shell completion knew last time: kept until a file that it was made from changes, so that a Tab costs little."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from crashcart.decoding import from_json

T = TypeVar("T")
Stamp = tuple[str, int, int, int]
"""A path, its times of modification and of change (ns), its size; all -1 while it is not there."""

SETTLED = 2_000_000_000
"""Nanoseconds after which a file that changes once more has another time for certain, on the coarsest file systems too."""


class Made(msgspec.Struct, Generic[T], frozen=True):
    """An answer, and the stamps of all files and folders that it was made from."""

    answer: T
    stamps: tuple[Stamp, ...] = ()


class Shelf(msgspec.Struct, Generic[T], frozen=True):
    """Answers about one file each, by its path; ``basis`` names what they all depend on."""

    basis: str
    answers: dict[str, Made[T]]


class Cache:
    """Keeps answers by question, in files that only their owner can read. What is wrong with one makes it be asked anew."""

    def __init__(self, folder: Path | None = None, *, settled: int = SETTLED) -> None:
        self._settled = settled
        self._folder = folder or _user_caches() / "crashcart" / "completion"

    def get(self, question: Iterable[str], kind: type[T], make: Callable[[], tuple[T, Iterable[Path]]]) -> T:
        """Return the answer that is kept while nothing changed, else make it; ``make`` also says which paths to watch."""
        path = self._path(question)
        kept: Made[T] | None = _read(path, Made[kind])  # type: ignore[valid-type]
        if kept is not None and all(stamp(each[0]) == each for each in kept.stamps):
            return kept.answer
        began = time.time_ns()
        answer, watched = make()
        made = Made(answer, tuple(stamp(each) for each in dict.fromkeys(map(str, watched))))
        if _is_settled(made, began - self._settled):
            _write(path, made)
        return answer

    def get_each(
        self, question: Iterable[str], basis: str, files: Iterable[str], kind: type[T], make: Callable[[Path], T]
    ) -> dict[str, T]:
        """Return an answer about each file; only of one that changed it is made again, of all when the basis changed."""
        path = self._path(question)
        shelf: Shelf[T] | None = _read(path, Shelf[kind])  # type: ignore[valid-type]
        kept = shelf.answers if shelf is not None and shelf.basis == basis else {}
        began = time.time_ns()
        found: dict[str, Made[T]] = {}
        for file in files:
            stamps = (stamp(file),)
            old = kept.get(file)
            found[file] = old if old is not None and old.stamps == stamps else Made(make(Path(file)), stamps)
        settled = {file: made for file, made in found.items() if _is_settled(made, began - self._settled)}
        if settled != kept:
            _write(path, Shelf(basis, settled))
        return {file: made.answer for file, made in found.items()}

    def _path(self, question: Iterable[str]) -> Path:
        return self._folder / f"{hashlib.sha256(msgspec.json.encode(list(question))).hexdigest()[:32]}.json"


def _user_caches() -> Path:
    """Return the folder of this user's caches, by XDG's rule: to import platformdirs for it is a tenth of a Tab's time."""
    named = os.environ.get("XDG_CACHE_HOME", "")
    return Path(named) if named.startswith("/") else Path.home() / ".cache"


def stamp(path: Path | str) -> Stamp:
    """Return what tells whether a path is still as it was."""
    try:
        status = Path(path).stat()
    except (OSError, ValueError):
        return str(path), -1, -1, -1
    return str(path), status.st_mtime_ns, status.st_ctime_ns, status.st_size


def _is_settled(made: Made[Any], before: int) -> bool:
    """Tell whether an answer may be kept: what changed a moment ago may change again and have the same stamp."""
    return all(modified < before for _, modified, _, _ in made.stamps)


def _read(path: Path, kind: Any) -> Any:
    """Return what a file keeps; nothing if it is not there, not of that kind, or could be somebody else's."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            kept = from_json(file.read(), kind)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return kept if status.st_uid == os.geteuid() and not status.st_mode & 0o077 else None


def _write(path: Path, kept: Any) -> None:
    """Keep it, in one step: of two who write at once, one comes last. Where nothing can be written, nothing is kept."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with open(draft, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
                file.write(msgspec.json.encode(kept))
            draft.replace(path)
        except OSError:
            draft.unlink(missing_ok=True)
