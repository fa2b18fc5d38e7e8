"""The rules by which a target is taken from behind a load balancer, or not (S0-R4)."""

from __future__ import annotations

from crashcart.facts.elbv2 import DELAY
from crashcart.facts.elbv2_health import State, named
from crashcart.operations.base import Act, Decision, Done, Look, Refuse, Wait
from crashcart.operations.elbv2_assess import verdict_of
from crashcart.operations.elbv2_scene import POLL, Rule, Scene, action, first_of, other_type
from crashcart.operations.elbv2_wish import DeregisterWish
from crashcart.plan import Undo
from crashcart.values import format_span

ASIDE = "--force takes it out all the same"

Leaving = Scene[DeregisterWish]


def decide_deregister(scene: Leaving) -> Decision:
    """Go through the rules; the first that has something to say decides."""
    return first_of(_RULES, scene)


def _is_out(scene: Leaving) -> Decision | None:
    """Be done when it is gone: AWS shows it as draining until its connections have ended, or the delay has."""
    state = scene.state
    if state.registered:
        return None
    others = f"healthy there: {len(state.healthy)} of {len(state.others)}"
    if state.asked:
        return Wait(f"{scene.who} is draining in {state.name}; {others}", POLL, "it gets no new requests meanwhile")
    return Done(f"{scene.wish.member} is not registered in {state.name}; {others}", verdict_of(state))


def _not_shown_yet(scene: Leaving) -> Decision | None:
    if not scene.memory.acted:
        return None
    return Wait(f"AWS took {scene.who} out of {scene.state.name} and does not show it yet", POLL)


def _several(scene: Leaving) -> Decision | None:
    ports = sorted(str(backend.port) for backend in scene.state.registered)
    if len(ports) < 2:
        return None
    return Refuse(
        f"{scene.wish.member} is registered in {scene.state.name} at {', '.join(ports)}", f"--port {ports[0]} names one"
    )


def _last_one(scene: Leaving) -> Decision | None:
    """Leave somebody to serve. Where nobody is healthy, the load balancer sends to all, so the last one counts as well."""
    state = scene.state
    if scene.wish.force:
        return None
    healthy = [other for other in state.others if other.state is State.HEALTHY]
    serves = any(backend.state is State.HEALTHY for backend in state.registered)
    if healthy or (state.others and not serves):
        return None
    kind = "last healthy target" if serves else "last target"
    return Refuse(f"{scene.who} is the {kind} in {state.name}; the others: {named(state.others)}", ASIDE)


def _delay(scene: Leaving) -> Decision | None:
    return None if scene.state.delay_asked else Look(DELAY)


def _deregister(scene: Leaving) -> Decision:
    state = scene.state
    drains = "an unknown time" if state.delay is None else f"up to {format_span(state.delay)}"
    args = {"member": scene.wish.member, "accept_asg": True} | ({"port": scene.port} if scene.port else {})
    undo = Undo("elbv2.register", args, f"register {scene.who} in {state.name} again")
    left = len(state.healthy) - sum(backend.state is State.HEALTHY for backend in state.registered)
    summary = f"take {scene.who} out of {state.name}: {left} healthy ones are left, and it drains for {drains}"
    return Act(action(scene, register=False, summary=summary, undo=undo))


_RULES: tuple[Rule[DeregisterWish], ...] = (
    other_type,
    _is_out,
    _not_shown_yet,
    _several,
    _last_one,
    _delay,
    _deregister,
)
