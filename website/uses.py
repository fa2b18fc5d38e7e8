"""Which operations a playbook comes to, and as what: the ground for saying what is drilled and what is allowed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from crashcart.operations import find_operation
from crashcart.operations.base import Operation
from crashcart.playbooks.schema import Playbook, StepSpec
from website.cases import behaviour
from website.markdown import code

Anything = Operation[Any, Any, Any]

ALWAYS = "always"


class Use(msgspec.Struct, frozen=True):
    """One use of an operation by a playbook: as what, and under which conditions. An ``undo`` takes back what a step did."""

    operation: str
    role: str
    when: str
    undo: bool = False


def uses(playbook: Playbook) -> tuple[Use, ...]:
    """Return what a playbook comes to: its steps, its verification, the conditions of its undos, and the undos."""
    return (*_steps(playbook.steps, "step"), *_steps(playbook.verify, "verification"), *_undos(playbook))


def operation_names(playbook: Playbook) -> tuple[str, ...]:
    """Return the operations of a playbook's steps, verification and conditions, each once."""
    steps = (*playbook.steps, *playbook.verify)
    conditions = (step.undo.when.operation for step in steps if step.undo.when)
    return tuple(dict.fromkeys([*(step.operation for step in steps), *conditions]))


def operations_of(playbook: Playbook) -> list[Anything]:
    """Return the same as operations."""
    return [find_operation(name) for name in operation_names(playbook)]


def reads_only(playbook: Playbook) -> bool:
    """Tell whether a playbook changes nothing, whatever it finds."""
    return all(operation.reads_only for operation in operations_of(playbook))


def when(step: StepSpec) -> str:
    """Say under which conditions a step is taken."""
    conditions = [
        code(step.when),
        step.when_due and f"{code(step.when_due)} is due",
        step.when_changed and f"{code(step.when_changed)} changed something",
    ]
    return " and ".join(filter(None, conditions)) or ALWAYS


def _steps(steps: tuple[StepSpec, ...], role: str) -> Iterator[Use]:
    for step in steps:
        yield Use(step.operation, role, when(step))
        if step.undo.when:
            yield Use(
                step.undo.when.operation, f"condition of the undo of {code(step.operation)}", "there is something to undo"
            )


def _undos(playbook: Playbook) -> Iterator[Use]:
    for step in (*playbook.steps, *playbook.verify):
        for undo in behaviour(step.operation).undos:
            yield Use(undo, f"undo of {code(step.operation)}", "its run fails, or is interrupted, after the act", undo=True)
