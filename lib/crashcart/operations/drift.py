"""``ec2.drift`` compares security groups and network ACLs of an instance with what was known to be good (seed row S0-D13).

Nothing is ever put back: a rule that somebody opened may be what keeps the service alive.
"""

from __future__ import annotations

import msgspec

from crashcart.facts import drift
from crashcart.facts.drift import KIND, WHO, Rules, Trail
from crashcart.facts.systemd import clock_time
from crashcart.operations.aws_calls import reads
from crashcart.operations.base import CloudOperation, Decision, Done, Fail, Look, Memory, NoGoal
from crashcart.results import Evidence, Verdict
from crashcart.transports.base import CloudTransport

KEEP = "inv runs.known-good last"
"""The command that keeps what a run has seen."""


class DriftWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The rules that were known to be good, a line for each; empty: there is nothing to compare with."""

    known_good: tuple[str, ...] = ()


class AssessDrift(CloudOperation[DriftWish, Rules, NoGoal]):
    """Lists the rules around an instance that are new or gone since they were known to be good; changes nothing."""

    name = "ec2.drift"
    kinds = (KIND,)
    reads_only = True
    calls = (
        reads("ec2:DescribeInstances"),
        reads("ec2:DescribeSecurityGroups"),
        reads("ec2:DescribeNetworkAcls"),
        reads("cloudtrail:LookupEvents"),
    )
    wish, state, goal_type = DriftWish, Rules, NoGoal

    def observe(self, transport: CloudTransport, wish: DriftWish, looks: frozenset[str]) -> Rules:
        """Read the rules, and who changed those that differ.

        Raises ``FactUnreadable``, ``NoSuchResource`` and the transport's errors.
        """
        state = drift.observe(transport)
        return drift.add_who(transport, state, drift.drift(state, wish.known_good)) if WHO in looks else state

    def goal(self, pin: Rules, wish: DriftWish) -> NoGoal:
        """There is none."""
        return NoGoal()

    def decide(self, state: Rules, memory: Memory[Rules, NoGoal], wish: DriftWish) -> Decision:
        """Judge what differs."""
        if not wish.known_good:
            return Done(f"{len(state.lines)} rules, and nothing to compare them with; to keep them: {KEEP}")
        changed = drift.drift(state, wish.known_good)
        if not changed:
            return Done(f"all {len(state.lines)} rules are as they were known to be good", Verdict.HEALTHY)
        if state.trail is None:
            return Look(WHO)
        who = _who(state.trail, state.now)
        count = "1 rule differs" if len(changed) == 1 else f"{len(changed)} rules differ"
        why = f"{count} from what was known to be good: {changed[0]}; {who[0]}"
        hint = f"if it is meant to be so: inv check.drift --hosts ..., then {KEEP}"
        return Fail(why, hint, Verdict.DEGRADED, (Evidence("drift", lines=changed), Evidence("changed by", lines=who)))


def _who(trail: Trail, now: float) -> tuple[str, ...]:
    if trail.unreadable:
        return (f"who changed it is not known: {trail.unreadable}",)
    lines = tuple(f"{one.user}, {clock_time(one.at, now)}: {one.call} {one.resource}" for one in trail.actors)
    return lines or ("CloudTrail shows no change of a week, or not yet",)
