"""Hints as they are shown: an operation writes ``--hosts ...`` for its target, since it does not know the name."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import msgspec

from crashcart.results import StepResult, TargetResult

_PLACE = "--hosts ..."


def hint_for(hint: str, names: Sequence[str]) -> str:
    """Return a hint with its targets put in."""
    return hint.replace(_PLACE, f"--hosts {shlex.quote(','.join(names))}")


def open_hint(hint: str, name: str) -> str:
    """Return the hint of one target as an operation wrote it, so that targets which share it can be told together."""
    return (
        hint.replace(f"--hosts {name}", _PLACE) if hint.endswith(f"--hosts {name}") or f"--hosts {name} " in hint else hint
    )


def is_for_targets(hint: str) -> bool:
    """Whether a hint is a command for its targets, so that one command serves all that share it."""
    return hint.startswith("inv ") and _PLACE in hint


def with_hints(result: TargetResult) -> TargetResult:
    """Return a result whose hints, and those of its steps, can be followed as they stand."""
    steps = tuple(_step_with_hint(step, result.name) for step in result.steps)
    return msgspec.structs.replace(result, hint=hint_for(result.hint, [result.name]), steps=steps)


def _step_with_hint(step: StepResult, name: str) -> StepResult:
    return msgspec.structs.replace(step, hint=hint_for(step.hint, [name])) if step.hint else step
