"""An HTTP server on a bare socket that takes a request and then does what it was told: answer, break off, or say nothing."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

Behaviour = Callable[[socket.socket], None]


def answer(body: str, status: int = 200, *, kind: str = "text/xml") -> Behaviour:
    """Take the request and send a whole answer."""

    def behave(connection: socket.socket) -> None:
        take_request(connection)
        connection.sendall(reply(body, status, kind))

    return behave


def error(code: str, status: int = 400, message: str = "said so") -> Behaviour:
    """Answer as a service of the query protocol that says no."""
    return answer(f"<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>", status)


def truncated(connection: socket.socket) -> None:
    """Take the request and send a whole answer whose XML ends in the middle."""
    take_request(connection)
    connection.sendall(reply("<DescribeDBClustersResponse><Descr", 200, "text/xml"))


def broken_off(connection: socket.socket) -> None:
    """Take the request and break the connection without an answer."""
    take_request(connection)
    reset(connection)


def reset_unread(connection: socket.socket) -> None:
    """Break the connection when the request begins to arrive, without having read any of it."""
    connection.recv(1, socket.MSG_PEEK)
    reset(connection)


class Silence:
    """Takes the request and says nothing until it is told to go on."""

    def __init__(self) -> None:
        self.taken, self.release = threading.Event(), threading.Event()

    def __call__(self, connection: socket.socket) -> None:
        take_request(connection)
        self.taken.set()
        self.release.wait(10)


def reset(connection: socket.socket) -> None:
    """Close with a RST: the peer sees its connection broken, not ended."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def take_request(connection: socket.socket) -> bytes:
    """Read one whole request."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    while len(body) < int(lengths[0] if lengths else 0):
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def reply(body: str, status: int, kind: str) -> bytes:
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return (head + body).encode()


class BreakingServer:
    """Each connection gets the next behaviour, the last one stays. ``requests`` counts connections: one request each."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.requests = 0
        self._behaviours: list[Behaviour] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)
        for thread in self._threads:
            thread.join(10)

    def does(self, *behaviours: Behaviour) -> None:
        self._behaviours = list(behaviours)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.requests += 1
            behaviour = self._behaviours.pop(0) if len(self._behaviours) > 1 else self._behaviours[0]
            thread = threading.Thread(target=self._behave, args=(behaviour, connection), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _behave(self, behaviour: Behaviour, connection: socket.socket) -> None:
        with connection:
            try:
                behaviour(connection)
            except OSError:
                return
