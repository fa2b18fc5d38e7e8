"""The rules by which a Multi-AZ instance is failed over to its standby, or not (S1-R3, defect 2).

Its two sides look alike, so there is no absolute goal: what counts is a failover event that is newer than the first look, or
another availability zone, which RDS may show minutes late. Without either, nobody can tell.
"""

from __future__ import annotations

from crashcart.facts.rds import MAINTENANCE, Database, Instance
from crashcart.facts.rds_events import EventKind
from crashcart.facts.rds_status import AVAILABLE, REBOOTING, Standing
from crashcart.operations.base import Act, Action, Decision, Done, Effect, Look, Refuse, Unknown, Wait
from crashcart.operations.rds_assess import verdict_of
from crashcart.operations.rds_scene import (
    FORCE,
    Rule,
    Scene,
    cooling_down,
    corroborated,
    defeated,
    first_of,
    need_events,
    shown_pending,
)
from crashcart.results import Change
from crashcart.transports.base import ApiCall

POLL = 5.0
"""Seconds between looks at a failover, which takes one or two minutes."""


def decide_instance(scene: Scene) -> Decision:
    """Go through the rules; the first that has something to say decides."""
    decision = first_of(_AFTER if scene.memory.acted else _BEFORE, scene)
    return decision or Unknown(f"{scene.state.name} is {scene.state.status}")


def instance_token(state: Database, instance: Instance) -> str:
    """Name what a failover is decided from: status, zone, and when RDS last spoke of a failover."""
    newest = state.recent.newest if state.recent else None
    return f"{instance.status} {instance.zone or '-'} {'-' if newest is None else newest}"


def instance_effect_seen(state: Database, instance: Instance, only_if: str) -> bool:
    """See the reboot, the other zone, or an event that is newer than the act."""
    _, zone, last = only_if.split()
    newest = state.recent.newest if state.recent else None
    told = newest is not None and last != "-" and newest > float(last)
    return instance.status == REBOOTING or (instance.zone or "-") != zone or told


def _instance(scene: Scene) -> Instance:
    assert scene.state.instance  # noqa: S101 -- these rules are asked of instances only
    return scene.state.instance


def _is_member(scene: Scene) -> Decision | None:
    cluster = _instance(scene).cluster
    if not cluster:
        return None
    why = f"{scene.state.name} is a member of the cluster {cluster}, and a cluster is failed over as a whole"
    return Refuse(why, f"select {cluster} (kind rds_cluster) instead")


def _is_custom(scene: Scene) -> Decision | None:
    engine = _instance(scene).engine
    return Refuse(f"{scene.state.name} is RDS Custom ({engine}), which has no failover") if "custom" in engine else None


def _is_replica(scene: Scene) -> Decision | None:
    source = _instance(scene).replica_of
    if not source:
        return None
    why = (
        f"{scene.state.name} is a read replica of {source}: it is promoted, not failed over to. That cannot be taken back: "
        "replication ends for good, what has not arrived is lost, and its clients need another name"
    )
    return Refuse(why, f"fail over {source} if it is Multi-AZ; else aws rds promote-read-replica, on purpose")


def _is_single(scene: Scene) -> Decision | None:
    if _instance(scene).multi_az:
        return None
    why = f"{scene.state.name} is single-AZ: it has no standby, and a reboot would only be an outage"
    return Refuse(why, "restore it in another zone from a snapshot, or make it Multi-AZ when it works")


def _names_a_target(scene: Scene) -> Decision | None:
    if not scene.wish.to:
        return None
    return Refuse(
        f"--to names a member of a cluster, and {scene.state.name} is an instance with one standby", "leave out --to"
    )


def _rebooting(scene: Scene) -> Decision | None:
    if scene.state.status != REBOOTING:
        return None
    return Wait(f"{scene.state.name} is rebooting. Do not send another failover: its events show how it goes", POLL)


def _failed_over_already(scene: Scene) -> Decision | None:
    """See a failover that is not this run's: since the first look, under way then, or, unless forced, a moment before."""
    instance, zone = _instance(scene), scene.goal.zone_not
    if instance.status != AVAILABLE:
        return None
    if zone and instance.zone and instance.zone != zone:
        return Done(
            f"{instance.name} moved from {zone} to {instance.zone} meanwhile, not by this run", verdict_of(scene.state)
        )
    if scene.state.recent is None:
        return need_events(scene)
    accepted = scene.goal.was_moving or not scene.wish.force
    events = scene.recent.within(scene.wish.cooldown) if accepted else scene.new_events
    if not events or events[-1].kind is not EventKind.COMPLETED:
        return None
    return Done(
        f"{instance.name} has just failed over, not by this run: RDS says {events[-1].line}", verdict_of(scene.state)
    )


def _not_available(scene: Scene) -> Decision | None:
    instance = _instance(scene)
    if instance.status == AVAILABLE:
        return None
    hint = "try again when inv check.rds says that it is over" if instance.standing is not Standing.DOWN else ""
    return Refuse(f"{instance.name} is {instance.status}: RDS fails over only what is available", hint)


def _works(scene: Scene) -> Decision | None:
    if scene.wish.force:
        return None
    return Refuse(f"{scene.state.name} is available in {_instance(scene).zone}, as far as RDS can tell", FORCE)


def _maintenance(scene: Scene) -> Decision | None:
    return Look(MAINTENANCE) if scene.state.maintenance is None else None


def _fail_over(scene: Scene) -> Decision:
    instance = _instance(scene)
    standby = instance.secondary_zone or "the standby's zone"
    action = Action(
        key=f"fail over {instance.name} from {instance.zone or 'its zone'}",
        effect=Effect.ONCE,
        summary=f"fail over {instance.name} from {instance.zone} to {standby} by a reboot: it is {instance.status} (--force)"
        f"{shown_pending(scene.state)}",
        only_if=instance_token(scene.state, instance),
        call=ApiCall("rds", "RebootDBInstance", {"DBInstanceIdentifier": instance.name, "ForceFailover": True}),
        changes=(Change(f"zone of {instance.name}", instance.zone, standby),),
        disturbs=True,
        budget="failover",
    )
    return Act(action)


def _not_back(scene: Scene) -> Decision | None:
    instance = _instance(scene)
    return None if instance.status == AVAILABLE else Wait(f"{instance.name} is {instance.status} after the failover", POLL)


def _is_done(scene: Scene) -> Decision:
    instance, zone = _instance(scene), scene.goal.zone_not
    if any(event.kind is EventKind.COMPLETED for event in scene.new_events):
        return Done(f"{instance.name} failed over{corroborated(scene)}", verdict_of(scene.state), hold=scene.wish.settle)
    if zone and instance.zone and instance.zone != zone:
        why = f"{instance.name} moved from {zone} to {instance.zone}{corroborated(scene)}"
        return Done(why, verdict_of(scene.state), hold=scene.wish.settle)
    why = f"RDS accepted the failover of {instance.name} and calls it available again, in {instance.zone}"
    return Unknown(f"{why}, but no event says that it took place{corroborated(scene)}: its events or logs may tell later")


_BEFORE: tuple[Rule, ...] = (
    _is_member,
    _is_custom,
    _is_replica,
    _is_single,
    _names_a_target,
    _rebooting,
    _failed_over_already,
    _not_available,
    _works,
    need_events,
    cooling_down,
    _maintenance,
    _fail_over,
)

_AFTER: tuple[Rule, ...] = (
    _rebooting,
    _not_back,
    need_events,
    defeated,
    _is_done,
)
