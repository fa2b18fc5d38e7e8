"""The seams to what is acted on: a host's ``Transport`` runs commands, a cloud's ``CloudTransport`` sends API calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from crashcart.targets import Target

if TYPE_CHECKING:
    from crashcart.transports.database_access import Engine

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


class ApiCall(msgspec.Struct, frozen=True):
    """One call of a cloud's API, in the service's own words: ``rds``, ``FailoverDBCluster``, its parameters by API name."""

    service: str
    operation: str
    params: dict[str, Any] = {}


class Session(Protocol):
    """What the engine knows of any way to a target."""

    def cancel(self) -> None:
        """End what is in flight, on the target too. Safe from another thread; a no-op when idle."""

    def close(self) -> None:
        """End the session. Safe to call twice."""


class CloudTransport(Session, Protocol):
    """The way to one cloud resource, with the credentials, region and endpoint of its target.

    ``read`` and ``write`` raise: ``Unreachable`` and its kinds (no connection, no valid credentials), ``NotSent`` and its
    kinds ``Throttled`` and ``Busy`` (certainly not done), ``ConnectionLost`` (5xx, lost reply: may have taken effect),
    ``ApiRefused`` and its kinds (a final no), ``FactUnreadable`` (an answer that cannot be understood, of a read).
    """

    @property
    def resource(self) -> str:
        """The resource's identifier: the variable ``aws_id``, else the target's name."""

    @property
    def region(self) -> str:
        """The region that its calls go to."""

    @property
    def is_emulated(self) -> bool:
        """Whether the calls go to an endpoint of the inventory's (``aws_endpoint_url``) instead of AWS."""

    def read(self, call: ApiCall) -> dict[str, Any]:
        """Send a call that changes nothing; retried and throttled by the transport. All pages, up to its bound."""

    def write(self, call: ApiCall) -> dict[str, Any]:
        """Send a call that may change something: exactly one HTTP request."""


Rows = tuple[tuple[str, ...], ...]
"""An answer of a database: every value as text."""


class DatabaseTransport(Session, Protocol):
    """A session with a database as its clients have it, from the controller; opened on first use, every step bounded.

    ``connect`` and ``ask`` raise ``Unreachable`` and its kinds (no connection, TLS or login denied), ``Busy`` (it answers
    that it takes nobody now), ``ConnectionLost`` (it fell silent), ``FactUnreadable`` (it refuses this query, or this
    machine has no driver or password for it).
    """

    @property
    def engine(self) -> Engine:
        """What answers there."""

    @property
    def address(self) -> str:
        """``host:port``."""

    def connect(self) -> float:
        """Connect and log in; return the seconds that it took."""

    def ask(self, query: str) -> Rows:
        """Ask something that changes nothing: fixed text of ours, in the engine's own language."""


class Transport(Session, Protocol):
    """A session with one host, opened on first use.

    ``run`` and ``fetch`` raise the errors of ``crashcart.errors``: ``Unreachable`` and its kinds, ``HostKeyRefused``,
    ``SudoDenied``, ``NotSent`` (certainly never started), ``ConnectionLost`` (may have taken effect), ``Cancelled``.
    A command that ends, in whatever way, is a result and not an error.
    """

    def run(self, command: Command) -> CommandResult:
        """Run a command to its end and return how it ended."""

    def fetch(self, url: str, timeout: float) -> HttpReply:
        """GET a URL as seen from the target, without running anything there. Status 0: refused, or no whole answer."""


Connector = Callable[[Target], Transport]
"""Makes the transport of a host; nothing is contacted before its first use."""

Opener = Callable[[Target], Session]
"""Makes the way to a target of any kind; nothing is contacted before its first use."""
