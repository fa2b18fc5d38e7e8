"""``asg.scale`` makes an Auto Scaling group larger, ``asg.restore`` puts its sizes back, ``asg.assess`` says how it is.

Seed rows S0-D14, S0-R5 and defect 3: a desired capacity is at least a number, never one that might be lower than what is
there; only instances that serve prove that it worked. The rules are in ``autoscaling_scale`` and ``autoscaling_restore``.
"""

from __future__ import annotations

from crashcart.facts import autoscaling
from crashcart.facts.autoscaling import GROUP, TARGETS, Fleet
from crashcart.operations import autoscaling_restore, autoscaling_scale
from crashcart.operations.autoscaling_assess import assess, verdict_of
from crashcart.operations.autoscaling_restore import decide_restore
from crashcart.operations.autoscaling_scale import decide_scale, sizes_token
from crashcart.operations.autoscaling_wish import (
    AssessWish,
    RestoreGoal,
    RestoreWish,
    ScaleGoal,
    ScaleWish,
    restore_goal,
    restore_looks,
    scale_goal,
    scale_looks,
)
from crashcart.operations.aws_calls import Condition, reads, writes
from crashcart.operations.base import CloudOperation, Decision, Memory, NoGoal
from crashcart.results import Verdict
from crashcart.transports.base import CloudTransport

_LOOKING = (
    reads("autoscaling:DescribeAutoScalingGroups"),
    reads("autoscaling:DescribeScalingActivities"),
    reads("elasticloadbalancing:DescribeTargetHealth"),
)
_NAMED = "autoScalingGroup:*:autoScalingGroupName/{names}"
_BOUNDED = Condition("NumericLessThanEqualsIfExists", "autoscaling:MaxSize", "{largest}")
_SIZING = (
    writes("autoscaling:SetDesiredCapacity", _NAMED),
    writes("autoscaling:UpdateAutoScalingGroup", _NAMED, only_if=_BOUNDED),
)


class ScaleOut(CloudOperation[ScaleWish, Fleet, ScaleGoal]):
    """Raises a group to at least so many instances, and waits until they serve.

    Refuses more than the group's max, unless that is to be raised, too; a group that is going away or is on its way to
    another size already; one where new instances would not be launched, or would get no traffic: processes suspended,
    launches that fail for want of addresses, quota or image; and one with an instance refresh under way. Never lowers
    anything. Is taken back by ``asg.restore``.
    """

    name = "asg.scale"
    kinds = (GROUP,)
    settle = 20.0
    calls = (
        *_LOOKING,
        reads("autoscaling:DescribePolicies"),
        reads("autoscaling:DescribeInstanceRefreshes"),
        *_SIZING,
    )
    undone_by = ("asg.restore",)
    leaves_owed = ("asg.restore",)
    wish, state, goal_type = ScaleWish, Fleet, ScaleGoal

    def observe(self, transport: CloudTransport, wish: ScaleWish, looks: frozenset[str]) -> Fleet:
        """Describe the group, with the dearer facts that are asked for or that what is seen calls for.

        Raises ``FactUnreadable``, ``NoSuchResource`` and the transport's errors.
        """
        seen = autoscaling.observe(transport)
        return autoscaling.add(transport, seen, looks | scale_looks(seen, wish))

    def goal(self, pin: Fleet, wish: ScaleWish) -> ScaleGoal:
        """Settle the number, and pin the sizes."""
        return scale_goal(pin, wish)

    def decide(self, state: Fleet, memory: Memory[Fleet, ScaleGoal], wish: ScaleWish) -> Decision:
        """Judge by the rules of ``autoscaling_scale``."""
        return decide_scale(autoscaling_scale.Scene(state, memory, wish))

    def token(self, state: Fleet) -> str:
        """Name the sizes that a raise is decided from."""
        return sizes_token(state.group)

    def health(self, state: Fleet, wish: ScaleWish) -> Verdict:
        """Say how the group is."""
        return verdict_of(state)

    def needs_consent(self, wish: ScaleWish) -> str:
        """Ask a person before a group may grow beyond the limit that its owners set."""
        return "--raise-max lets the group grow beyond its max, at its owner's cost" if wish.raise_max else ""


class RestoreSizes(CloudOperation[RestoreWish, Fleet, RestoreGoal]):
    """Puts min, max and desired capacity back, a part at a time.

    Refuses to lower a group that is not well, unless forced, one that is going away, one whose instances are protected
    from scale-in or whose process Terminate is suspended; a min that would raise the desired capacity; and to go on when
    somebody has set another size meanwhile.
    """

    name = "asg.restore"
    kinds = (GROUP,)
    settle = 20.0
    calls = (*_LOOKING, *_SIZING)
    wish, state, goal_type = RestoreWish, Fleet, RestoreGoal

    def observe(self, transport: CloudTransport, wish: RestoreWish, looks: frozenset[str]) -> Fleet:
        """Describe the group, with the dearer facts that are asked for or that what is seen calls for.

        Raises ``FactUnreadable``, ``NoSuchResource`` and the transport's errors.
        """
        seen = autoscaling.observe(transport)
        return autoscaling.add(transport, seen, looks | restore_looks(seen, wish))

    def goal(self, pin: Fleet, wish: RestoreWish) -> RestoreGoal:
        """Settle which sizes are put back."""
        return restore_goal(pin, wish)

    def decide(self, state: Fleet, memory: Memory[Fleet, RestoreGoal], wish: RestoreWish) -> Decision:
        """Judge by the rules of ``autoscaling_restore``."""
        return decide_restore(autoscaling_restore.Scene(state, memory, wish))

    def token(self, state: Fleet) -> str:
        """Name the sizes that a step is decided from."""
        return sizes_token(state.group)

    def health(self, state: Fleet, wish: RestoreWish) -> Verdict:
        """Say how the group is."""
        return verdict_of(state)


class AssessGroup(CloudOperation[AssessWish, Fleet, NoGoal]):
    """Says whether a group is healthy, degraded or down; changes nothing."""

    name = "asg.assess"
    kinds = (GROUP,)
    reads_only = True
    calls = _LOOKING
    wish, state, goal_type = AssessWish, Fleet, NoGoal

    def observe(self, transport: CloudTransport, wish: AssessWish, looks: frozenset[str]) -> Fleet:
        """Describe the group and all its target groups. Raises what ``observe`` of the facts raises."""
        return autoscaling.add(transport, autoscaling.observe(transport), looks | {TARGETS})

    def goal(self, pin: Fleet, wish: AssessWish) -> NoGoal:
        """There is none."""
        return NoGoal()

    def decide(self, state: Fleet, memory: Memory[Fleet, NoGoal], wish: AssessWish) -> Decision:
        """Judge the state as it is now."""
        return assess(state)

    def health(self, state: Fleet, wish: AssessWish) -> Verdict:
        """Say how the group is."""
        return verdict_of(state)
