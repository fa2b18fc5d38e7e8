"""The plan: a playbook compiled for a selection. JSON values only, so that a journal can hold it and resume from it."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from crashcart.results import Mode, Phase
from crashcart.targets import Target


class Undo(msgspec.Struct, frozen=True):
    """How an act is taken back: an operation and its arguments, absolute, so that the same loop can run and verify it."""

    operation: str
    args: dict[str, Any]
    summary: str


class Condition(msgspec.Struct, frozen=True):
    """A read-only operation that has to be ok before something is done."""

    operation: str
    args: dict[str, Any]


class UndoPolicy(msgspec.Struct, frozen=True):
    """What a step says of undoing its acts: only ``when`` this holds, and in how many seconds."""

    when: Condition | None = None
    deadline: float = 60.0


class PlannedStep(msgspec.Struct, frozen=True):
    """One operation with its rendered arguments. ``attempts`` bounds tries of one act, ``deadline`` (s) the whole step.

    ``gate`` names an earlier step that must be good; otherwise this one is skipped. ``when_due`` names a later step that
    this one prepares: it is done only if that one wants to act. ``when_changed`` names an earlier step that must have
    changed something.
    """

    name: str
    operation: str
    phase: Phase
    args: dict[str, Any]
    attempts: int = 3
    deadline: float = 300.0
    skip: str = ""
    gate: str = ""
    when_due: str = ""
    when_changed: str = ""
    undo: UndoPolicy = UndoPolicy()


class OwedUndo(msgspec.Struct, frozen=True):
    """An act of a run that has to be taken back: the step that does it, after its condition where it has one.

    ``name`` is that of the step, unique within the run; ``since`` is a date in UTC, as text.
    """

    run: str
    target: str
    name: str
    summary: str
    steps: tuple[PlannedStep, ...]
    since: str = ""


class TargetPlan(msgspec.Struct, frozen=True):
    """The steps for one target, or the reason why the playbook leaves it alone.

    ``owed`` are acts of earlier runs that are taken back first.
    """

    target: Target
    steps: tuple[PlannedStep, ...] = ()
    skip: str = ""
    owed: tuple[OwedUndo, ...] = ()

    @property
    def all_steps(self) -> tuple[PlannedStep, ...]:
        """What is to be done, in order."""
        return (*(step for owed in self.owed for step in owed.steps), *self.steps)


class Rollout(msgspec.Struct, frozen=True):
    """How far a run goes at a time: batch sizes as in Ansible's ``serial``, when it stops, how long it waits between.

    After a batch and its ``soak`` (a duration), the batch is verified once more before the next one begins.
    """

    batches: tuple[str, ...] = ("100%",)
    max_failures: str = "0"
    min_healthy: str = "0%"
    soak: str = "0s"

    @property
    def guards_capacity(self) -> bool:
        """Whether some share of each group has to stay healthy."""
        return self.min_healthy not in {"0", "0%"}


class OnFailure(StrEnum):
    """What becomes of a target's applied acts when the target fails."""

    UNDO = "undo"
    KEEP = "keep"


class Plan(msgspec.Struct, frozen=True):
    """What a run will do, for each selected target in order."""

    playbook: str
    summary: str
    pattern: str
    targets: tuple[TargetPlan, ...]
    parameters: dict[str, Any] = {}
    rollout: Rollout = Rollout()
    read_only: bool = False
    on_failure: OnFailure = OnFailure.UNDO
    peers: tuple[TargetPlan, ...] = ()
    """Targets outside the selection that share a group with one inside: counted when capacity is, never acted on."""


MOST_FORKS = 256
"""Targets at a time that are recommended at most; more are allowed."""


class Options(msgspec.Struct, frozen=True):
    """The flags of a run that are not the playbook's own. ``deadline`` is in seconds."""

    mode: Mode = Mode.APPLY
    diff: bool = False
    forks: int = 32
    deadline: float = 900.0
    reason: str = ""
    incident: str = ""
    yes: bool = False
    break_glass: bool = False

    def roomier(self, targets: int) -> str:
        """Return the flags that give each of so many targets a turn: more at a time, and twice the time."""
        forks = max(self.forks, min(targets, MOST_FORKS))
        return f"--forks {forks} --deadline {max(1, round(2 * self.deadline))}s"
