"""Limits beyond their cases: properties, wishes, act results, and the scripts against a stand-in for systemctl."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crashcart.facts.limits import INFINITY, LimitsState
from crashcart.operations import find_operation
from crashcart.operations.base import (
    STALE,
    Act,
    Action,
    Applied,
    Done,
    Effect,
    InDoubt,
    Memory,
    NoGoal,
    NotApplied,
    Rejected,
)
from crashcart.operations.limits import AssessLimits, RestoreLimits, SetLimits
from crashcart.operations.limits_script import KEEP, SET, TAKE_BACK
from crashcart.operations.limits_wish import CPU, MEMORY, RestoreWish, Setting, SetWish, parse_setting
from crashcart.transports.base import Command, CommandResult, Output
from crashcart.values import decode

LIMITS = st.sampled_from([INFINITY, "12000000", "134217728", "209715200"])
QUOTAS = st.sampled_from([INFINITY, "500ms", "1.500000s", "2min 500ms"])
STATES = st.builds(
    LimitsState,
    name=st.just("api.service"),
    id=st.just("api.service"),
    load=st.sampled_from(["loaded", "not-found", "masked"]),
    active=st.sampled_from(["active", "inactive", "failed", "activating", "maintenance"]),
    memory_max=LIMITS,
    cpu_quota=QUOTAS,
    used=st.none() | st.integers(0, 2 * 10**8),
    total=st.sampled_from([0, 10**8, 8 * 10**9]),
    cpus=st.sampled_from([0, 1, 4]),
    kernel_max=st.none() | st.sampled_from([134217728, 2**60]),
    armed=st.sampled_from([(), ("MemoryMax=134217728",), ("MemoryMax=infinity", "CPUQuota=50%")]),
)
WISHES = st.builds(
    lambda **given: decode({"unit": "api", **given}, SetWish),
    memory_max=st.sampled_from(["12000000", "128M", "200M", "infinity"]),
    cpu_quota=st.sampled_from(["", "50%", "150%", "infinity"]),
    undo_after=st.sampled_from([0, 300]),
    also_stopped=st.booleans(),
)


def decide(state: LimitsState, wish: SetWish, *applied: str) -> Any:
    return SetLimits().decide(state, Memory(pin=state, goal=NoGoal(), applied=applied), wish)


@settings(max_examples=60)
@given(STATES, WISHES)
def test_an_act_kills_nothing_and_knows_its_way_back(state: LimitsState, wish: SetWish) -> None:
    decision = decide(state, wish)
    if not isinstance(decision, Act):
        return
    action = decision.action
    assert state.load == "loaded"
    assert action.only_if == SetLimits().token(state)
    memory = next(one.value for one in wish.settings if one.name == MEMORY)
    if memory is not None and (state.memory_limit is None or memory < state.memory_limit):
        assert state.used is not None
        assert state.used < memory
    assert action.undo
    back = decode(action.undo.args, find_operation(action.undo.operation).wish)
    assert isinstance(back, RestoreWish)
    assert back.given == wish.settings
    assert {one.name for one in back.settings} == {one.name for one in wish.settings}


@settings(max_examples=60)
@given(STATES, WISHES)
def test_taking_back_what_was_just_given_ends_where_it_began(state: LimitsState, wish: SetWish) -> None:
    decision = decide(state, wish)
    if not isinstance(decision, Act) or state.armed:
        return
    assert decision.action.undo
    after = applied_to(state, wish.settings)
    assert not isinstance(decide(after, wish, decision.action.key), Act), "a second act would be no progress"
    back = decode(decision.action.undo.args, RestoreWish)
    restore = RestoreLimits().decide(after, Memory(pin=after, goal=NoGoal()), back)
    if isinstance(restore, Act):
        assert RestoreLimits().decide(applied_to(after, back.settings), Memory(after, NoGoal(), ("x",)), back) == Done(
            f"put back: api.service {applied_to(after, back.settings).standing}"
        )
        assert applied_to(after, back.settings).memory_limit == state.memory_limit


def applied_to(state: LimitsState, limits: tuple[Setting, ...]) -> LimitsState:
    changed: dict[str, Any] = {}
    for one in limits:
        if one.name == MEMORY:
            changed["memory_max"] = one.text
        else:
            changed["cpu_quota"] = INFINITY if one.value is None else f"{one.value * 10:f}ms"
    return msgspec.structs.replace(state, **changed, kernel_max=None, armed=())


@settings(max_examples=60)
@given(STATES)
def test_assess_is_never_healthy_by_mistake(state: LimitsState) -> None:
    operation = AssessLimits()
    decision = operation.decide(state, Memory(pin=state, goal=NoGoal()), decode({"unit": "api"}, operation.wish))
    if isinstance(decision, Done):
        assert (state.load, state.active) == ("loaded", "active")
        assert state.memory_limit is None or (state.used is not None and state.used < 0.9 * state.memory_limit)


@settings(max_examples=50)
@given(
    st.integers(100, 10**8).map(lambda hundredths: Setting(CPU, hundredths / 100))
    | st.integers(2**20, 2**50).map(lambda size: Setting(MEMORY, size))
)
def test_a_limit_can_be_written_and_read_back(setting: Setting) -> None:
    assert parse_setting(setting.name, setting.text) == setting


@pytest.mark.parametrize(
    ("wish", "says"),
    [
        ({}, "expected a new limit"),
        ({"memory_max": "lots"}, "memory_max: expected a size"),
        ({"memory_max": "12"}, "memory_max: expected at least 1M"),
        ({"memory_max": "50%"}, "memory_max: expected a size"),
        ({"memory_max": "200M; reboot"}, "memory_max: expected a size"),
        ({"cpu_quota": "200"}, "cpu_quota: expected per cent"),
        ({"cpu_quota": "0%"}, "cpu_quota: expected per cent"),
        ({"cpu_quota": "12.5%"}, "cpu_quota: expected whole per cent"),
        ({"cpu_quota": "$(reboot)%"}, "cpu_quota: expected per cent"),
        ({"memory_max": "1G", "unit": "api.socket"}, "unit: expected a service"),
        ({"memory_max": "1G", "unit": "a b"}, "systemd unit"),
        ({"memory_max": "1G", "undo_after": "soon"}, "expected a duration"),
        ({"memory_max": "1G", "memmory": "1"}, "memmory"),
    ],
)
def test_bad_wishes_are_refused_with_what_was_expected(wish: dict[str, Any], says: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=says):
        decode({"unit": "api", **wish}, SetWish)


def failed(stderr: str, status: int = 1) -> CommandResult:
    return CommandResult(status=status, stderr=Output(stderr.encode()))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (CommandResult(status=0), Applied),
        (CommandResult(status=STALE), NotApplied),
        (failed("Failed to connect to bus: Connection refused"), InDoubt),
        (failed("Failed to set unit properties on api.service: Connection timed out"), InDoubt),
        (CommandResult(timed_out=True, status=124), InDoubt),
        (failed("Failed to set unit properties on api.service: Unit api.service is masked."), Rejected),
        (failed("Failed to start transient timer unit: Unit crashcart-undo-api.timer already exists."), Rejected),
    ],
)
def test_what_comes_of_an_act(answer: CommandResult, expected: type[Any]) -> None:
    action = Action("limit", Effect.CONVERGE, "set limits", "1 2", Command(SET))
    judged = SetLimits()._judge(answer, decode({"unit": "api", "memory_max": "1G"}, SetWish))
    assert isinstance(judged, expected), (action, judged)


TOOL = r"""#!/bin/sh
[ "$1 $2" = '--no-pager show' ] || printf '%s %s\n' "${0##*/}" "$*" >>"$LOG"
case "$*" in
  *' MemoryMax '*) echo 134217728 ;;
  *' CPUQuotaPerSecUSec '*) echo "$QUOTA" ;;
  *set-property*) exit "$SET" ;;
