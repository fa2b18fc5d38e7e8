"""The byte stream under an SSH session: a TCP connection, or the program that a ProxyCommand starts."""

from __future__ import annotations

import errno
import socket
import subprocess
import tempfile
import threading

from crashcart.errors import ConnectRefused, ConnectTimeout, Unreachable
from crashcart.transports.endpoint import Endpoint
from crashcart.transports.limits import Deadline

_NO_ROUTE = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EADDRNOTAVAIL)
_PROXY_EXIT = 1.0
_SAID = 64 * 1024


def dial(endpoint: Endpoint, seconds: float) -> socket.socket:
    """Open a TCP connection to the first address of a host that answers, within ``seconds`` for all of them.

    Raises ``ConnectRefused``, ``ConnectTimeout`` (for a name that does not resolve, too) or ``Unreachable``.
    """
    deadline = Deadline(seconds)
    addresses = _resolve(endpoint)
    failure: OSError = TimeoutError("timed out")
    for number, (family, address) in enumerate(addresses):
        wire = socket.socket(family, socket.SOCK_STREAM)
        try:
            wire.settimeout(deadline.within(seconds / (len(addresses) - number)))
            wire.connect(address)
        except OSError as error:
            wire.close()
            failure = error
        else:
            wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return wire
    raise _unreachable(endpoint, failure, seconds) from failure


def _resolve(endpoint: Endpoint) -> list[tuple[int, tuple[object, ...]]]:
    try:
        found = socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ConnectTimeout(
            f"the name {endpoint.host!r} does not resolve: {getattr(error, 'strerror', None) or error}",
            hint="correct the name or set ansible_host to an address",
        ) from error
    return [(family, address) for family, _, _, _, address in found]


def _unreachable(endpoint: Endpoint, error: OSError, seconds: float) -> Unreachable:
    if isinstance(error, ConnectionRefusedError):
        return ConnectRefused(
            f"{endpoint.address} refuses the connection: nothing listens there",
            hint="is the host up and its sshd running, and is the port right (ansible_port)?",
        )
    if isinstance(error, TimeoutError):
        return ConnectTimeout(
            f"{endpoint.address} does not answer: no TCP connection within {seconds:g} s",
            hint="is the host up, is the address right (ansible_host), does a firewall drop port "
            f"{endpoint.port}, is a jump host needed (ProxyJump)?",
        )
    if error.errno in _NO_ROUTE:
        return Unreachable(
            f"there is no route to {endpoint.address}: {error.strerror}",
            hint="is the address right (ansible_host), is the VPN up, is a jump host needed (ProxyJump)?",
        )
    return Unreachable(f"no connection to {endpoint.address}: {error.strerror or error}")


class ProxyWire:
    """The standard input and output of a ProxyCommand as a socket. Closing it ends the program."""

    def __init__(self, command: str) -> None:
        self.command = command
        self._lock = threading.Lock()
        self._said = ""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the wire
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", f"exec {command}"],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=self._errors,
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        """The last line that the program wrote to stderr."""
        self._listen()
        return self._said

    @property
    def _closed(self) -> bool:
        # paramiko looks at this attribute of sockets before it waits for its own thread.
        return self._socket.fileno() < 0

    def send(self, data: bytes) -> int:
        """Send as ``socket.send`` does."""
        return self._socket.send(data)

    def recv(self, size: int) -> bytes:
        """Receive as ``socket.recv`` does."""
        return self._socket.recv(size)

    def settimeout(self, seconds: float | None) -> None:
        """Set the time limit as ``socket.settimeout`` does."""
        self._socket.settimeout(seconds)

    def close(self) -> None:
        """Close the stream and end the program."""
        self._socket.close()
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(_PROXY_EXIT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._listen(last_time=True)

    def _listen(self, *, last_time: bool = False) -> None:
        # paramiko's thread closes the wire while the one that logs in may still ask what went wrong.
        with self._lock:
            if self._errors.closed:
                return
            self._errors.seek(0)
            self._said = self._errors.read(_SAID).decode(errors="replace").strip().rpartition("\n")[2]
            if last_time:
                self._errors.close()
