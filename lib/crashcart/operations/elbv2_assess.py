"""How a target group is, and the command that would help."""

from __future__ import annotations

from crashcart.facts.elbv2 import TargetGroup
from crashcart.facts.elbv2_health import Backend, State, named
from crashcart.operations.base import Decision, Done, Fail, Unknown
from crashcart.results import Verdict

REGISTER = "inv recover.target-register --member ... --hosts ..."
PROGRESS = "wait, then look again: inv check.targets --hosts ..."
ASK = "ask the targets themselves: inv check.service on their hosts, or inv check.asg on their group"


def assess(state: TargetGroup) -> Decision:
    """Judge the state as it is now; nothing is waited for."""
    registered, verdict = _registered(state), verdict_of(state)
    if not registered:
        return Fail(f"{state.name} has no targets", REGISTER, verdict)
    if verdict is Verdict.UNKNOWN:
        return _untold(state, registered)
    shown = f"{state.name}: {len(state.healthy)} of {len(registered)} healthy"
    sick = [backend for backend in registered if backend.state is not State.HEALTHY]
    if verdict is Verdict.HEALTHY:
        return Done(f"{shown}{_draining(state)}", verdict)
    fails_open = "; the load balancer sends to all of them" if verdict is Verdict.DOWN else ""
    coming = all(backend.state is State.INITIAL for backend in sick)
    return Fail(f"{shown}; {named(sick)}{fails_open}{_draining(state)}", PROGRESS if coming else ASK, verdict)


def verdict_of(state: TargetGroup) -> Verdict:
    """Return how the group is, in one word; unknown when nobody checks its targets, or AWS cannot say."""
    registered = _registered(state)
    if not registered:
        return Verdict.DOWN
    if all(backend.state is State.HEALTHY for backend in registered):
        return Verdict.HEALTHY
    if state.healthy:
        return Verdict.DEGRADED
    told = any(backend.state is not State.UNKNOWN and not backend.idle for backend in registered)
    return Verdict.DOWN if told else Verdict.UNKNOWN


def _registered(state: TargetGroup) -> tuple[Backend, ...]:
    return tuple(backend for backend in state.backends if backend.registered)


def _untold(state: TargetGroup, registered: tuple[Backend, ...]) -> Decision:
    if not state.balancers:
        return Unknown(
            f"no load balancer uses {state.name}, so nobody checks its targets", "add a listener rule that forwards to it"
        )
    return Unknown(f"AWS does not tell how the targets of {state.name} are: {named(registered)}", ASK)


def _draining(state: TargetGroup) -> str:
    draining = sum(backend.state is State.DRAINING for backend in state.backends)
    return f"; {draining} draining" if draining else ""
