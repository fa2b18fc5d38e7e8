"""Reads what the script of ``vitals_script`` prints."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime

from crashcart.errors import FactUnreadable
from crashcart.facts.disk_listing import readable
from crashcart.facts.vitals_state import Changed, Process, Unit, Victim, Vitals, Volume

MOST_UNITS, MOST_VOLUMES, MOST_CHANGES = 50, 100, 20
"""What is kept at most: a record of a run holds it for every host."""

STARTING_UP = 180.0
"""Seconds after a boot in which units start because of it."""

LATELY = 86400.0
"""Seconds in which a boot is worth telling."""

_SECTION = re.compile(rb"\n\[(volumes|units|victims|processes|packages|files)\]\n")
_NUMBER = re.compile(r"-?[0-9]{1,19}(?:\.[0-9]+)?")
_KERNEL = re.compile(r"^(\d+\.\d+) .*?[Kk]illed process \d+ \(([^)]*)\)")
_SYSTEMD = re.compile(r"^(\d+\.\d+) .*?: (\S+): A process of this unit has been killed by the OOM killer")
_PRESSURE = re.compile(r"^(cpu|memory|io) (some|full) .*avg60=([0-9.]+)", re.MULTILINE)
_NOISE = ("/proc", "/sys", "/dev")
_NEEDLESS = frozenset({"/etc/resolv.conf", "/etc/hostname", "/etc/hosts", "/etc/machine-id", "/etc/mtab"})


def parse(stdout: bytes) -> Vitals:
    """Read a look's output. Raises ``FactUnreadable`` when it is cut off or not ours."""
    head, *rest = _SECTION.split(stdout)
    sections = dict(zip((name.decode() for name in rest[::2]), rest[1::2], strict=True))
    if "files" not in sections:
        raise FactUnreadable("what the host says of itself breaks off")
    fields = _fields(head.decode(errors="replace"))
    clock = Clock(fields)
    texts = {name: data.decode(errors="replace") for name, data in sections.items()}
    volumes, hung = _volumes(texts["volumes"])
    units, booted, seen = _units(texts["units"], clock)
    silent = [*(["how full its disks are"] if hung or not volumes else []), *([] if seen else ["how its units are"])]
    if "MemAvailable" not in fields or "MemTotal" not in fields:
        silent.append("how much memory is left")
    return Vitals(
        now=clock.now,
        booted=booted if booted is not None else clock.now - _number(fields, "uptime"),
        load=_load(fields),
        cpus=int(_number(fields, "cpus")) or 1,
        memory=_kib(fields, "MemTotal"),
        memory_available=_kib(fields, "MemAvailable"),
        swap=_kib(fields, "SwapTotal"),
        swap_free=_kib(fields, "SwapFree"),
        pressure={f"{what} {how}": float(share) for what, how, share in _PRESSURE.findall(head.decode(errors="replace"))},
        volumes=volumes,
        read_only=tuple(_read_only(texts["volumes"])),
        units=units,
        victims=tuple(_victims(texts["victims"])),
        processes=tuple(_processes(texts["processes"])),
        changes=_changes(texts["packages"], sections["files"], units, booted, clock),
        silent=tuple(silent),
    )


class Clock:
    """The host's own clocks: the wall's, and the one that never jumps."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self.now, self.zone = _number(fields, "now"), fields.get("zone", "+0000")
        self._monotonic = _number(fields, "monotonic")
        if not self.now:
            raise FactUnreadable("the host does not tell its time")

    def moment(self, stamp: str) -> float | None:
        """Turn systemd's monotonic stamp (microseconds, 0 for never) into wall clock time; None for one that cannot be."""
        if not stamp.isdecimal() or not int(stamp):
            return None
        passed = self._monotonic - int(stamp) / 1e6
        return round(self.now - max(0.0, passed), 3) if passed > -2 and self.now > passed else None

    def local(self, text: str) -> float | None:
        """Read a date in the host's own zone."""
        try:
            return datetime.strptime(f"{text} {self.zone}", "%Y-%m-%d %H:%M:%S %z").timestamp()
        except ValueError:
            return None


