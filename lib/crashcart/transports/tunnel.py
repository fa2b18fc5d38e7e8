"""A small HTTP GET over any byte stream: a TCP connection, or an SSH channel that the host opens for us."""

from __future__ import annotations

import http.client
import io
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlsplit

from crashcart.errors import TransportError
from crashcart.transports.base import HttpReply
from crashcart.transports.limits import Deadline

BODY_LIMIT = 4096
"""Bytes of a body that are read."""

REFUSED = HttpReply(status=0, body="connection refused")
HUNG_UP = HttpReply(status=0, body="the connection was closed without an answer")
_HTTP_PORT = 80


class Stream(Protocol):
    """What sockets and SSH channels have in common."""

    def settimeout(self, value: float | None, /) -> None:
        """Limit the next operation, in seconds."""

    def sendall(self, data: bytes, /) -> Any:
        """Send all of the data."""

    def recv(self, size: int, /) -> bytes:
        """Receive some data; none at the end."""

    def close(self) -> None:
        """Close the stream."""


class HttpTarget(NamedTuple):
    """Where a URL leads, and what to ask there."""

    host: str
    port: int
    path: str


def parse_url(url: str) -> HttpTarget:
    """Take a URL apart. Raises ``TransportError`` for one that cannot be fetched: not http, or malformed."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or _HTTP_PORT
    except ValueError as error:
        raise TransportError(f"{url!r} is not a URL: {error}") from error
    if parts.scheme != "http" or not host:
        raise TransportError(
            f"{url!r} cannot be fetched through a host: only http:// can", hint="curl or wget on the host can do https"
        )
    return HttpTarget(host, port, (parts.path or "/") + (f"?{parts.query}" if parts.query else ""))


def no_answer(seconds: float) -> HttpReply:
    """Return the reply that stands for silence."""
    return HttpReply(status=0, body=f"no answer within {seconds:g} s")


def get(stream: Stream, target: HttpTarget, seconds: float) -> HttpReply:
    """GET over an open stream. A peer that hangs up or speaks no HTTP is an answer too, with status 0.

    Raises ``TimeoutError`` after ``seconds``, and what else the stream raises when it breaks.
    """
    connection = http.client.HTTPConnection(target.host, target.port)
    connection.sock = _Socket(stream, Deadline(seconds))
    try:
        connection.request("GET", target.path, headers={"User-Agent": "crashcart", "Connection": "close"})
        response = connection.getresponse()
        body = response.read(BODY_LIMIT)
    except http.client.RemoteDisconnected:
        return HUNG_UP
    except (http.client.HTTPException, ValueError) as error:
        return HttpReply(status=0, body=f"not an HTTP answer: {type(error).__name__}")
    finally:
        stream.close()
    return HttpReply(response.status, body.decode(errors="replace"))


class _Socket:
    """As much of a socket as ``http.client`` uses, with one deadline for everything."""

    def __init__(self, stream: Stream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def sendall(self, data: bytes) -> None:
        self._stream.settimeout(self._deadline.within(self._deadline.left))
        self._stream.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        del mode
        return io.BufferedReader(_Reader(self._stream, self._deadline), BODY_LIMIT)

    def close(self) -> None:
        """Do nothing: ``http.client`` closes the socket before it has read the body from its file."""


class _Reader(io.RawIOBase):
    def __init__(self, stream: Stream, deadline: Deadline) -> None:
        super().__init__()
        self._stream = stream
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._stream.settimeout(self._deadline.within(self._deadline.left))
        data = self._stream.recv(len(buffer))
        buffer[: len(data)] = data
        return len(data)
