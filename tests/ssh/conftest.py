from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from crashcart.transports.ssh import SshConnector, SshTransport
from tests.ssh.sshd import Sshd, free_port, make_key

Connect = Callable[..., SshTransport]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home: no key, no agent and no configuration of whoever runs the tests."""
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return home


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """A server that tests share; whoever breaks one starts their own with ``new_sshd``."""
    server = Sshd(tmp_path_factory.mktemp("sshd"))
    yield server
    server.stop()


@pytest.fixture
def new_sshd(tmp_path: Path) -> Iterator[Callable[..., Sshd]]:
    servers: list[Sshd] = []

    def start(*extra: str, **options: Any) -> Sshd:
        servers.append(Sshd(tmp_path / f"sshd{len(servers)}", *extra, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def connector() -> Iterator[SshConnector]:
    connector = SshConnector()
    yield connector
    connector.close()


@pytest.fixture
def host(sshd: Sshd, connector: SshConnector) -> Iterator[SshTransport]:
    """A session with the shared server."""
    transport = connector(sshd.target())
    yield transport
    transport.close()


@pytest.fixture(scope="session")
def other_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key that no server knows."""
    return make_key(tmp_path_factory.mktemp("keys") / "other")


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that accepts and then says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def dropping_port() -> Iterator[int]:
    """A port that does not answer: its backlog is full, so that Linux drops the SYN."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        port: int = server.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for client in waiting:
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", port))
        yield port
        for client in waiting:
            client.close()


@pytest.fixture
def closed_port() -> int:
    return free_port()
