"""What an operation says and does, by its own word: its ``decide`` over all of its case files.

The case files (tests/cases/operations) are tested against the code, so what is read here cannot be out of date.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml

from crashcart.decoding import convert
from crashcart.operations import find_operation
from crashcart.operations.base import Act, Action, Decision, Effect, Fail, Memory, Operation, Refuse, Unknown
from crashcart.values import decode

CASES = Path(__file__).parents[1] / "tests/cases/operations"

D = TypeVar("D")


class _Case(msgspec.Struct):
    """As much of a case file as a decision is made from."""

    wish: dict[str, Any]
    state: dict[str, Any]
    pin: dict[str, Any] | None = None
    goal: dict[str, Any] | None = None
    applied: tuple[str, ...] = ()


class Behaviour:
    """The decisions of one operation over its cases."""

    def __init__(self, name: str, cases: Path = CASES) -> None:
        self.operation = find_operation(name)
        self._files = sorted((cases / name).glob("*.yml"))

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        """What it decides in each case, in the order of the files."""
        return tuple(_decide(self.operation, _read(file)) for file in self._files)

    @property
    def refusals(self) -> tuple[Refuse, ...]:
        """What it refuses, each reason once."""
        return tuple(_distinct(self._of(Refuse)))

    @property
    def failures(self) -> tuple[Fail, ...]:
        """What it calls failed, each reason once."""
        return tuple(_distinct(self._of(Fail)))

    @property
    def doubts(self) -> tuple[Unknown, ...]:
        """What it could not tell, each reason once."""
        return tuple(_distinct(self._of(Unknown)))

    @cached_property
    def actions(self) -> tuple[Action, ...]:
        """Its acts, of each kind (effect, call, undo) one example."""
        kinds: dict[tuple[Any, ...], Action] = {}
        for act in self._of(Act):
            kinds.setdefault(_kind(act.action), act.action)
        return tuple(kinds.values())

    @property
    def effects(self) -> tuple[Effect, ...]:
        """What its acts do to the world, or that it only reads; nothing where no case tells."""
        found = {Effect.READ} if self.operation.reads_only else {action.effect for action in self.actions}
        return tuple(effect for effect in Effect if effect in found)

    @property
    def undos(self) -> Mapping[str, str]:
        """The operations that take its acts back, each with an example of what that does."""
        return {action.undo.operation: action.undo.summary for action in self.actions if action.undo}

    def _of(self, kind: type[D]) -> Iterator[D]:
        return (decision for decision in self.decisions if isinstance(decision, kind))


@cache
def behaviour(name: str) -> Behaviour:
    """Return the decisions of one operation; many pages ask for them."""
    return Behaviour(name)


def _read(file: Path) -> _Case:
    return convert(yaml.load(file.read_bytes(), Loader=yaml.CSafeLoader), _Case)


def _decide(operation: Operation[Any, Any, Any], case: _Case) -> Decision:
    wish, state = decode(case.wish, operation.wish), decode(case.state, operation.state)
    pin = state if case.pin is None else decode(case.pin, operation.state)
    goal = operation.goal(pin, wish) if case.goal is None else decode(case.goal, operation.goal_type)
    return operation.decide(state, Memory(pin=pin, goal=goal, applied=case.applied), wish)


def _kind(action: Action) -> tuple[Any, ...]:
    called = getattr(action.call, "operation", "")
    return action.effect, called or action.key.split()[0].split(":")[0], action.undo.operation if action.undo else ""


def _distinct(decisions: Iterator[Any]) -> Iterator[Any]:
    seen: set[str] = set()
    for decision in decisions:
        if decision.why not in seen:
            seen.add(decision.why)
            yield decision
