"""A page per operation, made from its class, its records and what it decides in its cases."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from crashcart.operations import SHIPPED, find_operation
from crashcart.operations.aws_calls import AwsCall
from crashcart.operations.base import Action, CloudOperation, Fail, HostOperation, Operation, Refuse, Unknown
from website.cases import Behaviour, behaviour
from website.markdown import code, escape, folded, page, prose, section, table
from website.records import arguments, facts, wish_prose

FOLDER = "reference/operations"
CHECKOUT = Path(__file__).resolve().parents[1]

NO_UNDO = "There is none: what it does is not taken back."
NO_ACT = "It only looks."
NO_REFUSAL = "Nothing that is well-formed, in any of its cases."
UNTOLD = "None of its case files tells."
NO_CALLS_KNOWN = "Which calls are made is not declared."
ON_HOSTS = "On hosts, commands over the one SSH connection, and no API. Every command of a run is in its journal."
AS_A_CLIENT = "To the database itself, one connection for each look, as its clients open it, and no API."


def operation_index() -> str:
    """Return the page that lists all operations."""
    behaviours = [behaviour(name) for name in sorted(SHIPPED)]
    rows = [
        (f"[`{one.operation.name}`]({one.operation.name}.md)", effects(one), kinds(one.operation), summary(one.operation))
        for one in behaviours
    ]
    intro = "What playbooks are made of. Each looks first and makes one thing true on one target."
    return page("Operations", intro, table(("Operation", "Effect", "Acts on", "What it does"), rows))


def operation_page(name: str, used_by: Iterable[str], drill: str, policy: str) -> str:
    """Return the page of one operation; ``used_by`` are the playbooks with a step of it.

    ``drill`` and ``policy`` are those sections' texts: they depend on what other operations and playbooks say.
    """
    told = behaviour(name)
    operation = told.operation
    return page(
        code(name),
        prose(type(operation).__doc__),
        _head(told, used_by),
        section("What it observes", prose(type(operation).observe.__doc__), facts(operation.state)),
        section("Arguments", wish_prose(operation.wish), arguments(operation.wish)),
        section("What it does", _acts(told)),
        section("What it refuses", _refusals(told.refusals) or NO_REFUSAL),
        section("What it calls failed or unknown", _failures(told)),
        section("Undo", _undo(told)),
        section("Calls", calls(operation)),
        section("Drill", drill),
        section("Least-privilege policy", policy),
    )


def summary(operation: Operation[Any, Any, Any]) -> str:
    """Return the first paragraph of an operation's docstring."""
    return prose(type(operation).__doc__).partition("\n\n")[0]


def rules(operation: Operation[Any, Any, Any]) -> str:
    """Return what an operation's docstring says beyond its summary: what it refuses, and how it is taken back."""
    return prose(type(operation).__doc__).partition("\n\n")[2]


def effects(behaviour: Behaviour) -> str:
    """Name what an operation's acts do to the world."""
    return ", ".join(code(effect.value) for effect in behaviour.effects) or UNTOLD


def kinds(operation: Operation[Any, Any, Any]) -> str:
    """Name the kinds of target that an operation is for."""
    return ", ".join(map(code, operation.kinds))


def calls(*operations: Operation[Any, Any, Any]) -> str:
    """List the calls that operations may make, as they declare them, and those of their undos."""
    clouds = [one for one in operations if isinstance(one, CloudOperation)]
    undone = [find_operation(name) for one in clouds for name in getattr(one, "undone_by", ())]
    declared: dict[Any, None] = dict.fromkeys(call for one in (*clouds, *undone) for call in getattr(one, "calls", ()))
    hosts = ON_HOSTS if any(isinstance(one, HostOperation) for one in operations) else ""
    clients = AS_A_CLIENT if any(not isinstance(one, CloudOperation | HostOperation) for one in operations) else ""
    listed = table(("Call", "Changes something", "About", "Only if"), map(_call_row, declared))
    return "\n\n".join(part for part in (listed, hosts, clients, NO_CALLS_KNOWN if clouds and not declared else "") if part)


def _call_row(call: AwsCall) -> tuple[str, str, str, str]:
    condition = call.only_if and f"{call.only_if.operator} {call.only_if.key} {call.only_if.value}"
    return (
        code(call.action),
        "yes" if call.writes else "",
        ", ".join(map(code, call.resources)) or code("*"),
        code(condition or ""),
    )


def source_of(operation: Operation[Any, Any, Any]) -> str:
    """Return where an operation's class is, from the checkout's root."""
    file = Path(inspect.getfile(type(operation))).resolve()
    return str(file.relative_to(CHECKOUT)) if file.is_relative_to(CHECKOUT) else file.name


def _head(behaviour: Behaviour, used_by: Iterable[str]) -> str:
    operation = behaviour.operation
    playbooks = ", ".join(f"[`{name}`](../playbooks/{name}.md)" for name in used_by)
    rows: Mapping[str, str] = {
        "Acts on" if not operation.reads_only else "Looks at": kinds(operation),
        "Effect": effects(behaviour),
        "Used by": playbooks or "no shipped playbook: only as the undo of another operation, or by a fixed command",
        "Source": code(source_of(operation)),
    }
    return table(("", ""), rows.items())


def _acts(behaviour: Behaviour) -> str:
    rows = [
        (code(action.effect.value), escape(action.summary), _call(action), _counts(action)) for action in behaviour.actions
    ]
    examples = table(("Effect", "Such as", "By", "Counts as"), rows)
    note = "Each act is sent once, only while what it was decided from still holds, and is in the journal before it is sent."
    return f"{note}\n\n{examples}" if rows else NO_ACT if behaviour.operation.reads_only else UNTOLD


def _call(action: Action) -> str:
    operation = getattr(action.call, "operation", "")
    return code(f"{action.api.service}:{operation}") if operation else "a script on the host"


def _counts(action: Action) -> str:
    words = [f"budget {code(action.budget)}"] if action.budget else []
    return ", ".join([*words, "disturbs the target"] if action.disturbs else words)


def _refusals(refusals: Iterable[Refuse]) -> str:
    rows = [(escape(refusal.why), escape(refusal.hint)) for refusal in refusals]
    intro = "In its own words, as its tests have them; the right column is what it says would help."
    return f"{intro}\n\n{table(('Refused', 'What would pass'), rows)}" if rows else ""


def _failures(behaviour: Behaviour) -> str:
    parts = [
        folded("Failed: it cannot work, or the check found something", _reasons(behaviour.failures)),
        folded("Unknown: it could not tell", _reasons(behaviour.doubts)),
    ]
    return "\n\n".join(part for part, found in zip(parts, (behaviour.failures, behaviour.doubts), strict=True) if found)


def _reasons(decisions: Iterable[Fail | Unknown]) -> str:
    return table(("Why", "What it proposes"), [(escape(one.why), escape(one.hint)) for one in decisions])


def _undo(behaviour: Behaviour) -> str:
    if behaviour.operation.reads_only:
        return NO_ACT
    lines = [f"By [`{name}`]({name}.md), such as: {escape(text)}." for name, text in behaviour.undos.items()]
    return "\n\n".join(lines) or NO_UNDO
