"""``elbv2.drain`` takes a host from behind its load balancer while it is worked on, ``elbv2.join`` puts it back.

Seed row S0-R4. The host's inventory says which target group it is in (``target_group``) and which instance it is
(``instance_id``). The rules are those of ``elbv2.deregister`` and ``elbv2.register``; who serves, the load balancer knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from msgspec.structs import replace

from crashcart.facts import elbv2
from crashcart.facts.elbv2 import GROUP, TargetGroup
from crashcart.facts.elbv2_health import State
from crashcart.operations.base import Act, CloudOperation, Decision, Done, Memory, NoGoal, Refuse
from crashcart.operations.elbv2 import DeregisterTarget, RegisterTarget
from crashcart.operations.elbv2_deregister import decide_deregister
from crashcart.operations.elbv2_register import decide_register
from crashcart.operations.elbv2_scene import Scene, target_token
from crashcart.operations.elbv2_wish import DrainWish, JoinWish
from crashcart.plan import Undo
from crashcart.results import Verdict
from crashcart.targets import Target
from crashcart.transports.base import CloudTransport

H = TypeVar("H", DrainWish, JoinWish)


class _Behind(CloudOperation[H, TargetGroup, NoGoal]):
    """What both have in common: they are about one host, and speak to its target group."""

    kinds = ("linux",)
    settle = DeregisterTarget.settle
    state, goal_type = TargetGroup, NoGoal

    def subject(self, target: Target, wish: H) -> Target:
        """Return the host's target group, reached with the host's own settings for AWS."""
        variables = {key: value for key, value in target.variables.items() if key != "aws_id"}
        return Target(wish.target_group, GROUP, variables, target.groups)

    def observe(self, transport: CloudTransport, wish: H, looks: frozenset[str]) -> TargetGroup:
        """Describe the group and its targets, with the dearer facts that are asked for.

        Raises ``FactUnreadable``, ``NoSuchResource`` and the transport's errors.
        """
        return elbv2.add(transport, elbv2.observe(transport, wish.member, wish.number), looks)

    def goal(self, pin: TargetGroup, wish: H) -> NoGoal:
        """There is none: behind the load balancer or not is absolute."""
        return NoGoal()

    def token(self, state: TargetGroup) -> str:
        """Name how the host is registered."""
        return target_token(state)

    def health(self, state: TargetGroup, wish: H) -> Verdict:
        """Say whether the host gets requests."""
        healthy = bool(state.registered) and all(backend.state is State.HEALTHY for backend in state.registered)
        return Verdict.HEALTHY if healthy else Verdict.DOWN

    def census(self, transport: CloudTransport, wish: H) -> Mapping[str, Verdict]:
        """Count who serves, in the load balancer's eyes."""
        registered = [backend for backend in elbv2.observe(transport).backends if backend.registered]
        serving = {backend.id for backend in registered if backend.state is State.HEALTHY}
        return {backend.id: Verdict.HEALTHY if backend.id in serving else Verdict.DOWN for backend in registered}

    def member(self, wish: H) -> str:
        """Return the instance or address."""
        return wish.member


class DrainHost(_Behind[DrainWish]):
    """Takes a host out of its target group, and waits until its connections have ended.

    Refuses what ``elbv2.deregister`` refuses. Is taken back by ``elbv2.join``.
    """

    name = "elbv2.drain"
    calls = DeregisterTarget.calls
    undone_by = ("elbv2.join",)
    wish = DrainWish

    def decide(self, state: TargetGroup, memory: Memory[TargetGroup, NoGoal], wish: DrainWish) -> Decision:
        """Judge by the rules of ``elbv2_deregister``; a host that does not serve takes nothing away, be it the last one."""
        serves = self.health(state, wish) is Verdict.HEALTHY
        decision = _of_the_host(decide_deregister(Scene(state, memory, replace(wish, force=wish.force or not serves))))
        if isinstance(decision, Refuse) and len(state.registered) > 1:
            return replace(decision, hint="--no-drain leaves it behind its load balancer meanwhile")
        if not isinstance(decision, Act) or not decision.action.undo:
            return decision
        before = decision.action.undo
        undo = Undo("elbv2.join", {**before.args, "target_group": wish.target_group}, before.summary)
        return Act(replace(decision.action, undo=undo, disturbs=True))


class JoinHost(_Behind[JoinWish]):
    """Puts a host into its target group, and waits until the load balancer finds it healthy.

    Refuses what ``elbv2.register`` refuses. Is not taken back: a host that is not well gets no requests anyway.
    """

    name = "elbv2.join"
    calls = RegisterTarget.calls
    wish = JoinWish

    def decide(self, state: TargetGroup, memory: Memory[TargetGroup, NoGoal], wish: JoinWish) -> Decision:
        """Judge by the rules of ``elbv2_register``."""
        decision = _of_the_host(decide_register(Scene(state, memory, wish)))
        return Act(replace(decision.action, undo=None)) if isinstance(decision, Act) else decision


def _of_the_host(decision: Decision) -> Decision:
    """Leave out the verdict on the whole group: this is about one host."""
    return replace(decision, verdict=None) if isinstance(decision, Done) else decision
