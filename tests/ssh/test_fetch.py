"""HTTP as the host sees it, over the same connection, with nothing run there."""

from __future__ import annotations

import http.server
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from crashcart.errors import NotSent, TransportError
from crashcart.transports.base import HttpReply
from crashcart.transports.limits import Limits
from crashcart.transports.ssh import SshConnector, SshTransport
from tests.ssh.sshd import Sshd


class Service(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status = 503 if self.path == "/health?full=1" else 200
        body = b"disk full" if status == 503 else b"x" * 100_000
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def service() -> Iterator[int]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Service)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_answer(host: SshTransport, service: int) -> None:
    assert host.fetch(f"http://127.0.0.1:{service}/health?full=1", 5) == HttpReply(503, "disk full")


def test_a_long_body_is_cut(host: SshTransport, service: int) -> None:
    assert host.fetch(f"http://localhost:{service}", 5) == HttpReply(200, "x" * 4096)


def test_nothing_listens(host: SshTransport, closed_port: int) -> None:
    assert host.fetch(f"http://127.0.0.1:{closed_port}/health", 5) == HttpReply(0, "connection refused")


def test_a_silent_service(host: SshTransport, silent_port: int) -> None:
    started = time.monotonic()
    assert host.fetch(f"http://127.0.0.1:{silent_port}/", 0.2) == HttpReply(0, "no answer within 0.2 s")
    assert time.monotonic() - started < 2


def test_a_service_that_does_not_even_accept(host: SshTransport, dropping_port: int) -> None:
    assert host.fetch(f"http://127.0.0.1:{dropping_port}/", 0.3) == HttpReply(0, "no answer within 0.3 s")


def test_a_service_that_trickles_is_given_no_more_time(host: SshTransport) -> None:
    done = threading.Event()

    def trickle() -> None:
        peer, _ = server.accept()
        with peer:
            peer.sendall(b"HTTP/1.1 200 OK\r\n")
            while not done.wait(0.05):
                peer.sendall(b"X: y\r\n")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=trickle)
        thread.start()
        assert host.fetch(f"http://127.0.0.1:{server.getsockname()[1]}/", 0.4).status == 0
        done.set()
        thread.join()


@pytest.mark.parametrize(("said", "body"), [(b"", "closed without an answer"), (b"hello\r\n\r\n", "not an HTTP answer")])
def test_a_service_that_speaks_no_http(host: SshTransport, said: bytes, body: str) -> None:
    def answer() -> None:
        peer, _ = server.accept()
        with peer:
            peer.recv(1000)
            peer.sendall(said)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer)
        thread.start()
        reply = host.fetch(f"http://127.0.0.1:{server.getsockname()[1]}/", 5)
        thread.join()
    assert reply.status == 0
    assert body in reply.body


def test_a_host_that_does_not_forward_could_not_be_asked(
    new_sshd: Callable[..., Sshd], connector: SshConnector, service: int
) -> None:
    host = connector(new_sshd("AllowTcpForwarding no").target())
    with pytest.raises(NotSent, match="does not forward") as caught:
        host.fetch(f"http://127.0.0.1:{service}/", 5)
    assert "AllowTcpForwarding" in caught.value.hint
    host.close()


def test_a_host_that_hangs_is_not_a_service_that_hangs(new_sshd: Callable[..., Sshd], service: int) -> None:
    server = new_sshd()
    host = SshConnector(limits=Limits(channel=0.2))(server.target())
    assert host.fetch(f"http://127.0.0.1:{service}/", 5).status == 200
    server.signal_connections(signal.SIGSTOP)
    with pytest.raises(NotSent, match="the connection is gone"):
        host.fetch(f"http://127.0.0.1:{service}/", 0.2)
    host.close()


@pytest.mark.parametrize("url", ["https://127.0.0.1/", "ftp://x/", "http://", "http://x:y/", "health"])
def test_what_cannot_be_fetched_is_said(host: SshTransport, url: str) -> None:
    with pytest.raises(TransportError):
        host.fetch(url, 1)
