"""Look at a host from outside: whether its sshd answers, whether it has booted, what its /var lies on."""

from __future__ import annotations

import socket
import time
from contextlib import suppress

import msgspec

from crashcart.errors import LabError
from crashcart.lab.containers import ADDRESS, Container
from crashcart.lab.engine import Engine

BOOT_TIMEOUT = 45
# Booted means that every unit has settled, well or not, and that the service answers.
_BOOTED = """i=0
until state=$(systemctl is-system-running --wait 2>/dev/null); [ "$state" = running ] || [ "$state" = degraded ]; do
  i=$((i + 1)); [ $i -lt 200 ] || exit 1; sleep 0.1
done
until curl -fsS --max-time 2 -o /dev/null http://127.0.0.1:8000/health; do
  i=$((i + 1)); [ $i -lt 200 ] || exit 1; sleep 0.1
done"""
_LOOK = """set -- $(findmnt -no FSTYPE,SOURCE --target /var)
echo "$1 $(df -h --output=size /var | tail -n 1) on $2"
systemctl list-units --state=failed --plain --no-legend | cut -d ' ' -f 1"""


class Look(msgspec.Struct, frozen=True):
    """What a running host shows: what its /var lies on (as ``ext4 242M on /dev/loop0``), and its failed units."""

    var: str = ""
    failed: tuple[str, ...] = ()


def answers_ssh(port: int, within: float) -> bool:
    """Tell whether an SSH server shows its banner on a loopback port before the time is up."""
    deadline = time.monotonic() + within
    while True:
        if _banner(port).startswith(b"SSH-"):
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.05)


def wait_until_booted(engine: Engine, container: Container) -> None:
    """Wait until a new host has settled and its service answers, or raise a ``LabError`` that says how far it came."""
    try:
        engine.ask("exec", container.id, "timeout", str(BOOT_TIMEOUT), "sh", "-c", _BOOTED, timeout=BOOT_TIMEOUT + 5)
    except LabError as error:
        raise LabError(f"{container.host} does not boot: {_log(engine, container) or error.message}") from error


def look_inside(engine: Engine, container: Container) -> Look:
    """Look into a running host; nothing is known of one that cannot be entered."""
    try:
        lines = engine.ask("exec", container.id, "sh", "-c", _LOOK, timeout=10.0).decode(errors="replace").splitlines()
    except LabError:
        return Look()
    return Look(" ".join(lines[0].split()), tuple(lines[1:])) if lines else Look()


def _banner(port: int) -> bytes:
    with suppress(OSError), socket.create_connection((ADDRESS, port), timeout=2) as connection:
        return connection.recv(64)
    return b""


def _log(engine: Engine, container: Container) -> str:
    with suppress(LabError):
        return engine.ask("logs", "--tail=5", container.id).decode(errors="replace").strip()
    return ""
