"""The rules by which a target is put behind a load balancer, or not (S0-R4)."""

from __future__ import annotations

from crashcart.facts.elbv2 import INSTANCE, Host
from crashcart.facts.elbv2_health import State, named
from crashcart.operations.base import Act, Decision, Done, Look, Refuse, Wait
from crashcart.operations.elbv2_assess import verdict_of
from crashcart.operations.elbv2_scene import POLL, Rule, Scene, action, first_of, other_type
from crashcart.operations.elbv2_wish import RegisterWish
from crashcart.plan import Undo

ASIDE = "--force registers it all the same"

Registering = Scene[RegisterWish]


def decide_register(scene: Registering) -> Decision:
    """Go through the rules; the first that has something to say decides."""
    return first_of(_RULES, scene)


def _is_registered(scene: Registering) -> Decision | None:
    """Wait until it is healthy; where no load balancer uses the group, nobody will ever say so."""
    state, registered = scene.state, scene.state.registered
    if not registered:
        return None
    shown = f"{scene.who} is registered in {state.name}: {named(registered)}"
    if all(backend.state is State.HEALTHY for backend in registered):
        return Done(shown, verdict_of(state), hold=scene.wish.settle)
    if all(backend.idle for backend in registered) and not state.balancers:
        return Done(f"{shown}; no load balancer uses {state.name}, so nobody checks it", hold=scene.wish.settle)
    hint = "its own health check, its security group, and what it listens on tell why (inv check.service on the host)"
    return Wait(shown, POLL, hint)


def _not_shown_yet(scene: Registering) -> Decision | None:
    return (
        Wait(f"AWS accepted {scene.who} for {scene.state.name} and does not show it yet", POLL)
        if scene.memory.acted
        else None
    )


def _unknown_instance(scene: Registering) -> Decision | None:
    """Find out what it is; an address is nobody that AWS could be asked about."""
    if not scene.wish.is_instance:
        return None
    host = scene.state.host
    if host is None:
        return Look(INSTANCE)
    if not host.unreadable or scene.wish.force:
        return None
    return Refuse(f"nobody knows what {host.id} is like: {host.unreadable}", ASIDE)


def _not_running(scene: Registering) -> Decision | None:
    host = _host(scene)
    if host is None or host.state == "running":
        return None
    if not host.state:
        return Refuse(
            f"there is no instance {host.id} in this account and region", "is it terminated, or in another region?"
        )
    return Refuse(f"{host.id} is {host.state}, and only what runs can be registered")


def _elsewhere(scene: Registering) -> Decision | None:
    """Refuse what the load balancer cannot reach."""
    host, state = _host(scene), scene.state
    if host is None:
        return None
    if state.vpc and host.vpc != state.vpc:
        return Refuse(f"{host.id} is in {host.vpc or 'no VPC'}, and {state.name} is in {state.vpc}")
    if host.zones and host.zone not in host.zones:
        why = f"{host.id} is in {host.zone}, and the load balancer of {state.name} is only in {', '.join(host.zones)}"
        return Refuse(why, "add that zone to the load balancer: it would get no traffic")
    return None


def _impaired(scene: Registering) -> Decision | None:
    host = _host(scene)
    if host is None or not host.impaired or scene.wish.force:
        return None
    return Refuse(f"{host.id} is not well: {', '.join(host.impaired)}", ASIDE)


def _owned(scene: Registering) -> Decision | None:
    """Leave an Auto Scaling group's instances to it: it ends them without asking, and replaces them without registering."""
    host, state = _host(scene), scene.state
    if host is None or not host.owner:
        return None
    if host.lifecycle.startswith(("Terminating", "Terminated", "Detaching")):
        return Refuse(f"{host.id} is leaving the Auto Scaling group {host.owner} ({host.lifecycle})")
    if scene.wish.accept_asg:
        return None
    accept = "--accept-asg registers it by hand"
    if host.attached:
        why = f"{host.id} belongs to the Auto Scaling group {host.owner}, which registers it in {state.name} itself"
        return Refuse(why, f"if somebody took it out by hand: {accept}")
    why = f"{host.id} belongs to the Auto Scaling group {host.owner}: what replaces it would not be in {state.name}"
    attach = f"aws autoscaling attach-load-balancer-target-groups --auto-scaling-group-name {host.owner} ... attaches all"
    return Refuse(why, f"{attach}; {accept}")


def _register(scene: Registering) -> Decision:
    state = scene.state
    draining = "; it is still draining" if state.asked else ""
    undo = Undo("elbv2.deregister", _args(scene), f"take {scene.who} out of {state.name} again")
    summary = f"register {scene.who} in {state.name} (healthy there now: {len(state.healthy)}){draining}"
    return Act(action(scene, register=True, summary=summary, undo=undo))


def _args(scene: Registering) -> dict[str, object]:
    return {"member": scene.wish.member} | ({"port": scene.port} if scene.port else {})


def _host(scene: Registering) -> Host | None:
    """Return what is known of the instance, if anything."""
    host = scene.state.host
    return host if host and not host.unreadable else None


_RULES: tuple[Rule[RegisterWish], ...] = (
    other_type,
    _is_registered,
    _not_shown_yet,
    _unknown_instance,
    _not_running,
    _elsewhere,
    _impaired,
    _owned,
    _register,
)
