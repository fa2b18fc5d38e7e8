"""Backing off together, and cancelling."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crashcart.clock import FakeClock, SystemClock
from crashcart.errors import Cancelled, Throttled
from crashcart.transports.aws import AwsConnector, AwsTransport
from crashcart.transports.aws_gate import FIRST, LONGEST, Gate, InFlight
from crashcart.transports.aws_sessions import Limits
from crashcart.transports.base import ApiCall
from tests.aws.transport.breaking_server import BreakingServer, Silence, answer, broken_off, error
from tests.aws.transport.conftest import emulated

T = TypeVar("T")

ROUNDING = 1e-9
READ = ApiCall("rds", "DescribeDBClusters", {})
WRITE = ApiCall("rds", "FailoverDBCluster", {"DBClusterIdentifier": "orders"})
EMPTY = answer("<DescribeDBClustersResponse><DescribeDBClustersResult/></DescribeDBClustersResponse>")
DONE = answer("<FailoverDBClusterResponse><FailoverDBClusterResult/></FailoverDBClusterResponse>")


def longest(low: float, high: float) -> float:
    return high


def test_an_open_gate_holds_nobody_back() -> None:
    clock = FakeClock()
    Gate(clock).wait(InFlight(clock))
    assert clock.monotonic() == 0


def test_one_throttled_request_holds_back_everybody() -> None:
    clock = FakeClock()
    gate = Gate(clock, longest)
    gate.throttled(sent=clock.monotonic())
    assert gate.opens_in == 3 * FIRST
    for _ in range(200):
        gate.wait(InFlight(clock))
    assert clock.monotonic() == 3 * FIRST


def test_requests_that_were_under_way_together_count_once() -> None:
    clock = FakeClock()
    gate = Gate(clock, longest)
    InFlight(clock).sleep(1.0)
    gate.throttled(sent=1.0)
    for _ in range(200):
        gate.throttled(sent=0.5)
    assert gate.opens_in == 3 * FIRST


def test_the_pause_grows_while_it_does_not_help_and_shrinks_when_it_does() -> None:
    clock = FakeClock()
    gate = Gate(clock, longest)
    pauses = []
    for _ in range(4):
        gate.throttled(sent=clock.monotonic())
        pauses.append(gate.opens_in)
        gate.wait(InFlight(clock))
    assert pauses == [3, 9, LONGEST, LONGEST]
    for _ in range(5):
        gate.answered(sent=clock.monotonic())
    gate.throttled(sent=clock.monotonic())
    assert gate.opens_in == 3


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(["throttled", "answered", "wait"]), max_size=30), st.randoms(use_true_random=False))
def test_nobody_waits_longer_than_the_bound(events: list[str], chance: random.Random) -> None:
    clock = FakeClock()
    gate = Gate(clock, chance.uniform)
    for event in events:
        before = clock.monotonic()
        if event == "wait":
            gate.wait(InFlight(clock))
        else:
            getattr(gate, event)(before)
        assert clock.monotonic() - before <= LONGEST + ROUNDING
        assert gate.opens_in <= LONGEST + ROUNDING


def test_reads_of_all_targets_wait_for_a_service_that_throttled_one_of_them(server: BreakingServer) -> None:
    clock = FakeClock()
    connector = AwsConnector(limits=Limits(attempts=1), clock=clock)
    server.does(error("Throttling"), EMPTY)
    with pytest.raises(Throttled):
        connector(emulated(server.url, "orders")).read(READ)
    assert clock.monotonic() == 0
    connector(emulated(server.url, "billing")).read(READ)
    assert FIRST / 2 <= clock.monotonic() <= 3 * FIRST
    assert server.requests == 2
    connector.close()


def test_another_region_is_not_held_back(server: BreakingServer) -> None:
    clock = FakeClock()
    connector = AwsConnector(limits=Limits(attempts=1), clock=clock)
    server.does(error("Throttling"), EMPTY)
    with pytest.raises(Throttled):
        connector(emulated(server.url)).read(READ)
    connector(emulated(server.url, aws_region="us-east-1")).read(READ)
    assert clock.monotonic() == 0
    connector.close()


def test_cancelling_at_rest_does_nothing(server: BreakingServer, transport: AwsTransport) -> None:
    server.does(EMPTY)
    transport.cancel()
    assert transport.read(READ) == {}


def test_a_cancelled_read_sends_no_retry(server: BreakingServer) -> None:
    silence = Silence()
    server.does(silence)
    transport = AwsConnector(limits=Limits(read=10.0))(emulated(server.url))
    raised = in_background(transport.read, READ)
    assert silence.taken.wait(10)
    transport.cancel()
    silence.release.set()
    assert isinstance(raised(), Cancelled)
    assert server.requests == 1


def test_a_cancelled_write_that_was_sent_is_waited_for(server: BreakingServer) -> None:
    transport = AwsConnector(limits=Limits(write=10.0))(emulated(server.url))
    holding = threading.Event()
    taken = threading.Event()

    def late(connection: socket.socket) -> None:
        taken.set()
        holding.wait(10)
        DONE(connection)

    server.does(late)
    raised = in_background(transport.write, WRITE)
    assert taken.wait(10)
    transport.cancel()
    holding.set()
    assert raised() is None
    assert server.requests == 1


class TellingClock(SystemClock):
    """The machine's clock, which tells when somebody begins to wait."""

    def __init__(self) -> None:
        self.waiting = threading.Event()

    def wait(self, inbox: SimpleQueue[T], seconds: float | None, *, busy: bool) -> T | None:
        self.waiting.set()
        return super().wait(inbox, 60.0, busy=busy)


def test_a_cancelled_call_does_not_wait_for_the_gate(server: BreakingServer) -> None:
    clock = TellingClock()
    transport = AwsConnector(limits=Limits(attempts=1), clock=clock)(emulated(server.url))
    server.does(error("Throttling"))
    with pytest.raises(Throttled):
        transport.read(READ)
    raised = in_background(transport.read, READ)
    assert clock.waiting.wait(10)
    transport.cancel()
    assert isinstance(raised(), Cancelled)
    assert server.requests == 1


def test_a_deadline_ends_a_call_before_its_next_request(server: BreakingServer) -> None:
    clock = FakeClock()
    connector = AwsConnector(clock=clock)
    known = connector(emulated(server.url))
    server.does(broken_off)
    with pytest.raises(Cancelled, match="the time for it is over"):
        connector.open(known.access, until=clock.monotonic()).read(READ)
    assert server.requests == 0


def in_background(send: Callable[[ApiCall], object], call: ApiCall) -> Callable[[], Exception | None]:
    """Start a call in a thread; what is returned waits for its end and gives the error, or nothing."""
    errors: list[Exception | None] = []

    def run() -> None:
        try:
            send(call)
            errors.append(None)
        except Exception as error:  # noqa: BLE001
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def end() -> Exception | None:
        thread.join(10)
        return errors[0]

    return end
