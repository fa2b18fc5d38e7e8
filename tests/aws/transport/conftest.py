"""Servers that really listen: moto's, and one that breaks in every way a test asks for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from crashcart.targets import Target
from crashcart.transports.aws import AwsConnector, AwsTransport
from crashcart.transports.aws_sessions import Limits
from tests.aws.transport.breaking_server import BreakingServer

REGION = "eu-central-1"
QUICK = Limits(connect=2.0, read=0.2, write=0.3, identity=1.0)

Open = Callable[..., AwsTransport]


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No credentials, no configuration and no instance metadata of the machine that the tests run on."""
    for name in [name for name in os.environ if name.startswith("AWS_") or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def server() -> Iterator[BreakingServer]:
    with BreakingServer() as running:
        yield running


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    emulator = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    emulator.start()
    host, port = emulator.get_host_and_port()
    yield f"http://{host}:{port}"
    emulator.stop()


def emulated(url: str, name: str = "orders", **variables: object) -> Target:
    """A target of an emulator, with the keys that it takes."""
    keys = {"aws_access_key_id": "AKIATEST", "aws_secret_access_key": "secret"}
    return Target(name, "rds_cluster", {"aws_region": REGION, "aws_endpoint_url": url, **keys, **variables})


@pytest.fixture
def connector() -> Iterator[AwsConnector]:
    made = AwsConnector(session_name="ops-run1", run="run1", limits=QUICK)
    yield made
    made.close()


@pytest.fixture
def transport(server: BreakingServer, connector: AwsConnector) -> AwsTransport:
    """A transport to the server that breaks."""
    return connector(emulated(server.url))
