from __future__ import annotations

import errno
import os
import socket

import pytest

from crashcart.errors import ConnectRefused, ConnectTimeout, Unreachable
from crashcart.transports.endpoint import Endpoint
from crashcart.transports.wire import ProxyWire, dial


def fail_with(monkeypatch: pytest.MonkeyPatch, error: OSError) -> None:
    class Failing(socket.socket):
        def connect(self, *_: object) -> None:
            raise error

    monkeypatch.setattr(socket, "socket", Failing)


@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [
        (errno.ECONNREFUSED, ConnectRefused, "refuses the connection"),
        (errno.ETIMEDOUT, ConnectTimeout, "does not answer"),
        (errno.EHOSTUNREACH, Unreachable, "no route to 127.0.0.1:22"),
        (errno.ENETUNREACH, Unreachable, "no route to 127.0.0.1:22"),
        (errno.EACCES, Unreachable, "no connection to 127.0.0.1:22: Permission denied"),
    ],
)
def test_each_way_to_fail(monkeypatch: pytest.MonkeyPatch, number: int, kind: type[Unreachable], words: str) -> None:
    cause = OSError(number, os.strerror(number))
    fail_with(monkeypatch, cause)
    with pytest.raises(Unreachable, match=words) as caught:
        dial(Endpoint("127.0.0.1", 22, "ops"), 1)
    assert type(caught.value) is kind
    assert caught.value.__cause__ is cause


@pytest.mark.parametrize("error", [socket.gaierror(-2, "Name or service not known"), UnicodeError("label too long")])
def test_a_name_that_does_not_resolve(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def getaddrinfo(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(ConnectTimeout, match="'web1' does not resolve") as caught:
        dial(Endpoint("web1", 22, "ops"), 1)
    assert "ansible_host" in caught.value.hint


def test_the_next_address_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        found = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.2", port)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        with dial(Endpoint("web1", port, "ops"), 5) as wire:
            assert wire.getpeername() == ("127.0.0.1", port)


def test_a_proxy_program_is_a_socket() -> None:
    wire = ProxyWire("sh -c 'read -r line; echo got $line; echo done >&2'")
    wire.settimeout(5)
    wire.send(b"hello\n")
    assert wire.recv(100) == b"got hello\n"
    assert wire.recv(100) == b""
    assert wire.said == "done"
    wire.close()
    wire.close()
    assert wire.said == "done"