esac
"""
DISARMED = [
    "systemctl stop crashcart-undo-a:b.timer crashcart-undo-a:b.service",
    "systemctl reset-failed crashcart-undo-a:b.service",
]
SENT = "systemctl --no-ask-password set-property --runtime -- a@b.service MemoryMax=1 CPUQuota=5%"


def calls(folder: Path, script: str, *args: str, quota: str = "1.500000s", fails: int = 0) -> tuple[int, list[str]]:
    """Run a script with stand-ins for systemctl and systemd-run; return its status and what it called, in order."""
    log = folder / "log"
    log.touch()
    for name in ("systemctl", "systemd-run"):
        (folder / name).write_text(TOOL)
        (folder / name).chmod(0o755)
    environment = {"PATH": f"{folder}:{os.environ['PATH']}", "LOG": str(log), "QUOTA": quota, "SET": str(fails)}
    shell = shutil.which("sh")
    assert shell
    ended = subprocess.run([shell, "-c", script, "sh", *args], env=environment, check=False, timeout=30)
    return ended.returncode, log.read_text().splitlines()


ARGS = ("a@b.service", "134217728 1.500000s", "MemoryMax=1 CPUQuota=5%")


def test_the_timer_is_armed_before_anything_is_set(tmp_path: Path) -> None:
    status, called = calls(tmp_path, SET, *ARGS, "2000", "MemoryMax=9 CPUQuota=", "CPUQuota", "payload")
    assert status == 0
    assert called[:2] == DISARMED
    assert called[2].startswith("systemd-run --quiet --unit=crashcart-undo-a:b.service --on-active=2000ms")
    assert "puts MemoryMax=9 CPUQuota= of a@b.service back and drops CPUQuota" in called[2]
    assert called[3:] == [SENT]


def test_a_limit_that_cannot_be_set_leaves_no_timer(tmp_path: Path) -> None:
    status, called = calls(tmp_path, SET, *ARGS, "2000", "MemoryMax=9", "", "payload", fails=4)
    assert (status, called[-2:]) == (4, DISARMED)


def test_taking_back_disarms_only_afterwards(tmp_path: Path) -> None:
    assert calls(tmp_path, SET, *ARGS, "", "", "CPUQuota", "") == (0, [SENT, *DISARMED])


@pytest.mark.parametrize("script", [SET, KEEP])
def test_nothing_is_done_once_the_values_changed(tmp_path: Path, script: str) -> None:
    assert calls(tmp_path, script, *ARGS, "2000", "MemoryMax=9", "", "payload", quota="infinity") == (STALE, [])


def test_keeping_only_disarms(tmp_path: Path) -> None:
    assert calls(tmp_path, KEEP, *ARGS) == (0, DISARMED)


def test_what_the_timer_runs_is_plain_sh_and_reaches_systemd_without_a_dollar() -> None:
    subprocess.run(["sh", "-n"], input=base64.b64decode(TAKE_BACK), check=True)
    assert "$" not in TAKE_BACK
