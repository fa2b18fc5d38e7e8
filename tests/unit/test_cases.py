"""Runs every case file: facts in and decision out for operations, raw output in and record out for facts.

``tests/cases/operations/<operation>/<case>.yml``: ``wish`` and ``state`` (JSON), optionally ``pin`` (default: the state),
``goal`` (default: what the operation makes of the pin), ``applied`` (keys of acts); then ``decision`` and what it must say:
``why`` and ``hint`` (part of it), ``effect`` (act), ``what`` (look), ``verdict``, ``hold`` (done).

``tests/cases/facts/<fact>/<case>.yml``: ``stdout`` (and its ``encoding``, by default utf-8), then ``record``, a part of the
record that ``parse`` returns, or ``error``, a part of the ``FactUnreadable`` that it raises.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from crashcart.errors import FactUnreadable
from crashcart.operations import SHIPPED, find_operation
from crashcart.operations.base import Act, Decision, Memory
from crashcart.values import decode

CASES = Path(__file__).parents[1] / "cases"
OPERATION_CASES = sorted((CASES / "operations").glob("*/*.yml"))
FACT_CASES = sorted((CASES / "facts").glob("*/*.yml"))

FEWEST = 5
EXCEPTIONS = {"host.ping": 1}
"""Operations that need fewer cases: a ping has only one decision."""


class OperationCase(msgspec.Struct, forbid_unknown_fields=True):
    wish: dict[str, Any]
    state: dict[str, Any]
    decision: str
    pin: dict[str, Any] | None = None
    goal: dict[str, Any] | None = None
    applied: tuple[str, ...] = ()
    why: str = ""
    hint: str = ""
    effect: str | None = None
    what: str | None = None
    verdict: str | None = None
    hold: float | None = None


class FactCase(msgspec.Struct, forbid_unknown_fields=True):
    stdout: str
    encoding: str = "utf-8"
    record: Any = None
    error: str = ""


def load(path: Path, kind: type[Any]) -> Any:
    return msgspec.convert(yaml.safe_load(path.read_text()), kind)


def name(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def decide(operation_name: str, case: OperationCase) -> Decision:
    operation = find_operation(operation_name)
    wish, state = decode(case.wish, operation.wish), decode(case.state, operation.state)
    pin = state if case.pin is None else decode(case.pin, operation.state)
    goal = operation.goal(pin, wish) if case.goal is None else decode(case.goal, operation.goal_type)
    return operation.decide(state, Memory(pin=pin, goal=goal, applied=case.applied), wish)


def facts_of(decision: Decision) -> dict[str, Any]:
    """What a case can demand of a decision, under the names that cases use."""
    said: dict[str, Any] = {"decision": type(decision).__name__.lower(), "why": "", "hint": ""}
    if isinstance(decision, Act):
        return {**said, "why": decision.action.summary, "effect": decision.action.effect.value}
    return {**said, **msgspec.structs.asdict(decision)}


def contains(whole: Any, part: Any) -> bool:
    """Whether ``part`` is found in ``whole``: mappings may leave keys out, lists must have the same length."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(key in whole and contains(whole[key], part[key]) for key in part)
    if isinstance(part, list):
        same_length = isinstance(whole, list | tuple) and len(whole) == len(part)
        return same_length and all(contains(one, other) for one, other in zip(whole, part, strict=True))
    return bool(whole == part)


@pytest.mark.parametrize("path", OPERATION_CASES, ids=name)
def test_operation_decides_as_the_case_says(path: Path) -> None:
    case = load(path, OperationCase)
    said = facts_of(decide(path.parent.name, case))
    demanded = {key: getattr(case, key) for key in ("decision", "effect", "what", "verdict", "hold")}
    wanted = {key: value for key, value in demanded.items() if value is not None}
    assert {key: said.get(key) for key in wanted} == wanted, said
    assert case.why in said["why"]
    assert case.hint in said["hint"]


@pytest.mark.parametrize("path", FACT_CASES, ids=name)
def test_fact_reads_what_the_case_prints(path: Path) -> None:
    case = load(path, FactCase)
    parse = import_module(f"crashcart.facts.{path.parent.name}").parse
    stdout = case.stdout.encode(case.encoding)
    assert (case.record is None) != (not case.error), "a case has either a record or an error"
    if case.error:
        with pytest.raises(FactUnreadable) as raised:
            parse(stdout)
        assert case.error in raised.value.message
    else:
        record = msgspec.to_builtins(parse(stdout))
        assert contains(record, case.record), record


@pytest.mark.parametrize("operation", sorted(SHIPPED))
def test_every_operation_has_cases(operation: str) -> None:
    cases = [path for path in OPERATION_CASES if path.parent.name == operation]
    assert len(cases) >= EXCEPTIONS.get(operation, FEWEST)


@pytest.mark.parametrize("folder", sorted({path.parent.name for path in OPERATION_CASES}))
def test_cases_belong_to_an_operation(folder: str) -> None:
    assert find_operation(folder).name == folder


def test_nothing_else_lies_among_the_cases() -> None:
    files = {path for kind in ("operations", "facts") for path in (CASES / kind).rglob("*") if path.is_file()}
    assert files == {*OPERATION_CASES, *FACT_CASES}


@pytest.mark.parametrize(
    ("whole", "part", "expected"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({"a": 1}, {"a": 2}, False),
        ({"a": 1}, {"b": 1}, False),
        ([{"a": 1, "b": 2}], [{"a": 1}], True),
        ([1, 2], [1], False),
        (None, {"a": 1}, False),
    ],
)
def test_partial_match(whole: Any, part: Any, expected: bool) -> None:
    assert contains(whole, part) is expected


def test_a_misspelt_key_in_a_case_is_an_error(tmp_path: Path) -> None:
    case = tmp_path / "case.yml"
    case.write_text("wish: {}\nstate: {}\ndecission: done\ndecision: done\n")
    with pytest.raises(msgspec.ValidationError, match="decission"):
        load(case, OperationCase)
