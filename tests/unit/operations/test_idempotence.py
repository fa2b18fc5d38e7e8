"""Mechanical proof for every operation that writes: after its plan is applied, a second run changes nothing.

Also that it acts once at most whatever becomes of an answer, and wherever the controller is killed and the run resumed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from crashcart.clock import FakeClock
from crashcart.operations import SHIPPED, find_operation
from crashcart.operations.base import Action
from crashcart.operations.systemd_rules import RESTART
from crashcart.results import Outcome, Verdict
from crashcart.transports.base import Command
from tests.unit.operations.simulated_unit import UNIT, URL, FakeHost, FakeUnit, Journal, Killed, result_of, run

TESTS = Path(__file__).parents[2]

PROVED = {
    "asg.restore": "aws/test_autoscaling.py",
    "asg.scale": "aws/test_autoscaling.py",
    "disk.reclaim": "disk",
    "elasticache.failover": "simulated/test_elasticache.py",
    "elasticache.reboot": "simulated/test_elasticache.py",
    "elasticache.settings": "simulated/test_elasticache.py",
    "elbv2.deregister": "aws/test_elbv2.py",
    "elbv2.drain": "lab/test_load_balancer.py",
    "elbv2.join": "lab/test_load_balancer.py",
    "elbv2.register": "aws/test_elbv2.py",
    "limits.keep": "lab/test_limits.py",
    "limits.restore": "lab/test_limits.py",
    "limits.set": "lab/test_limits.py",
    "rds.failover": "simulated/test_rds.py",
    "systemd.restart": "unit/operations/test_idempotence.py",
}
"""Where each writing operation is proved idempotent; there is no way around being listed here."""

WISH: dict[str, object] = {"unit": UNIT, "health_url": URL}
FORCE: dict[str, object] = {**WISH, "force": True}
SINCE: dict[str, object] = {**WISH, "since": "10m"}

BROKEN: dict[str, Callable[[FakeClock], FakeUnit]] = {
    "crashed": lambda clock: FakeUnit(clock).fail("exit-code"),
    "killed": lambda clock: FakeUnit(clock).fail("signal"),
    "out-of-memory": lambda clock: FakeUnit(clock).fail("oom-kill"),
    "start-limit": lambda clock: FakeUnit(clock).fail("start-limit-hit", limit_reached=True),
    "start-limit-hidden": lambda clock: FakeUnit(clock).fail("exit-code", limit_reached=True),
    "hung": lambda clock: FakeUnit(clock, health="silent"),
    "hung-slow-start": lambda clock: FakeUnit(clock, health="silent", start_takes=20.0),
    "unwell": lambda clock: FakeUnit(clock, health="unwell"),
    "stopped": lambda clock: FakeUnit(clock).stop(),
    "stopped-and-forgotten": lambda clock: FakeUnit(clock).stop(forgotten=True),
}

broken = pytest.mark.parametrize("make", BROKEN.values(), ids=BROKEN.keys())
wishes = pytest.mark.parametrize("wish", [WISH, FORCE, SINCE], ids=["plain", "force", "since"])


def healthy(clock: FakeClock) -> FakeUnit:
    return FakeUnit(clock)


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_every_writing_operation_is_proved_somewhere(name: str) -> None:
    writes = not find_operation(name).reads_only
    assert (name in PROVED) is writes
    if writes:
        assert (TESTS / PROVED[name]).exists()


@broken
@pytest.mark.parametrize("wish", [WISH, SINCE], ids=["plain", "since"])
def test_second_run_changes_nothing(make: Callable[[FakeClock], FakeUnit], wish: dict[str, object]) -> None:
    host = FakeHost(make(FakeClock()))
    first = result_of(host, wish)
    assert (first.outcome, first.verdict, host.unit.restarts_done) == (Outcome.CHANGED, Verdict.HEALTHY, 1), first
    before, second = len(host.commands), result_of(host, wish)
    assert (second.outcome, second.changes, host.unit.restarts_done) == (Outcome.OK, (), 1)
    assert "not needed" in second.message
    assert len(host.commands) == before + 1, "a no-op is one exec"


@broken
def test_check_mode_changes_nothing_and_says_what_it_would(make: Callable[[FakeClock], FakeUnit]) -> None:
    host = FakeHost(make(FakeClock()))
    would = run(host, WISH, may_act=False)
    assert isinstance(would, Action)
    assert f"restart {UNIT}" in would.summary
    assert host.unit.restarts_done == 0
    assert len(host.commands) == 1, "check mode takes one exec"


def test_healthy_unit_is_left_alone() -> None:
    host = FakeHost(FakeUnit(FakeClock()))
    result = result_of(host, WISH)
    assert (result.outcome, host.unit.invocation, len(host.commands)) == (Outcome.OK, "inv1", 1)


@broken
@wishes
@pytest.mark.parametrize("lose", ["before", "after"])
def test_lost_answer_leads_to_one_restart(make: Callable[[FakeClock], FakeUnit], wish: dict[str, object], lose: str) -> None:
    host = FakeHost(make(FakeClock()), lose=lose)
    assert result_of(host, wish).outcome is Outcome.CHANGED
    assert host.unit.restarts_done == 1
    assert host.acts == (2 if lose == "before" else 1)


@pytest.mark.parametrize("make", [*BROKEN.values(), healthy], ids=[*BROKEN.keys(), "healthy"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_every_command_and_resumed_restarts_once(make: Callable[[FakeClock], FakeUnit], when: str) -> None:
    """The crash sweep, with --force: the wish that would restart again if anything were forgotten."""
    whole = FakeHost(make(FakeClock()))
    result_of(whole, FORCE)
    for number in range(len(whole.commands)):
        journal, host = Journal(), FakeHost(make(FakeClock()), die_at=(number, when))
        with pytest.raises(Killed):
            run(host, FORCE, journal=journal)
        result = result_of(FakeHost(host.unit), FORCE, journal=journal)
        assert (result.outcome, host.unit.restarts_done) == (Outcome.CHANGED, 1), f"killed {when} command {number}: {result}"


def test_force_restarts_once_per_run_and_again_in_the_next() -> None:
    host = FakeHost(FakeUnit(FakeClock()))
    assert result_of(host, FORCE).outcome is Outcome.CHANGED
    assert host.unit.restarts_done == 1
    assert result_of(host, FORCE).outcome is Outcome.CHANGED
    assert host.unit.restarts_done == 2


def test_finished_run_with_force_restarts_nothing_when_resumed() -> None:
    journal, host = Journal(), FakeHost(FakeUnit(FakeClock()))
    result_of(host, FORCE, journal=journal)
    assert result_of(host, FORCE, journal=journal).outcome is Outcome.CHANGED
    assert host.unit.restarts_done == 1


def test_somebody_else_restarts_between_look_and_act() -> None:
    host = FakeHost(FakeUnit(FakeClock()))

    def others(command: Command) -> None:
        if command.script == RESTART and host.unit.restarts_done == 0:
            host.unit.restart()

    host.interfere = others
    result = result_of(host, FORCE)
    assert (result.outcome, host.unit.restarts_done) == (Outcome.OK, 1)
    assert "somebody else restarted it meanwhile" in result.message


@pytest.mark.parametrize(
    ("starts_as", "says"),
    [
        ("exit-code", "failed again (exit-code)"),
        ("oom-kill", "it needs more memory"),
        ("looping", "crash loop"),
        ("hung", "still not there after 120 s: api.service was restarted"),
    ],
)
def test_what_a_restart_does_not_cure_is_restarted_once_and_fails(starts_as: str, says: str) -> None:
    host = FakeHost(FakeUnit(FakeClock(), starts_as=starts_as).fail("exit-code"))
    result = result_of(host, WISH)
    assert (result.outcome, host.unit.restarts_done) == (Outcome.FAILED, 1)
    assert says in result.message


def test_crash_during_settle_fails() -> None:
    host = FakeHost(FakeUnit(FakeClock()).fail("exit-code"))

    def crash_later(command: Command) -> None:
        if host.unit.restarts_done and host.unit.clock.monotonic() > 6:
            host.unit.automatic = 1

    host.interfere = crash_later
    result = result_of(host, WISH)
    assert (result.outcome, host.unit.restarts_done) == (Outcome.FAILED, 1)
    assert "crash loop" in result.message


def test_manual_starts_had_used_up_the_limit_unseen() -> None:
    """systemd takes the first restart, stops the unit and does not start it; the limit is cleared and it starts, once."""
    unit = FakeUnit(FakeClock(), health="silent")
    unit.limit_reached = True
    host = FakeHost(unit)
    result = result_of(host, WISH)
    assert (result.outcome, unit.restarts_done, host.acts) == (Outcome.CHANGED, 1, 2)
