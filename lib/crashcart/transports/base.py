"""The one seam to a host: a ``Transport`` runs a ``Command`` and returns a ``CommandResult``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from crashcart.targets import Target

KEEP = 1024 * 1024


class Command(msgspec.Struct, frozen=True):
    """A POSIX sh script and its arguments.

    ``script`` is fixed text of ours; everything that comes from a user, an inventory or a host goes into ``args`` and is
    read there as ``"$1"``, ``"$2"``, so nothing foreign is ever parsed by a shell. ``timeout`` is in seconds and is kept
    on the host too. ``keep`` bounds the bytes held of each output stream: its head and its tail, half each.
    """

    script: str
    args: tuple[str, ...] = ()
    timeout: float = 30.0
    become: bool = True
    keep: int = KEEP


class Output(msgspec.Struct, frozen=True):
    """What is kept of an output stream: ``head``, then ``cut`` bytes left out, then ``tail``."""

    head: bytes = b""
    tail: bytes = b""
    cut: int = 0

    @property
    def text(self) -> str:
        """The stream as text, undecodable bytes replaced, a cut marked in words."""
        gap = f"\n[... {self.cut} bytes left out ...]\n" if self.cut else ""
        return self.head.decode(errors="replace") + gap + self.tail.decode(errors="replace")

    @property
    def data(self) -> bytes:
        """The bytes that are kept; look at ``cut`` before parsing them."""
        return self.head + self.tail


class CommandResult(msgspec.Struct, frozen=True):
    """How a command ended. Exit status, signal and time-out are separate facts; ``duration`` is in seconds."""

    status: int | None = None
    signal: str | None = None
    timed_out: bool = False
    stdout: Output = Output()
    stderr: Output = Output()
    duration: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether the command ended by itself with status 0."""
        return self.status == 0 and not self.timed_out and self.signal is None

    @property
    def ending(self) -> str:
        """How it ended, in words, with the last line of stderr."""
        if self.timed_out:
            how = f"timed out after {self.duration:.0f} s"
        elif self.signal:
            how = f"killed by {self.signal}"
        else:
            how = f"exit status {self.status}"
        last = self.stderr.text.strip().rpartition("\n")[2][:300]
        return f"{how}: {last}" if last else how


class HttpReply(msgspec.Struct, frozen=True):
    """Answer of a small HTTP GET: status code, and the first bytes of its body as text."""

    status: int
    body: str = ""


class Transport(Protocol):
    """A session with one target, opened on first use.

    ``run`` and ``fetch`` raise the errors of ``crashcart.errors``: ``Unreachable`` and its kinds, ``HostKeyRefused``,
    ``SudoDenied``, ``NotSent`` (certainly never started), ``ConnectionLost`` (may have taken effect), ``Cancelled``.
    A command that ends, in whatever way, is a result and not an error.
    """

    def run(self, command: Command) -> CommandResult:
        """Run a command to its end and return how it ended."""

    def fetch(self, url: str, timeout: float) -> HttpReply:
        """GET a URL as seen from the target, without running anything there. Status 0: refused, or no whole answer."""

    def cancel(self) -> None:
        """End the command in flight, on the target too. Safe from another thread; a no-op when idle."""

    def close(self) -> None:
        """End the session. Safe to call twice."""


Connector = Callable[[Target], Transport]
"""Makes the transport of a target; nothing is contacted before its first use."""
