"""``ec2.assess`` says how an EC2 instance is for AWS: its state, its status checks, planned events (seed row S0-D13)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec

from crashcart.facts import ec2
from crashcart.facts.ec2 import KIND, InstanceState
from crashcart.operations.aws_calls import reads
from crashcart.operations.base import CloudOperation, Decision, Memory, NoGoal
from crashcart.operations.findings import Finding, judge
from crashcart.results import Evidence, Verdict
from crashcart.transports.base import CloudTransport

SOON = 86400.0
"""Seconds before a planned event in which it makes an instance degraded."""

_MOVING = frozenset({"pending", "stopping", "shutting-down"})
_GONE = frozenset({"stopped", "terminated"})
PROGRESS = "wait, then look again: inv check.instance --hosts ..."


class AssessWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing to say: the target is the question."""


class AssessInstance(CloudOperation[AssessWish, InstanceState, NoGoal]):
    """Says whether an instance is healthy, degraded or down for AWS; changes nothing."""

    name = "ec2.assess"
    kinds = (KIND,)
    reads_only = True
    calls = (reads("ec2:DescribeInstanceStatus"),)
    wish, state, goal_type = AssessWish, InstanceState, NoGoal

    def observe(self, transport: CloudTransport, wish: AssessWish, looks: frozenset[str]) -> InstanceState:
        """Ask for its status. Raises ``FactUnreadable``, ``NoSuchResource`` and the transport's errors."""
        return ec2.observe(transport)

    def goal(self, pin: InstanceState, wish: AssessWish) -> NoGoal:
        """There is none."""
        return NoGoal()

    def decide(self, state: InstanceState, memory: Memory[InstanceState, NoGoal], wish: AssessWish) -> Decision:
        """Judge the state as it is now."""
        lines = tuple(_words(state, place) for place in range(len(state.planned)))
        where = f" in {state.zone}" if state.zone else ""
        plans = f"; planned: {'; '.join(lines)}" if lines else ""
        return judge(
            _findings(state),
            f"{state.id} is {state.state}{where}, all checks passed{plans}",
            (Evidence("planned", lines=lines),),
        )


def _findings(state: InstanceState) -> Iterator[Finding]:
    if state.state in _GONE:
        hint = f"aws ec2 start-instances --instance-ids {state.id}" if state.state == "stopped" else ""
        yield Finding(Verdict.DOWN, f"{state.id} is {state.state}", hint)
    elif state.state in _MOVING:
        yield Finding(Verdict.DEGRADED, f"{state.id} is {state.state}", PROGRESS)
    elif state.state != "running":
        yield Finding(Verdict.UNKNOWN, f"EC2 calls {state.id} {state.state!r}, which is not known here")
    else:
        yield from _checks(state)
    for place, event in enumerate(state.planned):
        if event.not_before is not None and event.not_before - state.now < SOON:
            yield Finding(
                Verdict.DEGRADED, f"{state.id}: AWS plans {_words(state, place)}", "stop and start it before that: it moves"
            )


def _checks(state: InstanceState) -> Iterator[Finding]:
    for check in state.checks:
        since = f" since {check.since}" if check.since else ""
        if check.status == "impaired":
            move = f"aws ec2 stop-instances --instance-ids {state.id}, then start-instances: it moves to another machine"
            reboot = f"aws ec2 reboot-instances --instance-ids {state.id}"
            hint = reboot if check.name == "instance" else move
            yield Finding(Verdict.DOWN, f"{state.id}: the {check.name} status check fails{since}", hint)
        elif check.status == "initializing":
            yield Finding(Verdict.DEGRADED, f"{state.id}: its {check.name} status check is still to come", PROGRESS)
        elif check.status not in {"ok", "not-applicable"}:
            yield Finding(Verdict.UNKNOWN, f"{state.id}: the {check.name} status check says {check.status!r}")
    if not state.checks:
        yield Finding(Verdict.UNKNOWN, f"AWS shows no status checks of {state.id}")


def _words(state: InstanceState, place: int) -> str:
    event = state.planned[place]
    when = (
        ""
        if event.not_before is None
        else f", not before {datetime.fromtimestamp(event.not_before, UTC):%Y-%m-%d %H:%M} UTC"
    )
    return f"{event.what}{when}"
