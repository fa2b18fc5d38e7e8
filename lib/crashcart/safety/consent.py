"""Consent: what a person must have said before a run may act. Decided before anything is contacted, asked at most once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from crashcart.errors import Refused
from crashcart.operations import find_operation
from crashcart.plan import Options, Plan
from crashcart.results import Mode
from crashcart.values import decode

Ask = Callable[[str], str]
"""Shows a question on the terminal and returns what was typed."""


class Needed(msgspec.Struct, frozen=True):
    """What has to be confirmed, and the word that confirms it; empty reasons mean that nothing has."""

    reasons: tuple[str, ...] = ()
    word: str = "yes"


def needed_consent(plan: Plan) -> Needed:
    """Work out, from a plan alone, what needs confirming: acting on protected targets, and acts that destroy something."""
    return _needed(plan, _destructive(plan))


def _destructive(plan: Plan) -> list[str]:
    """Ask the operations what in their wishes destroys something; each thing once."""
    steps = [step for target in plan.targets for step in target.all_steps if not step.skip]
    operations = {step.operation: find_operation(step.operation) for step in steps}
    reasons = [
        operations[step.operation].needs_consent(decode(step.args, operations[step.operation].wish)) for step in steps
    ]
    return [reason for reason in dict.fromkeys(reasons) if reason]


def _needed(plan: Plan, destructive: Sequence[str]) -> Needed:
    protected = [target.target for target in plan.targets if target.target.variable("protected") and not target.skip]
    if not protected or plan.read_only:
        return Needed(tuple(destructive) if not plan.read_only else ())
    names = ", ".join(target.name for target in protected[:5])
    more = f" and {len(protected) - 5} more" if len(protected) > 5 else ""
    # The innermost group is the one that a person recognizes; the name of the only target does where there is none.
    word = protected[0].groups[-1] if protected[0].groups else protected[0].name
    return Needed((f"protected: {names}{more}", *destructive), word)


def check_answers(needed: Needed, options: Options, *, interactive: bool) -> None:
    """Refuse, before the first contact, when a required answer is missing. Raises ``Refused`` with the flag to add."""
    if options.mode is Mode.CHECK or not needed.reasons:
        return
    what = "; ".join(needed.reasons)
    if what.startswith("protected") and not options.reason:
        raise Refused(f"{what}: a reason is required", hint="--reason 'why this is done, with the incident'")
    if not interactive and not options.yes and not options.break_glass:
        raise Refused(f"{what}: must be confirmed, and there is no terminal to ask on", hint="--yes")


def ask_consent(needed: Needed, options: Options, plan_text: str, ask: Ask) -> None:
    """Have the plan confirmed by typing. Raises ``Refused`` when something else is typed."""
    if not needed.reasons or options.yes or options.break_glass:
        return
    answer = ask(f"{plan_text}\n{'; '.join(needed.reasons)}\nType {needed.word} to go on: ")
    if answer.strip() != needed.word:
        raise Refused("not confirmed", hint="--yes confirms without asking")
