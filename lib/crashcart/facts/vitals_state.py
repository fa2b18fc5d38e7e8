"""What a host's vitals are made of. Sizes are bytes, times seconds since 1970 by the host's own clock."""

from __future__ import annotations

import msgspec

from crashcart.facts.disk_state import per_cent


class Volume(msgspec.Struct, frozen=True):
    """A local file system, in bytes. ``inodes`` is 0 where they are not counted."""

    mount: str
    kind: str = ""
    size: int = 0
    used: int = 0
    available: int = 0
    inodes: int = 0
    inodes_used: int = 0

    @property
    def percent(self) -> int:
        """Use of what users may use, in per cent rounded up, as ``df`` computes it."""
        return per_cent(self.used, self.used + self.available)

    @property
    def inode_percent(self) -> int:
        """Use of inodes in per cent rounded up; 0 where they are not counted."""
        return per_cent(self.inodes_used, self.inodes)

    @property
    def fullest(self) -> int:
        """The fuller of bytes and inodes, in per cent."""
        return max(self.percent, self.inode_percent)


class Unit(msgspec.Struct, frozen=True):
    """A unit that failed, was restarted by systemd, or was started lately. Times are seconds since 1970, host's clock."""

    name: str
    active: str
    sub: str = ""
    result: str = ""
    restarts: int = 0
    active_since: float | None = None
    inactive_since: float | None = None


class Victim(msgspec.Struct, frozen=True):
    """A process that the kernel killed for memory, or the unit that it belonged to. ``at`` is seconds since 1970."""

    at: float
    name: str


class Process(msgspec.Struct, frozen=True):
    """One of the largest processes; ``resident`` is in bytes."""

    pid: int
    command: str
    resident: int


class Changed(msgspec.Struct, frozen=True):
    """Something that was changed lately. ``at`` is seconds since 1970 by the host's clock."""

    at: float
    what: str


class Vitals(msgspec.Struct, frozen=True):
    """A host's vitals. Sizes are bytes, times seconds.

    ``ahead`` is how far the host's clock is before ours (negative: behind), to ``ahead_margin`` either way. ``pressure`` is
    the share of the last minute, in per cent, in which something had to wait for a resource: ``memory full``, ``io some``.
    ``booted`` is when the system came up. ``silent`` names what the host did not tell.
    """

    now: float
    ahead: float = 0.0
    ahead_margin: float = 0.0
    window: float = 3600.0
    booted: float | None = None
    load: float = 0.0
    cpus: int = 1
    memory: int = 0
    memory_available: int = 0
    swap: int = 0
    swap_free: int = 0
    pressure: dict[str, float] = {}
    volumes: tuple[Volume, ...] = ()
    read_only: tuple[str, ...] = ()
    units: tuple[Unit, ...] = ()
    victims: tuple[Victim, ...] = ()
    processes: tuple[Process, ...] = ()
    changes: tuple[Changed, ...] = ()
    silent: tuple[str, ...] = ()

    @property
    def failed(self) -> tuple[Unit, ...]:
        """The units that failed."""
        return tuple(unit for unit in self.units if unit.active == "failed")

    @property
    def memory_percent(self) -> int:
        """Memory in use that cannot be had back at once, in per cent."""
        return per_cent(self.memory - self.memory_available, self.memory)

    @property
    def load_per_cpu(self) -> float:
        """Load of the last five minutes for each CPU."""
        return self.load / max(1, self.cpus)
