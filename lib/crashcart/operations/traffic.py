"""``elbv2.traffic`` says how many 5xx a target group and its load balancers answered lately (seed row S0-D12)."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from crashcart.facts import traffic
from crashcart.facts.elbv2 import GROUP
from crashcart.facts.traffic import Count, Traffic
from crashcart.operations.aws_calls import reads
from crashcart.operations.base import CloudOperation, Decision, Done, Memory, NoGoal, Unknown
from crashcart.operations.findings import Finding, judge
from crashcart.results import Evidence, Verdict
from crashcart.transports.base import CloudTransport
from crashcart.values import Percent, format_span

TARGETS = "look at what runs behind it: inv check.targets --hosts ..., inv check.logs on the targets' hosts"
BALANCER = "the load balancer itself answers: are there healthy targets? inv check.targets --hosts ..."


class TrafficWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Degraded when more than ``errors_above`` per cent of the answers are 5xx, and at least ``errors_from`` of them."""

    errors_above: Percent = Percent(1)
    errors_from: int = 10

    def __post_init__(self) -> None:
        if self.errors_from < 1:
            raise ValueError(f"errors_from: expected at least 1, got {self.errors_from}")


class AssessTraffic(CloudOperation[TrafficWish, Traffic, NoGoal]):
    """Counts 5xx of a quarter of an hour, of the targets and of the load balancers apart; changes nothing.

    Many of them make a target group degraded, never down: whether it serves is what its health says. Where CloudWatch has no
    values, nothing is known, and nothing is claimed.
    """

    name = "elbv2.traffic"
    kinds = (GROUP,)
    reads_only = True
    calls = (reads("elasticloadbalancing:DescribeTargetGroups"), reads("cloudwatch:GetMetricData"))
    wish, state, goal_type = TrafficWish, Traffic, NoGoal

    def observe(self, transport: CloudTransport, wish: TrafficWish, looks: frozenset[str]) -> Traffic:
        """Describe the group, and ask CloudWatch in one call.

        Raises ``FactUnreadable``, ``NoSuchResource`` and the transport's errors.
        """
        return traffic.observe(transport)

    def goal(self, pin: Traffic, wish: TrafficWish) -> NoGoal:
        """There is none."""
        return NoGoal()

    def decide(self, state: Traffic, memory: Memory[Traffic, NoGoal], wish: TrafficWish) -> Decision:
        """Judge the counts; nothing is waited for."""
        span = format_span(state.window)
        if state.unreadable:
            return Unknown(f"5xx of {state.name} in {span} are not known: {state.unreadable}")
        if not state.counted:
            return Done(f"5xx of {state.name} are not counted: no application load balancer uses it")
        counts = [*state.group, *state.balancers]
        lines = tuple(_words(one) for one in counts)
        if all(one.requests is None and not one.errors for one in counts):
            return Done(f"5xx of {state.name} in {span} are unknown: CloudWatch has no values, as without requests")
        kept = (Evidence(f"5xx in {span}", lines=lines),)
        return judge(_findings(state, wish), f"5xx in {span}: {'; '.join(lines)}", kept)


def _findings(state: Traffic, wish: TrafficWish) -> Iterator[Finding]:
    for counts, hint in ((state.group, TARGETS), (state.balancers, BALANCER)):
        for one in counts:
            many = one.requests is None or one.percent > wish.errors_above
            if one.errors >= wish.errors_from and many:
                yield Finding(Verdict.DEGRADED, f"5xx in {format_span(state.window)}: {_words(one)}", hint)


def _words(one: Count) -> str:
    if one.requests is None:
        return f"{one.name}: {one.errors} of an unknown number of requests" if one.errors else f"{one.name}: unknown"
    return f"{one.name}: {one.errors} of {one.requests} requests ({one.percent:.1f} %)"
