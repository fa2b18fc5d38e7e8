"""The lease on a real host, through real sessions: two laptops at once, a laptop that dies, a host without room for it."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from crashcart.safety.lease import FOLDER, LEASED, NO_LEASE, Lease, leased, read_holder, read_takeover, refusal, release
from crashcart.targets import Target
from crashcart.transports.base import Command, CommandResult, Transport
from crashcart.transports.ssh import SshConnector
from tests.lab.hosts import Host, eventually

pytestmark = pytest.mark.lab

ROUNDS = 20
ACT = Command("echo done", timeout=10)
CONTROLLER = """
import sys
import msgspec
from crashcart.targets import Target
from crashcart.transports.base import Command
from crashcart.transports.ssh import SshConnector
target, command = (msgspec.json.decode(text, type=kind) for text, kind in zip(sys.argv[1:], (Target, Command)))
SshConnector()(target).run(command)
"""


class Laptop:
    """One controller with its own session, on behalf of one run."""

    def __init__(self, session: Transport, run: str, seconds: float = 600) -> None:
        self.session = session
        self.lease = Lease(run, "alice", f"laptop-{run}", "recover.test", 1893466800, "api is down", seconds)

    def act(self, command: Command = ACT) -> CommandResult:
        return self.session.run(leased(command, self.lease))

    def release(self) -> str:
        return self.session.run(release(self.lease)).stdout.text


@pytest.fixture
def host(hosts: dict[str, Host]) -> Iterator[Host]:
    host = hosts["lab2"]
    yield host
    host.say(f"sudo umount {FOLDER} 2>/dev/null; sudo rm -rf {FOLDER}")


@pytest.fixture
def target(host: Host) -> Target:
    return Target(host.name, variables=host.variables)


@pytest.fixture
def laptops(target: Target) -> Iterator[tuple[Laptop, Laptop]]:
    connectors = SshConnector(), SshConnector()
    sessions = [connect(target) for connect in connectors]
    yield Laptop(sessions[0], "r1"), Laptop(sessions[1], "r2")
    for session, connector in zip(sessions, connectors, strict=True):
        session.close()
        connector.close()


def together(*calls: Callable[[], CommandResult]) -> list[CommandResult]:
    """Make calls at one moment, as nearly as threads can."""
    barrier = threading.Barrier(len(calls))

    def call(act: Callable[[], CommandResult]) -> CommandResult:
        barrier.wait()
        return act()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(call, calls))


def test_of_two_laptops_exactly_one_acts(laptops: tuple[Laptop, Laptop]) -> None:
    for _ in range(ROUNDS):
        results = together(*(laptop.act for laptop in laptops))
        assert sorted((result.status, result.stdout.text) for result in results) == [(0, "done\n"), (LEASED, "")]
        winner = next(laptop for laptop, result in zip(laptops, results, strict=True) if result.ok)
        assert sorted(laptop.release() for laptop in laptops) == ["", "released\n"]
        assert next(found.run for found in map(read_holder, results) if found) == winner.lease.run


def test_a_run_acts_again_and_the_other_is_told_who(laptops: tuple[Laptop, Laptop], host: Host) -> None:
    first, second = laptops
    assert first.act().ok
    assert first.act().ok
    said = refusal(second.act())
    assert said is not None
    assert said.message.startswith("alice on laptop-r1 holds this host for ")
    assert "recover.test, api is down (run r1, started 2030-01-01 03:00:00 UTC)" in said.message
    assert host.say(f"sudo stat -c '%U %a %F' {FOLDER} {FOLDER}/lease") == "root 700 directory\nroot 700 directory"


def test_the_lease_of_a_killed_controller_ends_by_itself(laptops: tuple[Laptop, Laptop], target: Target, host: Host) -> None:
    first, second = laptops
    short = msgspec.structs.replace(first.lease, seconds=1)
    # The act itself outlives its controller until its own time is up, and the lease outlives the act.
    act = leased(Command("touch /run/crashcart.acting; sleep 60; touch /run/crashcart.late", timeout=1), short)
    words = [msgspec.json.encode(word).decode() for word in (target, act)]
    with subprocess.Popen([sys.executable, "-c", CONTROLLER, *words]) as controller:
        assert eventually(lambda: host.ssh("test -e /run/crashcart.acting").returncode == 0)
        controller.kill()
    assert second.act().status == LEASED
    results: list[CommandResult] = []

    def second_acts() -> bool:
        results.append(second.act())
        return results[-1].ok

    assert eventually(second_acts, within=20)
    gone = read_takeover(results[-1])
    assert gone is not None
    assert (gone.run, gone.controller) == ("r1", "laptop-r1")
    assert all(result.status == LEASED for result in results[:-1])
    assert first.act().status == LEASED
    assert host.ssh("test -e /run/crashcart.late").returncode == 1
    host.say("sudo rm /run/crashcart.acting")


def no_lease(laptop: Laptop, command: Command = ACT) -> str:
    result = laptop.act(command)
    assert (result.status, result.stdout.text) == (NO_LEASE, "")
    said = refusal(result)
    assert said is not None
    return said.message


def test_who_is_not_root_gets_no_lease(laptops: tuple[Laptop, Laptop]) -> None:
    assert "Permission denied" in no_lease(laptops[0], msgspec.structs.replace(ACT, become=False))


@pytest.mark.parametrize(
    ("options", "fill", "said"),
    [
        ("nr_inodes=2", "touch full", "No space left"),
        ("size=4k", "head -c 4096 /dev/zero >full", "cannot write to"),
        ("size=4k", "mount -o remount,ro .", "Read-only file system"),
    ],
)
def test_where_there_is_no_room_nothing_is_done_and_nothing_left(
    laptops: tuple[Laptop, Laptop], host: Host, options: str, fill: str, said: str
) -> None:
    mount = f"mkdir -p {FOLDER} && mount -t tmpfs -o mode=0700,{options} none {FOLDER} && cd {FOLDER} && {{ {fill}; }}"
    host.say(f"sudo sh -c '{mount}'")
    assert said in no_lease(laptops[0])
    assert host.say(f"sudo find {FOLDER} -mindepth 1 -not -name full") == ""


def test_a_full_disk_is_no_obstacle(laptops: tuple[Laptop, Laptop], host: Host) -> None:
    host.say("sudo sh -c 'cat /dev/zero >/var/tmp/full 2>/dev/null; :'")
    try:
        assert laptops[0].act().ok
        assert laptops[0].release() == "released\n"
    finally:
        host.say("sudo rm /var/tmp/full")