def _volumes(text: str) -> tuple[tuple[Volume, ...], bool]:
    """Read ``df``: each file system once, however often it is mounted, and none that only looks like one."""
    found: dict[tuple[int, int, int], Volume] = {}
    for line in text.splitlines():
        words = line.split(None, 6)
        if len(words) == 7 and words[1].isdecimal() and words[3].isdecimal():
            kind, size, used, available, inodes, inodes_used = words[0], *map(_digits, words[1:6])
            volume = Volume(words[6], kind, size, used, available, inodes, inodes_used)
            matters = size and not volume.mount.startswith(_NOISE) and (kind != "overlay" or volume.mount == "/")
            if matters:
                found.setdefault((size, inodes, inodes_used), volume)
    return tuple(found.values())[:MOST_VOLUMES], "hung" in text.splitlines()


def _read_only(text: str) -> Iterator[str]:
    for line in text.splitlines():
        word, _, mount = line.partition(" ")
        if word == "read-only":
            yield re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), mount)


def _units(text: str, clock: Clock) -> tuple[tuple[Unit, ...], float | None, bool]:
    """Return the units that stand out, when systemd came up, and whether it told of any unit at all."""
    blocks = [_fields(block) for block in text.split("\n\n")]
    booted = next((clock.moment(block["booted"]) for block in blocks if "booted" in block), None)
    seen = any(block.get("seen", "0") not in {"0", "none"} for block in blocks)
    units = [_unit(block, clock) for block in blocks if "Id" in block]
    units.sort(key=lambda unit: (unit.active != "failed", -(unit.active_since or 0.0)))
    return tuple(units[:MOST_UNITS]), booted, seen


def _unit(block: Mapping[str, str], clock: Clock) -> Unit:
    return Unit(
        name=block["Id"],
        active=block.get("ActiveState", ""),
        sub=block.get("SubState", ""),
        result=block.get("Result", ""),
        restarts=_digits(block.get("NRestarts", "")),
        active_since=clock.moment(block.get("ActiveEnterTimestampMonotonic", "")),
        inactive_since=clock.moment(block.get("InactiveEnterTimestampMonotonic", "")),
    )


def _victims(text: str) -> Iterator[Victim]:
    for line in text.splitlines():
        found = _KERNEL.match(line) or _SYSTEMD.match(line)
        if found:
            yield Victim(float(found[1]), readable(found[2].encode()))


def _processes(text: str) -> Iterator[Process]:
    for line in text.splitlines():
        words = line.split(None, 2)
        if len(words) == 3 and words[0].isdecimal() and words[1].isdecimal():
            yield Process(int(words[1]), words[2].strip(), int(words[0]) * 1024)


def _changes(
    packages: str, files: bytes, units: tuple[Unit, ...], booted: float | None, clock: Clock
) -> tuple[Changed, ...]:
    """Put together what changed, newest first: packages, files of configuration and software, starts of services."""
    began = (booted or 0.0) + STARTING_UP
    started = [
        Changed(unit.active_since, f"{unit.name} started")
        for unit in units
        if unit.active == "active" and unit.active_since and unit.active_since > began
    ]
    came_up = [Changed(booted, "the host booted")] if booted and booted > clock.now - LATELY else []
    found = [*_packages(packages, clock), *_files(files), *started, *came_up]
    return tuple(sorted(found, key=lambda change: -change.at)[:MOST_CHANGES])


def _packages(text: str, clock: Clock) -> Iterator[Changed]:
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 4 and "-" in words[0]:
            at, rest = clock.local(" ".join(words[:2])), words[2:]
        elif len(words) >= 3:
            at, rest = float(_digits(words[0])) or None, words[1:]
        else:
            continue
        if at is not None:
            yield Changed(at, f"package {' '.join(rest)[:200]}")


def _files(data: bytes) -> Iterator[Changed]:
    """Read names ended by NULs; the last one may have been cut."""
    for record in data.split(b"\0")[:-1]:
        at, _, path = record.strip(b"\n").partition(b" ")
        name = readable(path)
        if _NUMBER.fullmatch(at.decode(errors="replace")) and name not in _NEEDLESS:
            yield Changed(float(at), f"file {name[:200]}")


def _fields(text: str) -> dict[str, str]:
    return dict(line.partition("=")[::2] for line in text.splitlines() if "=" in line)


def _digits(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() else 0


def _number(fields: Mapping[str, str], name: str) -> float:
    text = fields.get(name, "")
    return float(text) if _NUMBER.fullmatch(text) else 0.0


def _load(fields: Mapping[str, str]) -> float:
    """Return the load of the last five minutes."""
    words = fields.get("load", "").split()
    return float(words[1]) if len(words) > 1 and _NUMBER.fullmatch(words[1]) else 0.0


def _kib(fields: Mapping[str, str], name: str) -> int:
    return _digits(fields.get(name, "")) * 1024
