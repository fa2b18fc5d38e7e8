"""How an applied act is taken back: as a step like any other, behind its condition where it has one."""

from __future__ import annotations

from msgspec.structs import replace

from crashcart.plan import OwedUndo, PlannedStep, Undo
from crashcart.results import Phase

GATE_TIME = 30.0
"""Seconds that the condition of an undo may take to be judged."""


OWED_TIME = 60.0
"""Seconds that an undo which an earlier run owes may hold up what a run is for; it stays owed then."""


def make_owed(run: str, target: str, step: PlannedStep, undo: Undo, number: int) -> OwedUndo:
    """Return how one act of a step is taken back; ``number`` tells several acts of a step apart, from 1."""
    name = f"undo {step.name}" if number == 1 else f"undo {step.name} ({number})"
    policy = step.undo
    back = PlannedStep(name, undo.operation, Phase.UNDO, undo.args, attempts=step.attempts, deadline=policy.deadline)
    if policy.when is None:
        return OwedUndo(run, target, name, undo.summary, (back,))
    gate = PlannedStep(
        name=f"before {name}",
        operation=policy.when.operation,
        phase=Phase.UNDO,
        args=policy.when.args,
        deadline=min(GATE_TIME, policy.deadline),
    )
    return OwedUndo(run, target, name, undo.summary, (gate, _gated(back, gate.name)))


def in_another_run(owed: OwedUndo) -> OwedUndo:
    """Return the same undo with names that cannot be mistaken for those of the run that settles it."""
    suffix = f" of {owed.run}"
    steps = tuple(_renamed(step, suffix) for step in owed.steps)
    return OwedUndo(owed.run, owed.target, owed.name + suffix, owed.summary, steps, owed.since)


def before_another_run(owed: OwedUndo) -> OwedUndo:
    """Return the same undo as the first steps of another run, which is for something else and waits for it for a while."""
    found = in_another_run(owed)
    return replace(found, steps=tuple(replace(step, deadline=min(step.deadline, OWED_TIME)) for step in found.steps))


def _gated(step: PlannedStep, gate: str) -> PlannedStep:
    return replace(step, gate=gate)


def _renamed(step: PlannedStep, suffix: str) -> PlannedStep:
    gate = step.gate + suffix if step.gate else ""
    return replace(step, name=step.name + suffix, gate=gate)
