"""The servers of the tests, each started once, when first needed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases import servers
from tests.databases.servers import PASSWORD, Server


@pytest.fixture(scope="session")
def authority() -> Iterator[Path]:
    """A certificate for localhost; its key lies beside it."""
    with servers.own_folder() as folder:
        yield servers.certificate(folder)


@pytest.fixture(scope="session")
def primary() -> Iterator[Server]:
    with servers.redis() as server:
        yield server


@pytest.fixture(scope="session")
def replica(primary: Server) -> Iterator[Server]:
    with servers.redis("--replicaof", f"127.0.0.1 {primary.port}", "--masterauth", PASSWORD) as server:
        yield server


@pytest.fixture(scope="session")
def secure_redis(authority: Path) -> Iterator[Server]:
    with servers.redis(tls=authority.parent) as server:
        yield server


@pytest.fixture(scope="session")
def writer(authority: Path) -> Iterator[Server]:
    """A PostgreSQL that offers TLS."""
    with servers.own_folder() as folder:
        servers.new_postgresql(folder / "data")
        key = authority.parent / "server.key"
        tls = ("ssl=on", f"ssl_cert_file={authority}", f"ssl_key_file={key}")
        with servers.postgresql(folder / "data", *tls, "max_connections=12", "superuser_reserved_connections=2") as server:
            yield server


@pytest.fixture(scope="session")
def standby(writer: Server) -> Iterator[Server]:
    """Its replica, without TLS."""
    with servers.own_folder() as folder:
        source = f"host=127.0.0.1 port={writer.port} user=app password={PASSWORD}"
        copy = ("-D", str(folder / "data"), "-R", "-X", "stream", "-c", "fast", "--no-sync")
        servers.once(servers.program("pg_basebackup"), "-d", source, *copy)
        with servers.postgresql(folder / "data", "ssl=off", "max_connections=12") as server:
            yield server


@pytest.fixture(scope="session")
def mariadb() -> Iterator[Server]:
    with servers.mariadb() as server:
        yield server
