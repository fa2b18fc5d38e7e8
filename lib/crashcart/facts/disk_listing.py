"""Reads the lists of files that could be deleted, out of the records that ``disk_script`` prints."""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from crashcart.facts.disk_rules import JOURNAL
from crashcart.facts.disk_state import Candidate, LeftOut, Stage

BLOCK = 512
"""Bytes in the blocks that ``stat`` and ``find`` count a file's space in."""

ACTIVE = "active"
"""What the script calls the journal files in use: listed for their size, never deleted."""

_LATE = frozenset({124, 137})
_HEADER = re.compile(rb"file path: ([^\n]*)\ntail realtime timestamp: ([^\n]*)", re.IGNORECASE)
_STAMP = re.compile(r"\(([0-9a-f]+)\)$")


class Entry(msgspec.Struct, frozen=True):
    """A file as it was listed: the candidate, and what may still rule it out."""

    candidate: Candidate
    device: int
    links: int


class Section(msgspec.Struct):
    """One list: a stage in one directory. ``status`` is how the search ended; None for a list that was cut."""

    stage: str
    root: str
    rows: list[bytes]
    status: int | None = None

    @property
    def size(self) -> int:
        """What the listed files take on the disk."""
        return sum(int(row.split(b" ", 4)[3]) for row in self.rows) * BLOCK

    @property
    def shortfall(self) -> str:
        """Why the list may not be whole, or nothing."""
        if self.status is None:
            return "there is more than one look lists"
        return "the search took too long" if self.status in _LATE else ""

    def entries(self, stage: Stage) -> Iterator[Entry]:
        """Read the rows. Raises ``ValueError``."""
        for row in self.rows:
            device, inode, links, blocks, modified, owner, name = row.split(b" ", 6)
            candidate = Candidate(
                stage=stage,
                root=self.root,
                name=readable(name),
                inode=int(inode),
                size=int(blocks) * BLOCK,
                modified=float(modified),
                owner=int(owner),
            )
            yield Entry(candidate, int(device), int(links))


class Sorted(msgspec.Struct, frozen=True):
    """What came of the lists: the candidates, and what was ruled out."""

    candidates: tuple[Candidate, ...]
    left_out: tuple[LeftOut, ...]


def readable(name: bytes) -> str:
    r"""Write a name as printable text that stands for exactly these bytes: ``\n``, ``\xff``, ``\\``."""
    return "".join(map(_escape, name.decode(errors="surrogateescape")))


def sections(rows: Iterable[bytes]) -> list[Section]:
    """Group the rows of files by the list that they belong to."""
    found: list[Section] = []
    for row in rows:
        tag, _, body = row.removesuffix(b"\n").partition(b" ")
        if tag == b"root":
            stage, _, root = body.partition(b" ")
            found.append(Section(stage.decode(), readable(root), []))
        elif tag == b"file" and row.endswith(b"\n"):
            found[-1].rows.append(body)
        elif tag == b"ended":
            found[-1].status = int(body)
    return found


def sort_out(found: Sequence[Section], device: int, opened: Mapping[str, frozenset[int] | None]) -> Sorted:
    """Tell candidates from files that stay: on another file system, with more names than one, or open.

    ``opened`` holds, by directory, the inodes of open temporary files; None where that cannot be told, and then all stay.
    """
    candidates: list[Candidate] = []
    left: list[LeftOut] = []
    for section in found:
        if section.stage == ACTIVE:
            continue
        ruled_out: Counter[str] = Counter()
        for entry in section.entries(Stage(section.stage)):
            why = _why_not(entry, device, opened)
            ruled_out[why] += 1
            if not why:
                candidates.append(entry.candidate)
        del ruled_out[""]
        for why, count in ruled_out.items():
            left.append(LeftOut(section.stage, f"{count} {why}", section.root, matters=False))
        if section.shortfall:
            left.append(LeftOut(section.stage, section.shortfall, section.root))
    return Sorted(tuple(candidates), tuple(left))


def last_entries(headers: bytes) -> dict[str, float]:
    """Read ``journalctl --header``: the time of each file's last entry, by path, where it is told and told once."""
    found: dict[str, float] = {}
    paths = Counter(path for path, _ in _HEADER.findall(headers))
    for path, stamp in _HEADER.findall(headers):
        with contextlib.suppress(ValueError):
            if paths[path] == 1:
                found[readable(path)] = _moment(stamp.decode(errors="replace"))
    return found


def with_last_entry(candidate: Candidate, known: Mapping[str, float]) -> Candidate:
    """Add the time of the last entry to an archived journal file."""
    if candidate.stage is not Stage.JOURNAL:
        return candidate
    return msgspec.structs.replace(candidate, last_entry=known.get(f"{JOURNAL}/{candidate.name}"))


def _escape(character: str) -> str:
    if character == "\\":
        return "\\\\"
    if character.isprintable():
        return character
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()


def _why_not(entry: Entry, device: int, opened: Mapping[str, frozenset[int] | None]) -> str:
    if entry.device != device:
        return "of another file system"
    if entry.links != 1:
        return "with another hard link, so that deleting frees nothing"
    if entry.candidate.stage is not Stage.TEMP:
        return ""
    inodes = opened.get(entry.candidate.root)
    if inodes is None:
        return "that may be open"
    return "that are open" if entry.candidate.inode in inodes else ""


def _moment(stamp: str) -> float:
    """Read ``Tue 2023-11-14 22:13:20 UTC (60a24181e4000)``; older systemd leaves the hexadecimal microseconds out."""
    exact = _STAMP.search(stamp)
    if exact:
        microseconds = int(exact[1], 16)
        if not microseconds:
            raise ValueError("no entry")
        return microseconds / 1e6
    return datetime.strptime(stamp.strip(), "%a %Y-%m-%d %H:%M:%S UTC").replace(tzinfo=UTC).timestamp()
