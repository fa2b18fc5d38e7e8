"""What a playbook and a drill may say: the strict schema of their YAML, also published as JSON Schema."""

from __future__ import annotations

from typing import Any

import msgspec

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
    """One operation with its arguments; ``line`` and ``column`` say where it stands in the file."""

    operation: str
    args: dict[str, Any]
    name: str
    when: str = ""
    retry: RetrySpec = RetrySpec()
    undo: UndoSpec = UndoSpec()
    line: int = 0
    column: int = 0


class Playbook(msgspec.Struct, frozen=True):
    """A scenario: parameters, steps in order, verification, and how far to go at a time."""

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


class CheckSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A check playbook that must notice the fault, with its parameters."""

    playbook: str
    params: dict[str, Any] = {}


class VariantSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One fault of a drill: the check that must notice it, and what the recovery must come to.

    ``fault`` names one that is done to hosts; ``aws`` says what is done to the emulated cloud.
    """

    check: CheckSpec
    fault: str = ""
    aws: dict[str, Any] = {}
    expect: str = "changed"
    message: str = ""
    params: dict[str, Any] = {}


class Drill(msgspec.Struct, frozen=True):
    """A rehearsal of one playbook under several faults; ``collateral`` names what must not change."""

    name: str
    file: str
    summary: str
    playbook: str
    variants: dict[str, VariantSpec]
    collateral: str = ""
    source: str = ""


PLAYBOOK_KEYS = ("summary", "source", "kinds", "params", "rollout", "steps", "verify", "on_failure", "approval")
STEP_KEYS = ("name", "when", "retry", "undo")
UNDO_KEYS = ("when", "deadline")
DRILL_KEYS = ("playbook", "variants", "collateral")
