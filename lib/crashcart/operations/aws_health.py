"""``health.assess`` tells the open issues of AWS itself in our region (seed rows S0-D5 and S1-D2).

It never blocks: what AWS does not tell (no support plan, no permission, no answer) is said, and is no verdict. A public
issue is told and leaves a target's verdict alone; one that AWS says concerns this account makes it degraded, never down.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from crashcart.facts import aws_health
from crashcart.facts.aws_health import SERVICES, HealthState, Issue
from crashcart.facts.systemd import clock_time
from crashcart.operations.aws_calls import reads
from crashcart.operations.base import CloudOperation, Decision, Done, Memory, NoGoal
from crashcart.operations.findings import Finding, judge
from crashcart.results import Evidence, Verdict
from crashcart.transports.base import CloudTransport

DASHBOARD = "https://health.aws.amazon.com/health/home#/account/dashboard/open-issues"


class HealthWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of which kind of target the services count; empty: all."""

    kind: str = ""


class AssessAwsHealth(CloudOperation[HealthWish, HealthState, NoGoal]):
    """Tells the open issues of AWS with the target's service in its region; changes nothing."""

    name = "health.assess"
    kinds = tuple(SERVICES)
    reads_only = True
    calls = (reads("health:DescribeEvents", region="us-east-1"),)
    wish, state, goal_type = HealthWish, HealthState, NoGoal

    def observe(self, transport: CloudTransport, wish: HealthWish, looks: frozenset[str]) -> HealthState:
        """Ask AWS Health, once for all targets of an account and region. Raises ``Cancelled`` only."""
        return aws_health.observe(transport, wish.kind)

    def goal(self, pin: HealthState, wish: HealthWish) -> NoGoal:
        """There is none."""
        return NoGoal()

    def decide(self, state: HealthState, memory: Memory[HealthState, NoGoal], wish: HealthWish) -> Decision:
        """Tell what there is to tell."""
        if state.unreadable:
            return Done(f"whether AWS has open issues in {state.region} is not known: {state.unreadable}")
        lines = tuple(_words(issue, state.now) for issue in state.issues)
        evidence = (Evidence("AWS Health", lines=lines),)
        if lines and not any(issue.ours for issue in state.issues):
            return Done(f"AWS has open issues in {state.region}: {'; '.join(lines)}", evidence=evidence)
        return judge(_findings(state), f"AWS knows of no issue in {state.region}", evidence)


def _findings(state: HealthState) -> Iterator[Finding]:
    for issue in state.issues:
        if issue.ours:
            why = f"AWS has an open issue that concerns this account: {_words(issue, state.now)}"
            yield Finding(Verdict.DEGRADED, why, DASHBOARD)


def _words(issue: Issue, now: float) -> str:
    since = f" since {clock_time(issue.at, now)}" if issue.at else ""
    return f"{issue.service} in {issue.zone or issue.region or 'all regions'}{since}: {issue.code}"
