"""Restarts counted on a real host, from what its own systemd wrote: those by hand, and not those of systemd itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from crashcart.errors import FactUnreadable
from crashcart.facts import restarts
from crashcart.targets import Target
from crashcart.transports.base import Command, CommandResult, Transport
from crashcart.transports.ssh import SshConnector
from tests.lab.hosts import STATE, Host, eventually

pytestmark = pytest.mark.lab

HOUR = 3600.0
PID = "systemctl show --value --property=MainPID api"


class WithoutRoot:
    """The way to a host for somebody who may log in and no more."""

    def __init__(self, transport: Transport) -> None:
        self.cancel, self.close, self.fetch = transport.cancel, transport.close, transport.fetch
        self._transport = transport

    def run(self, command: Command) -> CommandResult:
        return self._transport.run(Command(command.script, command.args, command.timeout, become=False))


@pytest.fixture
def host(hosts: dict[str, Host]) -> Iterator[Host]:
    """A host whose service may start as often as a test likes, and runs again afterwards."""
    host = hosts["lab2"]
    host.say("sudo systemctl reset-failed api; sudo systemctl start api")
    yield host
    host.say("sudo systemctl reset-failed api; sudo systemctl start api")
    assert eventually(lambda: host.health() == "ok 200")


@pytest.fixture
def transport(host: Host) -> Iterator[Transport]:
    session = SshConnector()(Target(host.name, variables=host.variables))
    yield session
    session.close()


@pytest.fixture
def counted(transport: Transport) -> Callable[[], int]:
    """How many restarts have been added since the test began."""
    before = restarts.observe(transport, "api.service", HOUR).count
    return lambda: restarts.observe(transport, "api.service", HOUR).count - before


def crash(host: Host, signal: str) -> None:
    """Kill the service, which must run; with SIGKILL it stays down, after anything else systemd restarts it itself."""
    pid = host.say(PID)
    host.say(f"sudo kill -s {signal} {pid}")
    if signal == "KILL":
        assert eventually(lambda: host.say(STATE) == "signal failed")
    else:
        assert eventually(lambda: host.say(PID) not in {pid, "0"} and host.say(STATE) == "success active")


def test_restarts_by_hand_count_and_systemds_own_do_not(host: Host, counted: Callable[[], int]) -> None:
    host.say("sudo systemctl restart api")
    assert counted() == 1
    crash(host, "SEGV")
    assert counted() == 1
    host.say("sudo systemctl restart api")
    assert counted() == 2


def test_a_failed_service_that_is_restarted_counts(host: Host, counted: Callable[[], int]) -> None:
    crash(host, "KILL")
    assert counted() == 0
    host.say("sudo systemctl restart api")
    assert counted() == 1


def test_a_stop_and_a_start_are_one_restart(host: Host, counted: Callable[[], int]) -> None:
    host.say("sudo systemctl stop api")
    assert counted() == 0
    host.say("sudo systemctl start api && sudo systemctl start api")
    assert counted() == 1


def test_a_service_without_readiness_is_counted_too(host: Host, transport: Transport) -> None:
    """It writes other lines than one that tells when it is ready."""
    unit = "drill-simple.service"
    host.say(f"sudo systemd-run --unit={unit} -p Restart=always -p RestartSec=50ms sleep 1000")
    try:
        before = restarts.observe(transport, unit, HOUR).count
        host.say(f"sudo systemctl restart {unit} && sudo systemctl kill -s KILL {unit}")
        restarted = f"test $(systemctl show --value --property=NRestarts {unit}) = 1"
        assert eventually(lambda: host.ssh(restarted).returncode == 0)
        assert restarts.observe(transport, unit, HOUR).count == before + 1
    finally:
        host.say(f"sudo systemctl stop {unit}")


def test_the_window_ends_where_it_should(host: Host, transport: Transport) -> None:
    host.say("sudo systemctl restart api")
    now = float(host.say("date +%s"))
    assert restarts.observe(transport, "api", 0).count in {0, 1}  # in whole seconds of the host's clock
    found = restarts.observe(transport, "api", HOUR)
    assert found.count >= 1
    assert now - HOUR - 1 <= found.since <= now


def test_a_unit_that_nobody_knows_was_never_restarted(transport: Transport) -> None:
    assert restarts.observe(transport, "no-such.service", HOUR).count == 0


def test_a_user_who_may_not_read_the_journal_knows_nothing(transport: Transport) -> None:
    with pytest.raises(FactUnreadable, match="may not be read"):
        restarts.observe(WithoutRoot(transport), "api.service", HOUR)
