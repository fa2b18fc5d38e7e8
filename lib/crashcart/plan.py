"""The plan: a playbook compiled for a selection. JSON values only, so that a journal can hold it and resume from it."""

from __future__ import annotations

from typing import Any

import msgspec

from crashcart.results import Mode, Phase
from crashcart.targets import Target


class PlannedStep(msgspec.Struct, frozen=True):
    """One operation with its rendered arguments. ``attempts`` bounds tries of one act, ``deadline`` (s) the whole step."""

    name: str
    operation: str
    phase: Phase
    args: dict[str, Any]
    attempts: int = 3
    deadline: float = 300.0
    skip: str = ""


class TargetPlan(msgspec.Struct, frozen=True):
    """The steps for one target, or the reason why the playbook leaves it alone."""

    target: Target
    steps: tuple[PlannedStep, ...] = ()
    skip: str = ""


class Rollout(msgspec.Struct, frozen=True):
    """How far a run goes at a time: batch sizes as in Ansible's ``serial``, and when it stops."""

    batches: tuple[str, ...] = ("100%",)
    max_failures: str = "0"
    min_healthy: str = "0%"


class Plan(msgspec.Struct, frozen=True):
    """What a run will do, for each selected target in order."""

    playbook: str
    summary: str
    pattern: str
    targets: tuple[TargetPlan, ...]
    parameters: dict[str, Any] = {}
    rollout: Rollout = Rollout()
    read_only: bool = False


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
