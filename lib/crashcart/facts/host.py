"""Who we are on a host, and what it runs."""

from __future__ import annotations

import msgspec

from crashcart.errors import FactUnreadable
from crashcart.transports.base import Command, Transport

SCRIPT = 'id -un && uname -sr && (. /etc/os-release && printf "%s\\n" "$PRETTY_NAME")'


class HostState(msgspec.Struct, frozen=True):
    """The user that commands run as, the kernel, and the distribution's own name for itself."""

    user: str
    kernel: str
    system: str


def observe(transport: Transport) -> HostState:
    """Ask a host. Raises ``FactUnreadable`` and the transport's errors."""
    result = transport.run(Command(SCRIPT, timeout=10))
    if not result.ok:
        raise FactUnreadable(f"the host does not say who we are: {result.ending}")
    return parse(result.stdout.data)


def parse(stdout: bytes) -> HostState:
    """Read the three lines. Raises ``FactUnreadable``."""
    lines = stdout.decode(errors="replace").splitlines()
    if len(lines) != 3:
        raise FactUnreadable(f"expected three lines about the host, got {len(lines)}")
    return HostState(*lines)
