"""The scripts of ``endpoint`` and ``network`` for real, on this machine: real servers, real certificates, real refusals."""

from __future__ import annotations

import shutil
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from crashcart.facts import endpoint, network
from crashcart.facts.endpoint import Trouble
from crashcart.facts.network import Dependency
from crashcart.transports.local import LocalTransport

pytestmark = pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")

ENDS = datetime(2099, 1, 2, 3, 4, 5, tzinfo=UTC)


class Answers(BaseHTTPRequestHandler):
    """The path says how to answer: ``/503``, ``/302``, or ``/hang``."""

    hung = threading.Event()

    def do_GET(self) -> None:
        if self.path == "/hang":
            self.hung.wait(20)
            return
        self.send_response(int(self.path.strip("/")))
        self.send_header("Location", "http://127.0.0.1:1/login")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the parent's name
        """Say nothing."""


@contextmanager
def serving(certificate: Path | None = None) -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.daemon_threads = True
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        Answers.hung.set()
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate of nobody's for 127.0.0.1, and its key."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "lab")])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(ENDS)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = tmp_path / "server.pem"
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def here() -> Iterator[LocalTransport]:
    transport = LocalTransport(None)
    yield transport
    transport.close()


def test_every_kind_of_answer_is_told_apart(here: LocalTransport) -> None:
    with serving() as port:
        paths = [f"http://127.0.0.1:{port}/{path}" for path in ("200", "503", "302", "hang")]
        found = endpoint.observe(here, [*paths, "http://127.0.0.1:1/"], samples=1, timeout=1).found
    ok, unwell, moved, hung, refused = (one.samples[0] for one in found)
    assert (ok.status, unwell.status, moved.status) == (200, 503, 302)
    assert moved.redirect == "http://127.0.0.1:1/login"
    assert (hung.trouble, refused.trouble) == (Trouble.TIMEOUT, Trouble.REFUSED)
    assert 0 < ok.total < 1 <= hung.total < 3


def test_many_samples_end_with_their_time(here: LocalTransport) -> None:
    with serving() as port:
        (one,) = endpoint.observe(here, [f"http://127.0.0.1:{port}/200"], samples=500, pause=0.5, budget=1).found
    assert 1 <= len(one.samples) < 10


def test_the_end_of_a_certificate_is_read_even_of_one_that_is_not_trusted(here: LocalTransport, certificate: Path) -> None:
    with serving(certificate) as port:
        (one,) = endpoint.observe(here, [f"https://127.0.0.1:{port}/200"]).found
        routes = network.observe(here, [Dependency("127.0.0.1", port, tls=True), Dependency("127.0.0.1", 1)]).routes
    assert one.samples[0].trouble is Trouble.TLS
    assert one.expires == routes[0].expires == ENDS.timestamp()
    assert (routes[0].reached, routes[1].reached, routes[1].said) == (True, False, "connection refused")
