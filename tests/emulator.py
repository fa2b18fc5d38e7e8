"""The lab's AWS emulator for tests: a real process, real HTTP, and a clock that the test moves.

    @pytest.fixture(scope="session")
    def emulator_process() -> Iterator[Emulator]:
        with running_emulator() as emulator:
            yield emulator

    @pytest.fixture
    def emulator(emulator_process: Emulator) -> Emulator:
        emulator_process.reset("databases")         # or "caches", "compute", all of them (*PARTS), or nothing
        return emulator_process

One process serves a whole test session; ``reset`` takes 0.05 to 0.3 s. ``emulator.target("rds_cluster", "lab-aurora")`` is a
target for an ``AwsConnector``, and ``EmulatorClock(emulator)`` a clock for the engine whose waits move the lab's time.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

import boto3
import botocore.session
from botocore.config import Config

from crashcart.clock import FakeClock
from crashcart.lab.aws.account import KEYS, PARTS, REGION
from crashcart.lab.aws.compute_seed import LabInstance
from crashcart.lab.aws.emulator import AwsEmulator
from crashcart.lab.aws.whereabouts import find
from crashcart.secrets import Secret
from crashcart.targets import Target
from crashcart.transports.aws_check import AwsAccess

__all__ = ["PARTS", "Emulator", "EmulatorClock", "running_emulator"]

T = TypeVar("T")

_ONCE = Config(retries={"total_max_attempts": 1}, read_timeout=20, proxies={})


class Emulator:
    """A running emulator."""

    def __init__(self, state: Path, url: str) -> None:
        self.state, self.url = state, url
        self._lab = AwsEmulator(state)
        self._session = boto3.Session(*KEYS, region_name=REGION, botocore_session=botocore.session.Session(profile=None))
        self._clients: dict[tuple[str, str], Any] = {}

    def client(self, service: str, region: str = REGION, **config: Any) -> Any:
        """A boto3 client that sends every request once; made once per service and region, unless ``config`` is given."""
        if config:
            return self._make(service, region, _ONCE.merge(Config(**config)))
        if (service, region) not in self._clients:
            self._clients[service, region] = self._make(service, region, _ONCE)
        return self._clients[service, region]

    def advance(self, seconds: float) -> None:
        """Let the lab's time pass, and everything happen that is due by then."""
        self._lab.admin("POST", "clock", advance=seconds)

    def now(self) -> datetime:
        """The lab's time."""
        return datetime.fromisoformat(self._lab.admin("GET", "status")["now"])

    def fault(self, name: str, **wanted: Any) -> None:
        """Put a fault in: ``service``, ``action`` (a pattern), ``resource``, ``times``, ``seconds``, ``value``."""
        self._lab.admin("POST", "faults", {"name": name, **wanted})

    def faults(self) -> Any:
        """What is armed, and what stands."""
        return self._lab.admin("GET", "faults")

    def clear_faults(self) -> None:
        """Take all faults out; connections that are held are let go."""
        self._lab.admin("DELETE", "faults")

    def scene(self, name: str, resource: str) -> None:
        """Set a scene up around a resource, as drills do."""
        self._lab.admin("POST", "scenes", {"name": name, "resource": resource})

    def condition(self, kind: str, resource: str, value: str = "on") -> None:
        """Make something true of a resource, as standing faults do."""
        self._lab.admin("POST", "conditions", {"kind": kind, "resource": resource, "value": value})

    def durations(self, **seconds: float) -> None:
        """Change how long transitions take; ``rds_failover=10`` is ``rds.failover``."""
        self._lab.admin("POST", "durations", {name.replace("_", ".", 1).replace("_", "-"): s for name, s in seconds.items()})

    def requests(self, action: str = "") -> list[dict[str, Any]]:
        """What was asked since the last reset, of one action if one is named."""
        found: list[dict[str, Any]] = self._lab.admin("GET", "requests")
        return [request for request in found if action in {"", request["action"]}]

    def writes(self) -> list[dict[str, Any]]:
        """The requests that may have changed something."""
        return [request for request in self.requests() if request["writes"]]

    def forget_requests(self) -> None:
        """Begin to count anew."""
        self._lab.admin("DELETE", "requests")

    def reset(self, *parts: str, hosts: Sequence[LabInstance] = (), behind: float = 0.0) -> None:
        """Begin anew with parts of the lab's account (``databases``, ``caches``, ``compute``), or with nothing.

        No faults, no requests, the clock right; or ``behind``, so that a test can make a history and then ``advance`` to now
        (facts take an event's age from this machine's clock, which no test moves).
        """
        self._lab.reset(hosts, parts, behind=behind)

    def access(self, **given: Any) -> AwsAccess:
        """What a transport needs to reach it."""
        keys = {"access_key_id": KEYS[0], "secret_access_key": Secret(KEYS[1])}
        return AwsAccess(**{"region": REGION, "endpoint_url": self.url, **keys, **given})

    def target(self, kind: str, name: str, **variables: Any) -> Target:
        """A target of the emulator, as the lab's inventory has it."""
        reached = {"aws_region": REGION, "aws_endpoint_url": self.url}
        keys = {"aws_access_key_id": KEYS[0], "aws_secret_access_key": KEYS[1]}
        return Target(name, kind, {**reached, **keys, "drill": True, **variables}, ("lab_aws",))

    def _make(self, service: str, region: str, config: Config) -> Any:
        return self._session.client(service, region, endpoint_url=self.url, config=config)


class EmulatorClock(FakeClock):
    """A clock for the engine: waiting takes no time, and lets as much of the lab's time pass."""

    def __init__(self, emulator: Emulator) -> None:
        super().__init__()
        self._emulator = emulator

    def wait(self, inbox: SimpleQueue[T], seconds: float | None, *, busy: bool) -> T | None:
        """Wait as ``FakeClock`` does, the emulator too."""
        before = self.monotonic()
        found = super().wait(inbox, seconds, busy=busy)
        if self.monotonic() > before:
            self._emulator.advance(self.monotonic() - before)
        return found


@contextmanager
def running_emulator() -> Iterator[Emulator]:
    """Run an emulator on a port of its own for as long as this process lives, with an empty account."""
    with tempfile.TemporaryDirectory(prefix="emulator-") as folder:
        state = Path(folder)
        command = [sys.executable, "-m", "crashcart.lab.aws.server", "--state", folder, "--with-stdin"]
        with (
            (state / "server.log").open("wb") as log,
            subprocess.Popen(
                [*command, "--first", '{"seed": []}'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
            ) as process,
        ):
            assert process.stdout
            said = process.stdout.readline()
            assert said, (state / "server.log").read_text()
            where = find(state)
            assert where
            emulator = Emulator(state, where.url)
            try:
                yield emulator
            finally:
                for client in emulator._clients.values():
                    client.close()
                assert process.stdin
                process.stdin.close()
                process.wait(10)
