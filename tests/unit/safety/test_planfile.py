"""The plan file: its hash, what it holds, and what counts as a difference."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from crashcart.errors import BadInput
from crashcart.operations.base import Action, Effect
from crashcart.plan import OnFailure, Plan, PlannedStep, Rollout, TargetPlan, Undo
from crashcart.results import Change, Phase
from crashcart.safety.planfile import (
    CloudCall,
    Finding,
    HostCall,
    PlanDocument,
    Wanted,
    differences,
    encode_plan,
    plan_hash,
    read_plan,
    write_plan,
)
from crashcart.secrets import Secret
from crashcart.targets import Target
from crashcart.transports.base import ApiCall, Command
from crashcart.values import Duration

MADE = datetime(2030, 1, 1, 3, 0, tzinfo=UTC)
STEP = PlannedStep("restart", "systemd.restart", Phase.STEP, {"unit": "api.service", "settle": Duration(5)})
ACTION = Action(
    key="restart",
    effect=Effect.ONCE,
    summary="restart api.service (up 3 d)",
    only_if="InvocationID=1f",
    call=Command('systemctl --no-block restart -- "$1"', ("api.service",)),
    changes=(Change("api.service", "up 3 d", "fresh"),),
    undo=Undo("systemd.stopped", {"unit": "api.service"}, "stop api.service"),
)


def target(name: str, **variables: Any) -> TargetPlan:
    return TargetPlan(Target(name, variables=variables, groups=("all", "prod")), (STEP,))


def document(*names: str, **variables: Any) -> PlanDocument:
    names = names or ("db1", "db2")
    plan = Plan("recover.x", "X", "prod", tuple(target(name, **variables) for name in names), {"unit": "api.service"})
    wanted = tuple(Wanted.of(name, "restart", "systemd.restart", ACTION, {"active": True}) for name in names)
    return PlanDocument(plan, wanted, "alice", MADE, "1.0", "it hangs", "INC-7", (Finding("db3", "ok", "healthy"),))


DOCUMENT = document()


def with_act(**changed: Any) -> PlanDocument:
    return replace(DOCUMENT, wanted=(replace(DOCUMENT.wanted[0], **changed), *DOCUMENT.wanted[1:]))


def with_plan(**changed: Any) -> PlanDocument:
    return replace(DOCUMENT, plan=replace(DOCUMENT.plan, **changed))


def with_target(**changed: Any) -> PlanDocument:
    first, *others = DOCUMENT.plan.targets
    return with_plan(targets=(replace(first, **changed), *others))


def test_the_file_is_the_hash_and_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    written = write_plan(path, DOCUMENT)
    assert written == hashlib.sha256(path.read_bytes()).hexdigest() == plan_hash(DOCUMENT)
    again = read_plan(path)
    assert plan_hash(again) == written
    assert again.wanted[0].call == HostCall('systemctl --no-block restart -- "$1"', ("api.service",))
    assert again.wanted[0].undo == ACTION.undo
    assert again.created == MADE


def test_it_is_for_its_owner_only_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    write_plan(path, DOCUMENT)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_secrets_are_masked(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    secret = document("db1", db_password=Secret("hunter2"))
    write_plan(path, secret)
    assert b"hunter2" not in path.read_bytes()
    assert differences(read_plan(path), secret) == []


def test_a_secret_in_a_call_is_masked_too() -> None:
    action = replace(ACTION, call=ApiCall("rds", "ModifyDBInstance", {"MasterUserPassword": Secret("hunter2")}))
    made = replace(DOCUMENT, wanted=(Wanted.of("db1", "restart", "rds.x", action),))
    assert b"hunter2" not in encode_plan(made)
    assert isinstance(made.wanted[0].call, CloudCall)


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(
        st.text(max_size=5), st.none() | st.booleans() | st.text(max_size=9) | st.floats(allow_nan=False), max_size=4
    )
)
def test_the_hash_does_not_depend_on_the_order_of_keys(variables: dict[str, Any]) -> None:
    one, other = (
        replace(DOCUMENT.plan, parameters=dict(items)) for items in (variables.items(), [*variables.items()][::-1])
    )
    assert plan_hash(replace(DOCUMENT, plan=one)) == plan_hash(replace(DOCUMENT, plan=other))


def test_an_own_plan_file_is_replaced_even_an_edited_one(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    write_plan(path, document("db1"))
    path.write_bytes(path.read_bytes().replace(b"db1", b"db9"))
    write_plan(path, DOCUMENT)
    assert read_plan(path).plan.pattern == "prod"


@pytest.mark.parametrize("text", ["", "precious\n", "{}", '{"schema": 1}', '{"document": "other", "schema": 1}', "[1]"])
def test_nothing_else_is_overwritten(tmp_path: Path, text: str) -> None:
    path = tmp_path / "notes.json"
    path.write_text(text)
    with pytest.raises(BadInput, match=r"notes\.json: is there already"):
        write_plan(path, DOCUMENT)
    assert path.read_text() == text


def test_nor_is_a_link_followed_or_a_folder_taken(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "elsewhere")
    for path in (link, tmp_path):
        with pytest.raises(BadInput, match="is there already"):
            write_plan(path, DOCUMENT)
    with pytest.raises(BadInput, match="cannot be written: No such file"):
        write_plan(tmp_path / "no" / "plan.json", DOCUMENT)


Edit = Callable[[bytes], bytes]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda data: data.replace(b'"db1"', b'"db9"', 1) + b"\n", "edited"),
        (lambda data: data.replace(b"  ", b" "), "edited"),
        (lambda data: data.replace(b'"schema": 1', b'"schema": 1, "extra": 2'), "unknown field"),
        (lambda data: data.replace(b'"pattern": "prod"', b'"pattern": "prod", "x": 2'), "edited"),
        (lambda data: data.replace(b'"author": "alice"', b'"author": "bob", "author": "alice"'), "edited"),
        (lambda data: data.replace(b'"author": "alice"', b'"author": 7'), r"\$\.author"),
        (lambda data: data.replace(b'"schema": 1', b'"schema": 2'), "plan schema 2"),
        (lambda data: data.replace(b'"document": "crashcart-plan"', b'"document": "x"'), "holds 'x'"),
        (lambda data: data.replace(b"03:00:00Z", b"03:00:00"), "created"),
        (lambda data: data[:200], r"plan\.json:\d+:\d+: not a plan file"),
        (lambda data: b"{\n  nonsense", r"plan\.json:2:3: not a plan file"),
        (lambda data: b"\xff\xfe", "not a plan file"),
        (lambda data: b"", "not a plan file"),
    ],
)
def test_a_broken_or_edited_file_is_bad_input(tmp_path: Path, edit: Edit, message: str) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(edit(encode_plan(DOCUMENT)))
    with pytest.raises(BadInput, match=message):
        read_plan(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="No such file"):
        read_plan(tmp_path / "plan.json")


def test_the_same_plan_and_world_do_not_differ() -> None:
    later = replace(DOCUMENT, created=MADE.replace(hour=5), author="bob", reason="again", others=())
    assert differences(DOCUMENT, later) == []


def test_what_was_merely_seen_does_not_count() -> None:
    seen = with_act(summary="restart api.service (up 4 d)", changes=(), pin={"load": 3})
    assert differences(DOCUMENT, seen) == []


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (
            with_act(only_if="InvocationID=2e"),
            "db1: restart: the state that it depends on differs: InvocationID=1f was approved",
        ),
        (with_act(call=HostCall("reboot")), "db1: restart: the call differs"),
        (with_act(key="reboot"), "db1: restart: the act differs"),
        (with_act(effect="destroy"), "db1: restart: effect differs: once was approved, now destroy"),
        (with_act(undo=None), "db1: restart: undo differs"),
        (replace(DOCUMENT, wanted=DOCUMENT.wanted[1:]), "db1: restart is not wanted any more"),
        (replace(DOCUMENT, version="2.0"), "crashcart 1.0 made the plan, this is 2.0"),
        (with_plan(pattern="all"), "pattern: prod was approved, now all"),
        (with_plan(parameters={"unit": "db.service"}), "parameters: "),
        (with_plan(rollout=Rollout(batches=("100%",), max_failures="50%")), "rollout: "),
        (with_plan(on_failure=OnFailure.KEEP), "on_failure: undo was approved, now keep"),
        (with_plan(targets=DOCUMENT.plan.targets[::-1]), "the targets come in another order"),
        (
            with_target(target=Target("db1", groups=("all", "prod"), variables={"ansible_host": "10.9.9.9"})),
            "db1: its variables",
        ),
        (with_target(target=Target("db1", groups=("all", "lab"))), "db1: its groups differ"),
        (with_target(steps=(replace(STEP, args={"unit": "db.service"}),)), "db1: its steps differ"),
        (with_target(steps=(STEP, STEP)), "db1: its steps differ: 1 were approved, now 2"),
        (with_target(skip="not a host"), "db1: skip: nothing was approved, now not a host"),
    ],
)
def test_a_difference_is_told_in_words(now: PlanDocument, expected: str) -> None:
    found = differences(DOCUMENT, now)
    assert len(found) == 1
    assert found[0].startswith(expected)


def test_missing_and_extra_targets_are_named() -> None:
    found = differences(document("db1", "db2"), document("db2", "db9"))
    assert "db1: approved, but not selected now" in found
    assert "db9: selected now, but not in the approved plan" in found
    assert "db9: restart is wanted now, and was not when approved" in found


@pytest.mark.parametrize("field", [f for f in Plan.__struct_fields__ if f not in {"targets", "summary", "peers"}])
def test_every_field_of_a_plan_counts(field: str) -> None:
    changed: dict[str, Any] = {
        "parameters": {"other": 1},
        "rollout": Rollout(("7",)),
        "read_only": True,
        "on_failure": OnFailure.KEEP,
    }
    assert differences(DOCUMENT, with_plan(**{field: changed.get(field, "other")}))
