"""One fault: how to put it into a host, and how to take it out again."""

from __future__ import annotations

from importlib.resources import files

import msgspec

from crashcart.transports.base import Command

_TIMEOUT = 60.0


class Fault(msgspec.Struct, frozen=True):
    """A fault for drills. ``inject`` may be run again, and ``restore`` also when nothing or only a part was injected."""

    name: str
    summary: str
    inject: tuple[Command, ...]
    restore: tuple[Command, ...]


def script(*names: str) -> Command:
    """Make one command of the named scripts of this package, one after the other, to be run as root."""
    folder = files("crashcart.lab.faults") / "scripts"
    texts = [(folder / f"{name}.sh").read_text() for name in names]
    return Command("export LC_ALL=C\n" + "\n".join(texts), timeout=_TIMEOUT)


def service_fault(name: str, summary: str) -> Fault:
    """Return a fault of the practice service; its script has the fault's name."""
    return Fault(name, summary, (script("service", _file(name)),), (script("service", "service-restore"),))


def disk_fault(name: str, summary: str) -> Fault:
    """Return a fault of the file system of /var; its script has the fault's name."""
    return Fault(name, summary, (script("service", "disk", _file(name)),), (script("service", "disk", "disk-restore"),))


def _file(name: str) -> str:
    return name.replace(".", "-")
