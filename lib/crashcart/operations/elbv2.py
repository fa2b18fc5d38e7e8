"""``elbv2.register`` puts a target behind a load balancer, ``elbv2.deregister`` takes it out, ``elbv2.assess`` judges.

Seed rows S0-D12 and S0-R4: a target is registered only where it can serve and will stay, and taken out only where others are
left. The rules are in ``elbv2_register`` and ``elbv2_deregister``.
"""

from __future__ import annotations

from crashcart.facts import elbv2
from crashcart.facts.elbv2 import GROUP, TargetGroup
from crashcart.operations.aws_calls import reads, writes
from crashcart.operations.base import CloudOperation, Decision, Memory, NoGoal
from crashcart.operations.elbv2_assess import assess, verdict_of
from crashcart.operations.elbv2_deregister import decide_deregister
from crashcart.operations.elbv2_register import decide_register
from crashcart.operations.elbv2_scene import Scene, target_token
from crashcart.operations.elbv2_wish import AssessWish, DeregisterWish, RegisterWish
from crashcart.results import Verdict
from crashcart.transports.base import CloudTransport

SETTLE = 20.0
_LOOKING = (reads("elasticloadbalancing:DescribeTargetGroups"), reads("elasticloadbalancing:DescribeTargetHealth"))


class RegisterTarget(CloudOperation[RegisterWish, TargetGroup, NoGoal]):
    """Registers an instance or an address, and waits until the load balancer finds it healthy.

    Refuses an instance that is missing, not running, not well (unless forced), in another VPC or in a zone that the load
    balancer is not in; one that an Auto Scaling group owns, unless that is accepted, and one that is leaving its group;
    and a target group of the other type. Is taken back by ``elbv2.deregister``.
    """

    name = "elbv2.register"
    kinds = (GROUP,)
    settle = SETTLE
    calls = (
        *_LOOKING,
        reads("elasticloadbalancing:DescribeLoadBalancers"),
        reads("ec2:DescribeInstances"),
        reads("ec2:DescribeInstanceStatus"),
        reads("autoscaling:DescribeAutoScalingGroups"),
        writes("elasticloadbalancing:RegisterTargets", "targetgroup/{names}/*"),
    )
    undone_by = ("elbv2.deregister",)
    wish, state, goal_type = RegisterWish, TargetGroup, NoGoal

    def observe(self, transport: CloudTransport, wish: RegisterWish, looks: frozenset[str]) -> TargetGroup:
        """Describe the group and its targets, with the dearer facts that are asked for.

        Raises ``FactUnreadable``, ``NoSuchResource`` and the transport's errors.
        """
        return elbv2.add(transport, elbv2.observe(transport, wish.member, wish.number), looks)

    def goal(self, pin: TargetGroup, wish: RegisterWish) -> NoGoal:
        """There is none: registered is absolute."""
        return NoGoal()

    def decide(self, state: TargetGroup, memory: Memory[TargetGroup, NoGoal], wish: RegisterWish) -> Decision:
        """Judge by the rules of ``elbv2_register``."""
        return decide_register(Scene(state, memory, wish))

    def token(self, state: TargetGroup) -> str:
        """Name how the target is registered."""
        return target_token(state)

    def health(self, state: TargetGroup, wish: RegisterWish) -> Verdict:
        """Say how the group is."""
        return verdict_of(state)


class DeregisterTarget(CloudOperation[DeregisterWish, TargetGroup, NoGoal]):
    """Takes an instance or an address out, and waits until its connections have ended.

    Refuses the last target that serves, unless forced, one that is registered at several ports when none is named, and a
    target group of the other type. Is taken back by ``elbv2.register``.
    """

    name = "elbv2.deregister"
    kinds = (GROUP,)
    settle = SETTLE
    calls = (
        *_LOOKING,
        reads("elasticloadbalancing:DescribeTargetGroupAttributes"),
        writes("elasticloadbalancing:DeregisterTargets", "targetgroup/{names}/*"),
    )
    undone_by = ("elbv2.register",)
    wish, state, goal_type = DeregisterWish, TargetGroup, NoGoal

    def observe(self, transport: CloudTransport, wish: DeregisterWish, looks: frozenset[str]) -> TargetGroup:
        """Describe the group and its targets, with the dearer facts that are asked for.

        Raises ``FactUnreadable``, ``NoSuchResource`` and the transport's errors.
        """
        return elbv2.add(transport, elbv2.observe(transport, wish.member, wish.number), looks)

    def goal(self, pin: TargetGroup, wish: DeregisterWish) -> NoGoal:
        """There is none: not registered is absolute."""
        return NoGoal()

    def decide(self, state: TargetGroup, memory: Memory[TargetGroup, NoGoal], wish: DeregisterWish) -> Decision:
        """Judge by the rules of ``elbv2_deregister``."""
        return decide_deregister(Scene(state, memory, wish))

    def token(self, state: TargetGroup) -> str:
        """Name how the target is registered."""
        return target_token(state)

    def health(self, state: TargetGroup, wish: DeregisterWish) -> Verdict:
        """Say how the group is."""
        return verdict_of(state)


class AssessTargets(CloudOperation[AssessWish, TargetGroup, NoGoal]):
    """Says whether a target group is healthy, degraded or down; changes nothing."""

    name = "elbv2.assess"
    kinds = (GROUP,)
    reads_only = True
    calls = _LOOKING
    wish, state, goal_type = AssessWish, TargetGroup, NoGoal

    def observe(self, transport: CloudTransport, wish: AssessWish, looks: frozenset[str]) -> TargetGroup:
        """Describe the group and its targets. Raises ``FactUnreadable``, ``NoSuchResource`` and the transport's errors."""
        return elbv2.observe(transport)

    def goal(self, pin: TargetGroup, wish: AssessWish) -> NoGoal:
        """There is none."""
        return NoGoal()

    def decide(self, state: TargetGroup, memory: Memory[TargetGroup, NoGoal], wish: AssessWish) -> Decision:
        """Judge the state as it is now."""
        return assess(state)

    def health(self, state: TargetGroup, wish: AssessWish) -> Verdict:
        """Say how the group is."""
        return verdict_of(state)
