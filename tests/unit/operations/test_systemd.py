"""``systemd.restart`` and ``systemd.assess`` beyond their cases: properties, act results, the act's script, wishes."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crashcart.errors import Cancelled, ConnectionLost, NotSent, SilentPeer, SudoDenied, TransportError
from crashcart.facts.http import Health, Probe
from crashcart.facts.systemd import RequiredUnit, UnitState
from crashcart.operations.base import (
    STALE,
    Act,
    Action,
    Applied,
    Done,
    Effect,
    Fail,
    InDoubt,
    Memory,
    NoGoal,
    NotApplied,
    Refuse,
    Rejected,
)
from crashcart.operations.http import HttpHealthy
from crashcart.operations.systemd import AssessUnit, RestartUnit
from crashcart.operations.systemd_rules import RESTART, RestartGoal, RestartWish, UnitWish
from crashcart.transports.base import Command, CommandResult, HttpReply, Output, Transport
from crashcart.values import decode

TIMES = st.none() | st.floats(-1e4, 4e9)
COUNTS = st.integers(0, 20)
PROBES = st.builds(Probe, health=st.sampled_from(Health), status=st.integers(0, 599), url=st.just("http://a/health"))
LOADS = st.sampled_from(["loaded", "not-found", "masked", "bad-setting", "error", "merged", "stub", ""])
ACTIVES = st.sampled_from(["active", "inactive", "failed", "activating", "deactivating", "reloading", "refreshing", "new"])
NEEDS = st.builds(RequiredUnit, name=st.just("db.service"), load=LOADS, active=ACTIVES, must_run=st.booleans())
STATES = st.builds(
    UnitState,
    name=st.just("api.service"),
    load=LOADS,
    active=ACTIVES,
    sub=st.sampled_from(["running", "exited", "dead", "failed", "start", "auto-restart", "auto-restart-queued"]),
    result=st.sampled_from(["success", "exit-code", "signal", "oom-kill", "start-limit-hit", ""]),
    restarts=COUNTS,
    job=COUNTS,
    invocation=st.sampled_from(["", "aa11", "bb22"]),
    kind=st.sampled_from(["simple", "oneshot", ""]),
    exit_kind=st.integers(0, 4),
    condition=st.booleans(),
    oom_killed=st.booleans(),
    oom_kills=COUNTS,
    now=st.floats(0, 4e9),
    active_since=TIMES,
    inactive_since=TIMES,
    needs=st.lists(NEEDS, max_size=2).map(tuple),
    health=st.none() | PROBES,
)
WISHES = st.builds(
    lambda **given: decode(given, RestartWish),
    unit=st.just("api"),
    health_url=st.sampled_from(["", "http://a/health"]),
    since=st.sampled_from([None, "", "10m", "2030-01-01T00:00Z"]),
    force=st.booleans(),
    settle=st.sampled_from([0, 10]),
)


def decide(state: UnitState, pin: UnitState, wish: RestartWish, *applied: str) -> Any:
    operation = RestartUnit()
    return operation.decide(state, Memory(pin=pin, goal=operation.goal(pin, wish), applied=applied), wish)


@given(STATES, STATES, WISHES, st.booleans())
def test_decide_never_raises_and_never_acts_on_what_must_not_start(
    state: UnitState, pin: UnitState, wish: RestartWish, acted: bool
) -> None:
    decision = decide(state, pin, wish, *(["restart"] if acted else []))
    if isinstance(decision, Act) and not acted:
        assert state.load == "loaded"
        assert state.active in {"active", "inactive", "failed", "activating"}
        assert not any(need.trouble for need in state.needs)
    if acted and isinstance(decision, Act):
        assert state.result == "start-limit-hit"
    assert not (acted and isinstance(decision, Refuse)), "nothing is refused after an act"


@given(STATES, WISHES)
def test_what_works_is_left_alone_unless_it_was_asked_for(state: UnitState, wish: RestartWish) -> None:
    works = msgspec.structs.replace(
        state, active="active", sub="running", restarts=0, job=0, health=Probe(Health.OK, 200), kind="simple"
    )
    if not wish.force and not wish.since:
        assert isinstance(decide(works, works, wish), Done)


@given(STATES, STATES, WISHES)
def test_an_act_is_tied_to_the_state_it_was_decided_from(state: UnitState, pin: UnitState, wish: RestartWish) -> None:
    decision = decide(state, pin, wish)
    if isinstance(decision, Act):
        assert decision.action.only_if == RestartUnit().token(state)
        assert decision.action.only_if in decision.action.command.args
        assert decision.action.key == f"restart api.service {pin.invocation or 'never-run'}"
        assert not RestartUnit().effect_seen(msgspec.structs.replace(state, job=0), decision.action)


@given(STATES, st.sampled_from([0, 10]))
def test_assess_never_raises_and_is_never_healthy_by_mistake(state: UnitState, settle: int) -> None:
    wish = decode({"unit": "api", "settle": settle}, UnitWish)
    decision = AssessUnit().decide(state, Memory(pin=state, goal=NoGoal()), wish)
    if isinstance(decision, Done):
        assert state.active == "active" or state.is_finished_oneshot
        assert state.answer in {None, Health.OK}
    if isinstance(decision, Fail):
        assert decision.verdict is not None


@given(STATES)
def test_what_is_pinned_can_be_read_back(state: UnitState) -> None:
    goal = RestartUnit().goal(state, decode({"unit": "api", "since": "10m"}, RestartWish))
    assert decode(msgspec.to_builtins(state), UnitState) == state
    assert decode(msgspec.to_builtins(goal), RestartGoal) == goal


@pytest.mark.parametrize(
    ("wish", "says"),
    [
        ({"unit": "a b"}, "systemd unit"),
        ({"unit": "api", "health_url": "ftp://x"}, "expected a URL"),
        ({"unit": "api", "since": "yesterday"}, "expected a time"),
        ({"unit": "api", "since": "2030-01-01T00:00"}, "expected a time"),
        ({"unit": "api", "settle": "soon"}, "expected a duration"),
        ({"unit": "api", "force": "maybe"}, "bool"),
        ({"unit": "api", "forse": True}, "forse"),
        ({}, "unit"),
    ],
)
def test_bad_wishes_are_refused_with_what_was_expected(wish: dict[str, Any], says: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=says):
        decode(wish, RestartWish)


class Answering(Transport):
    """Answers every command with one result or error, and a fetch with a reply or error."""

    def __init__(self, answer: CommandResult | Exception, reply: HttpReply | Exception | None = None) -> None:
        self._answer, self._reply = answer, reply
        self.fetched: list[str] = []

    def run(self, command: Command) -> CommandResult:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer

    def fetch(self, url: str, timeout: float) -> HttpReply:
        self.fetched.append(url)
        if isinstance(self._reply, Exception):
            raise self._reply
        assert self._reply, "no fetch was expected"
        return self._reply

    def cancel(self) -> None:
        """Nothing is in flight."""

    def close(self) -> None:
        """Nothing is open."""


def failed(stderr: str, status: int = 1) -> CommandResult:
    return CommandResult(status=status, stderr=Output(stderr.encode()))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (CommandResult(status=0), Applied),
        (CommandResult(status=STALE), NotApplied),
        (NotSent("no channel"), NotApplied),
        (failed("Failed to connect to bus: Connection refused"), NotApplied),
        (ConnectionLost("cut"), InDoubt),
        (Cancelled("ended"), InDoubt),
        (CommandResult(timed_out=True, status=124), InDoubt),
        (failed("Failed to restart api.service: Connection timed out"), InDoubt),
        (failed("Failed to restart api.service: Message recipient disconnected from message bus without replying"), InDoubt),
        (failed("Failed to restart api.service: Unit api.service is masked."), Rejected),
        (failed("Failed to restart api.service: Unit api.service not found.", 5), Rejected),
        (SudoDenied("a password is required"), Rejected),
    ],
)
def test_what_comes_of_an_act(answer: CommandResult | Exception, expected: type[Any]) -> None:
    action = Action("restart", Effect.ONCE, "restart api.service", "active aa11", Command(RESTART))
    result = RestartUnit().act(Answering(answer), action, decode({"unit": "api"}, RestartWish))
    assert isinstance(result, expected), result


def test_evidence_stays_within_its_time() -> None:
    action = Action("restart", Effect.ONCE, "restart api.service", "active aa11", Command(RESTART))
    command = RestartUnit().evidence(action, decode({"unit": "api"}, RestartWish))
    assert command.args == ("api.service",)
    assert command.timeout == 10


NO_TOOL = CommandResult(status=0, stdout=Output(b"tool=none\n\n"))


@pytest.mark.parametrize(
    ("reply", "health", "words"),
    [
        (HttpReply(200, "ok\n"), Health.OK, "200"),
        (HttpReply(503, "disk full\nmore\n"), Health.UNWELL, "503 disk full"),
        (HttpReply(0, "connection refused"), Health.SILENT, "no answer (connection refused)"),
        (HttpReply(0, "no answer within 5 s"), Health.SILENT, "no answer (timed out)"),
        (TransportError("only http:// can be fetched"), Health.UNKNOWN, "neither curl nor wget on the host; through the"),
        (NotSent("forwarding is prohibited"), Health.UNKNOWN, "forwarding is prohibited"),
    ],
)
def test_health_is_asked_through_the_connection_where_the_host_has_no_tool(
    reply: HttpReply | Exception, health: Health, words: str
) -> None:
    transport = Answering(NO_TOOL, reply)
    operation = HttpHealthy()
    probe = operation.observe(transport, decode({"url": "http://127.0.0.1:8000/health"}, operation.wish), frozenset())
    assert transport.fetched == ["http://127.0.0.1:8000/health"]
    assert probe.health is health
    assert words in probe.words


@pytest.mark.parametrize("error", [Cancelled("ended"), ConnectionLost("cut"), SilentPeer("no banner")])
def test_a_session_that_is_gone_is_not_an_answer(error: Exception) -> None:
    operation = HttpHealthy()
    with pytest.raises(type(error)):
        operation.observe(Answering(NO_TOOL, error), decode({"url": "http://a/"}, operation.wish), frozenset())


SYSTEMCTL = r"""#!/bin/sh
printf '%s\n' "$*" >>"$LOG"
case "$*" in *" show "*) printf 'ActiveState=failed\nInvocationID=aa11\nJob=%s\n' "$JOB" ;; esac
"""


@pytest.mark.parametrize(
    ("token", "reset", "job", "status", "calls"),
    [
        ("failed aa11", "", "", 0, ["--no-ask-password --no-block restart -- api.service"]),
        (
            "failed aa11",
            "reset",
            "",
            0,
            ["reset-failed -- api.service", "--no-ask-password --no-block restart -- api.service"],
        ),
        ("failed bb22", "reset", "", STALE, []),
        ("active aa11", "reset", "", STALE, []),
        ("failed aa11", "reset", "12", STALE, []),
    ],
)
def test_the_restart_is_sent_only_while_its_state_holds(
    tmp_path: Path, token: str, reset: str, job: str, status: int, calls: list[str]
) -> None:
    log, tool = tmp_path / "log", tmp_path / "systemctl"
    tool.write_text(SYSTEMCTL)
    tool.chmod(0o755)
    shell = shutil.which("sh")
    assert shell
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "LOG": str(log), "JOB": job}
    ended = subprocess.run(
        [shell, "-c", RESTART, "sh", "api.service", token, reset], env=environment, check=False, timeout=30
    )
    assert ended.returncode == status
    assert log.read_text().splitlines()[1:] == calls
