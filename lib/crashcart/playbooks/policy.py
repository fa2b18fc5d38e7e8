"""The least privilege of each playbook as an IAM policy, made from what its operations declare (``aws_calls.py``).

Reads and writes are separate statements, and so is whatever IAM allows on ``*`` only: its Sid says so, and a condition
keeps it in the region. Each call that changes something has a statement of its own, with its conditions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

import msgspec

from crashcart.operations import find_operation
from crashcart.operations.aws_calls import ANY, AwsCall, Condition, Grants
from crashcart.operations.base import CloudOperation
from crashcart.playbooks.library import Library
from crashcart.playbooks.schema import Playbook, StepSpec

ON_ANY = "ReadWhereIamKnowsNoResource"
"""The Sid of the calls that can be allowed on ``*`` only."""

_IN_REGION = Condition("StringEquals", "aws:RequestedRegion", "{region}")

VERSION = "2012-10-17"
"""The version of IAM's language, not of a policy."""


class Statement(msgspec.Struct, frozen=True, rename="pascal", omit_defaults=True):
    """One statement of a policy."""

    sid: str
    effect: str
    action: tuple[str, ...]
    resource: tuple[str, ...]
    condition: dict[str, dict[str, str]] = {}


class Policy(msgspec.Struct, frozen=True, rename="pascal"):
    """A policy document."""

    version: str
    statement: tuple[Statement, ...]

    @property
    def text(self) -> str:
        """The document as JSON, to be read and to be attached."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2).decode() + "\n"


def policies(library: Library, grants: Grants) -> dict[str, Policy]:
    """Return the policies of all playbooks that touch AWS, by the playbook's name. Raises ``BadInput``."""
    names = [name for name in library.entries if not library.head(name).drill]
    called = {name: calls_of(library.playbook(name)) for name in names}
    return {name: policy(calls, grants) for name, calls in called.items() if calls}


def calls_of(playbook: Playbook) -> tuple[AwsCall, ...]:
    """Return the calls that a playbook may send, each once: those of its steps, and of what takes them back."""
    return calls_of_operations(name for step in (*playbook.steps, *playbook.verify) for name in _operations(step))


def calls_of_operations(names: Iterable[str]) -> tuple[AwsCall, ...]:
    """Return the calls that these operations, and what takes them back, may send, each once. None of those on hosts."""
    waiting, seen = list(names), set[str]()
    calls: dict[AwsCall, None] = {}
    while waiting:
        name = waiting.pop(0)
        operation = find_operation(name)
        if name in seen or not isinstance(operation, CloudOperation):
            continue
        seen.add(name)
        calls |= dict.fromkeys(operation.calls)
        waiting += operation.undone_by
    return tuple(calls)


def policy(calls: Sequence[AwsCall], grants: Grants) -> Policy:
    """Return the policy that allows these calls, and no more than IAM can be told to."""
    looks = [_resolved(call, grants) for call in calls if not call.writes]
    acts = [_resolved(call, grants) for call in calls if call.writes]
    return Policy(VERSION, (*_reads(looks, grants), *_writes(acts, grants)))


class _Resolved(msgspec.Struct, frozen=True):
    call: AwsCall
    arns: tuple[str, ...]


def _operations(step: StepSpec) -> Iterator[str]:
    yield step.operation
    if step.undo.when:
        yield step.undo.when.operation


def _resolved(call: AwsCall, grants: Grants) -> _Resolved:
    return _Resolved(call, call.arns(grants))


def _reads(looks: Sequence[_Resolved], grants: Grants) -> Iterator[Statement]:
    """One statement for all calls about the same resources, those about any of them last."""
    ordered = sorted(looks, key=lambda look: (look.arns == (ANY,), look.arns, look.call.region, look.call.action))
    for (arns, region), group in groupby(ordered, key=lambda look: (look.arns, look.call.region)):
        members = list(group)
        actions = tuple(member.call.action for member in members)
        if arns == (ANY,):
            there = msgspec.structs.replace(_IN_REGION, value=region) if region else _IN_REGION
            yield Statement(ON_ANY + ("InOneRegion" if region else ""), "Allow", actions, arns, _conditions(there, grants))
        else:
            yield Statement(f"Read{_title(members[0].call)}", "Allow", actions, arns)


def _writes(acts: Sequence[_Resolved], grants: Grants) -> Iterator[Statement]:
    for act in sorted(acts, key=lambda act: act.call.action):
        conditions = _conditions(act.call.only_if, grants)
        yield Statement(f"Write{act.call.action.partition(':')[2]}", "Allow", (act.call.action,), act.arns, conditions)


def _conditions(condition: Condition | None, grants: Grants) -> dict[str, dict[str, str]]:
    return {condition.operator: {condition.key: grants.fill(condition.value)}} if condition else {}


def _title(call: AwsCall) -> str:
    """Name a call's service and kinds of resources in letters only, as a Sid has to be: ``RdsClusterPg``."""
    kinds = [kind.partition(":")[0] for kind in call.resources]
    named = "Named" if any("{names}" in resource for resource in call.resources) else ""
    words = [call.service, *(word for kind in kinds for word in kind.split("-"))]
    return named + "".join(word[:1].upper() + word[1:] for word in words)
