"""The banner: what is about to be done, to what, by whom and why; loud about whether anything will be changed."""

from __future__ import annotations

from datetime import datetime

import msgspec

from crashcart.events import RunStarted
from crashcart.plan import Plan
from crashcart.reports.commands import Commands
from crashcart.reports.text import counted, listed, visible
from crashcart.reports.tones import Tone
from crashcart.results import Mode
from crashcart.values import format_span


class Banner(msgspec.Struct, frozen=True):
    """A headline in a tone, and labelled rows below it."""

    mode: str
    promise: str
    tone: Tone
    rows: tuple[tuple[str, str], ...]


def make_banner(started: RunStarted, began: datetime, commands: Commands) -> Banner:
    """Make a run's banner; rows without a value are left out."""
    mode, promise, tone = _headline(started)
    plan, options = started.plan, started.options
    rows = (
        ("playbook", f"{plan.playbook}: {plan.summary}" if plan.summary else plan.playbook),
        ("hosts", f"{plan.pattern} ({_targets(plan)})"),
        ("actor", started.actor),
        ("reason", options.reason),
        ("incident", options.incident),
        ("limits", "" if tone is not Tone.BAD else _limits(started)),
        ("warning", "break-glass: confirmations and waits are skipped" if options.break_glass else ""),
        ("command", commands.typed),
        ("began", f"{began:%Y-%m-%d %H:%M:%S} UTC"),
        ("run", started.run),
    )
    return Banner(mode, promise, tone, tuple((label, visible(value)) for label, value in rows if value))


def mode_word(started: RunStarted) -> str:
    """Return how a run treats its targets: check, apply, or read-only whatever its mode."""
    if started.plan.read_only:
        return "read-only"
    return started.options.mode.value


def _headline(started: RunStarted) -> tuple[str, str, Tone]:
    if started.plan.read_only:
        return "READ-ONLY", "nothing will be changed", Tone.GOOD
    if started.options.mode is Mode.CHECK:
        return "CHECK", "nothing will be changed", Tone.WOULD
    return "APPLY", "targets will be changed", Tone.BAD


def _targets(plan: Plan) -> str:
    names = [target.target.name for target in plan.targets]
    left_out = sum(1 for target in plan.targets if target.skip)
    text = f"{counted(len(names), 'target')}: {listed(names)}"
    return f"{text}; {left_out} of them left out" if left_out else text


def _limits(started: RunStarted) -> str:
    rollout = started.plan.rollout
    batches, deadline = ", ".join(rollout.batches), format_span(started.options.deadline)
    return f"batches of {batches}; stops after more than {rollout.max_failures} failed; ends after {deadline}"
