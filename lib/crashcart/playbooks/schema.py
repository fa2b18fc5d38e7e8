"""What a playbook and a drill may say: the strict schema of their YAML, also published as JSON Schema."""

from __future__ import annotations

from typing import Any

import msgspec

from crashcart.lab.aws.faults import Wanted
from crashcart.plan import OnFailure, Rollout


class ParamSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A parameter: its type, its default (may be a template over the target's variables), and one line of help.

    Without a default the flag is required.
    """

    type: str
    help: str
    default: Any = msgspec.UNSET


class RetrySpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How often one act is tried, and how long the whole step may take."""

    attempts: int = 3
    deadline: str = "5m"


class ConditionSpec(msgspec.Struct, frozen=True):
    """A read-only operation that has to be ok."""

    operation: str
    args: dict[str, Any]


class UndoSpec(msgspec.Struct, frozen=True):
    """How a step's acts are taken back when the target fails: only ``when`` something holds, and within a time."""

    when: ConditionSpec | None = None
    deadline: str = "60s"


class StepSpec(msgspec.Struct, frozen=True):
    """One operation with its arguments; ``line`` and ``column`` say where it stands in the file.

    ``when_due`` names a later step that this one prepares, ``when_changed`` an earlier one that it follows up.
    """

    operation: str
    args: dict[str, Any]
    name: str
    when: str = ""
    when_due: str = ""
    when_changed: str = ""
    retry: RetrySpec = RetrySpec()
    undo: UndoSpec = UndoSpec()
    line: int = 0
    column: int = 0


class Playbook(msgspec.Struct, frozen=True):
    """A scenario: parameters, steps in order, verification, and how far to go at a time.

    ``deadline`` is the time for the whole run unless the flag says otherwise; without one the flag's default counts.
    """

    name: str
    file: str
    summary: str
    kinds: tuple[str, ...]
    steps: tuple[StepSpec, ...]
    source: str = ""
    params: dict[str, ParamSpec] = {}
    rollout: Rollout = Rollout()
    verify: tuple[StepSpec, ...] = ()
    on_failure: OnFailure = OnFailure.UNDO
    approval: dict[str, Any] | None = None
    deadline: str = ""


class CheckSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A check playbook that is well before and after, and must notice the fault, with its parameters.

    ``notices: false`` says that it cannot: what is wrong is no matter of health.
    """

    playbook: str
    params: dict[str, Any] = {}
    notices: bool = True


class VariantSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One fault of a drill: the check that must notice it, and what the recovery must come to.

    ``fault`` names what is wrong: a fault of hosts, or a scene of the emulated AWS; there, ``aws`` puts faults on the way of
    the recovery too, and ``writes`` is how many requests it may need that change something. ``target`` narrows the drill's
    targets to one. ``params`` are the recovery's, and may be templates over the target's variables; ``deadline`` is the time
    that it gets. ``undo`` says that the recovery is taken back in the end, as ``runs.undo`` does, and that everything which
    it changed must be as it was.
    """

    check: CheckSpec
    fault: str
    aws: tuple[Wanted, ...] = ()
    target: str = ""
    expect: str = "changed"
    message: str = ""
    params: dict[str, Any] = {}
    deadline: str = ""
    writes: int | None = None
    undo: bool = False


class Drill(msgspec.Struct, frozen=True):
    """A rehearsal of one playbook under several faults; ``collateral`` names what must not change."""

    name: str
    file: str
    summary: str
    playbook: str
    variants: dict[str, VariantSpec]
    collateral: str = ""
    source: str = ""


PLAYBOOK_KEYS = ("summary", "source", "kinds", "params", "deadline", "rollout", "steps", "verify", "on_failure", "approval")
STEP_KEYS = ("name", "when", "when_due", "when_changed", "retry", "undo")
UNDO_KEYS = ("when", "deadline")
DRILL_KEYS = ("playbook", "variants", "collateral")
