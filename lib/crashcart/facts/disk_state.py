r"""What is known of a file system and of what fills it: the records of the disk facts.

Sizes are bytes as allocated on the disk (what deleting gives back), times are seconds since 1970 by the host's own clock.
Names are text: what is not printable is written as an escape (``\n``, ``\xff``), since a name may hold any byte.
"""

from __future__ import annotations

import math
from enum import StrEnum

import msgspec


class Found(StrEnum):
    """What is at the path."""

    DIRECTORY = "directory"
    FILE = "not-a-directory"
    MISSING = "missing"


class Stage(StrEnum):
    """What may be deleted, the least harmful first."""

    PACKAGES = "packages"
    LOGS = "logs"
    JOURNAL = "journal"
    TEMP = "temp"
    LIVE = "live"


class Candidate(msgspec.Struct, frozen=True):
    """A file that its stage may delete, ``name`` relative to ``root``.

    ``last_entry`` is the time of the newest entry of an archived journal; None when that is not known.
    """

    stage: Stage
    root: str
    name: str
    inode: int
    size: int
    modified: float = 0.0
    owner: int = 0
    last_entry: float | None = None

    @property
    def path(self) -> str:
        """The whole path, for people."""
        return f"{self.root}/{self.name}"


class LeftOut(msgspec.Struct, frozen=True):
    """A place, or a whole stage (no ``root``), that is not looked at, and the reason in words.

    ``matters`` unless it could not be otherwise, as with what is on another file system.
    """

    stage: str
    why: str
    root: str = ""
    matters: bool = True


class Holder(msgspec.Struct, frozen=True):
    """A process that has a file open; ``flags`` as ``open`` took them."""

    pid: int
    fd: int
    flags: int
    command: str = ""

    @property
    def writes(self) -> bool:
        """Whether the file is open for writing."""
        return self.flags & 0o3 != 0

    @property
    def appends(self) -> bool:
        """Whether each write goes to the end, wherever that is by then."""
        return self.flags & 0o2000 != 0


class LiveLog(msgspec.Struct, frozen=True):
    """A log that somebody may be writing. ``trouble`` is why it cannot be looked at, if it cannot.

    ``length`` is where its end is, ``size`` what it takes on the disk, ``mapped`` whether a process has it in its memory.
    """

    path: str
    device: int = 0
    inode: int = 0
    size: int = 0
    length: int = 0
    links: int = 1
    holders: tuple[Holder, ...] = ()
    mapped: bool = False
    trouble: str = ""


class HeldFile(msgspec.Struct, frozen=True):
    """A deleted file that a process still holds open, and so its space. ``unit`` is the holder's service, if it has one."""

    path: str
    inode: int
    size: int
    pid: int
    command: str = ""
    unit: str = ""

    @property
    def holder(self) -> str:
        """The process, for people."""
        return f"{self.unit or self.command or 'a process'} (pid {self.pid})"


class Listing(msgspec.Struct, frozen=True):
    """What could be deleted, as it was at ``now``; ``active_journal`` is the size of the journal files in use."""

    now: float = 0.0
    candidates: tuple[Candidate, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    held: tuple[HeldFile, ...] = ()
    active_journal: int = 0

    def of(self, stage: Stage) -> tuple[Candidate, ...]:
        """The candidates of a stage."""
        return tuple(candidate for candidate in self.candidates if candidate.stage is stage)


class Consumer(msgspec.Struct, frozen=True):
    """A file, with the bytes that it takes, or a directory, with the files directly in it."""

    path: str
    amount: int


class Ranking(msgspec.Struct, frozen=True):
    """The largest consumers, the first first; ``complete`` unless the search was cut short."""

    consumers: tuple[Consumer, ...] = ()
    complete: bool = True


class DiskState(msgspec.Struct, frozen=True):
    """How full the file system of ``path`` is, and as much more as was asked for.

    ``inodes`` is 0 on a file system that has no fixed number of them. ``failures`` are files that an act could not
    delete, if this state was seen by one. ``gnu_find`` is false on a host where nothing can be searched for.
    """

    path: str = ""
    found: Found = Found.DIRECTORY
    device: int = 0
    mount: str = "/"
    kind: str = ""
    size: int = 0
    used: int = 0
    available: int = 0
    inodes: int = 0
    inodes_used: int = 0
    read_only: bool = False
    failures: tuple[str, ...] = ()
    gnu_find: bool = True
    live: tuple[LiveLog, ...] = ()
    listing: Listing | None = None
    largest: Ranking | None = None
    crowded: Ranking | None = None

    @property
    def percent(self) -> int:
        """Use of what users may use, in per cent rounded up, as ``df`` computes it."""
        return per_cent(self.used, self.used + self.available)

    @property
    def inode_percent(self) -> int:
        """Use of inodes in per cent rounded up; 0 where they are not counted."""
        return per_cent(self.inodes_used, self.inodes)

    @property
    def place(self) -> str:
        """The path, and the file system if it has another name."""
        return self.path if self.path == self.mount else f"{self.path} (file system {self.mount})"


def per_cent(part: int, whole: int) -> int:
    """Return a share in per cent, rounded up; 0 of nothing."""
    return math.ceil(part * 100 / whole) if whole else 0
