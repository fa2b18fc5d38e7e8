"""The rules of a failover that has begun: promote, then put the settings back, and believe only what is seen.

Where a rule fails the step, the engine takes back what was switched off (``elasticache.settings``), also in another process.
"""

from __future__ import annotations

from crashcart.facts.elasticache import NODES
from crashcart.operations.base import Act, Decision, Done, Fail, Look, Unknown, Wait
from crashcart.operations.elasticache_acts import OFF, ON, PROMOTE, TEST, promote, switch_on
from crashcart.operations.elasticache_assess import verdict_of
from crashcart.operations.elasticache_scene import CHECK, POLL, Rule, Scene, corroborated, need_events, shown
from crashcart.results import Verdict


def _need_nodes(scene: Scene) -> Decision | None:
    return Look(NODES) if scene.state.nodes is None else None


def _no_primary(scene: Scene) -> Decision | None:
    if scene.state.group.is_clustered or scene.shard.primary:
        return None
    return Unknown(f"ElastiCache shows {len(scene.shard.primaries)} primaries in {scene.state.name}")


def _has_moved(scene: Scene) -> bool:
    primary = scene.shard.primary
    return primary is not None and primary.name != scene.goal.primary_not


def _went_elsewhere(scene: Scene) -> Decision | None:
    primary, goal = scene.shard.primary, scene.goal
    if primary is None or primary.name in {goal.primary_not, goal.primary or primary.name}:
        return None
    why = f"{primary.name} became the primary of {scene.state.name}, not {goal.primary}; {shown(scene)}"
    hint = f"if it must be {goal.primary}: inv recover.elasticache-failover --to {goal.primary} --force --hosts ..."
    return Fail(why, hint, Verdict.DEGRADED)


def _not_off_yet(scene: Scene) -> Decision | None:
    """Nothing goes on before both are seen off: not the promotion, and not the switching on, which the off would follow."""
    group = scene.state.group
    if not scene.did(OFF) or scene.did(ON) or (group.is_steady and group.has(automatic_failover=False, multi_az=False)):
        return None
    return Wait(f"both are to be off for the promotion, and {group.name} is {group.status}; {group.settings}", POLL, CHECK)


def _promote(scene: Scene) -> Decision | None:
    state, goal = scene.state, scene.goal
    if _has_moved(scene) or scene.did(PROMOTE):
        return None
    if scene.shard.node(goal.primary) is None:
        return Fail(f"{goal.primary} is no node of {state.name} any more; {shown(scene)}", CHECK)
    summary = f"promote {goal.primary} in {state.name}, instead of {goal.primary_not}"
    return Act(promote(state, scene.shard, goal.primary, summary, is_first=False))


def _has_not_moved(scene: Scene) -> Decision | None:
    if _has_moved(scene):
        return None
    why = f"ElastiCache accepted it, and {scene.goal.primary_not} is still the primary of {scene.state.name}"
    return Wait(why, POLL, "look at its events before another attempt")


def _not_steady(scene: Scene) -> Decision | None:
    group = scene.state.group
    return None if group.is_steady else Wait(f"{group.name} is {group.status}: {shown(scene)}", POLL, CHECK)


def _switch_on(scene: Scene) -> Decision | None:
    """Put back what was remembered; where it was never switched off, somebody else's change is left alone."""
    group, goal = scene.state.group, scene.goal
    if not scene.did(OFF) or group.has(automatic_failover=goal.automatic_failover, multi_az=goal.multi_az):
        return None
    if not scene.did(ON):
        return Act(switch_on(scene.state, automatic_failover=goal.automatic_failover, multi_az=goal.multi_az))
    return Wait(f"both are to be on again, and {group.name} shows {group.settings}", POLL, CHECK)


def _is_done(scene: Scene) -> Decision:
    primary = scene.shard.primary
    now = primary.name if primary else "another node"
    was = f"{now} is the primary of {scene.state.name}, it was {scene.goal.primary_not}"
    return Done(f"{was}; {shown(scene)}{corroborated(scene)}", verdict_of(scene.state), hold=scene.wish.settle)


def _told(scene: Scene) -> Decision | None:
    """Without roles, events are all there is: what they do not tell is unknown."""
    if not scene.state.group.is_clustered:
        return None
    asked = need_events(scene)
    if asked:
        return asked
    name = f"node group {scene.shard.name} of {scene.state.name}"
    told = scene.new_completed
    if told is None:
        called = scene.recent.unreadable or (scene.told[-1].line if scene.told else "and none says so yet")
        return Unknown(f"TestFailover of {name} was accepted; whether it took place, only events tell: {called}", CHECK)
    if not scene.state.group.is_steady:
        return Wait(f"{name} failed over ({told.line}), and the group is {scene.state.group.status}", POLL, CHECK)
    why = f"{name} failed over: ElastiCache says {told.line}"
    return _need_nodes(scene) or Done(why, verdict_of(scene.state), hold=scene.wish.settle)


_AFTER_PROMOTION: tuple[Rule, ...] = (
    _no_primary,
    _went_elsewhere,
    _not_off_yet,
    _promote,
    _has_not_moved,
    _not_steady,
    _switch_on,
    need_events,
    _need_nodes,
    _is_done,
)

_AFTER_TEST: tuple[Rule, ...] = (_told, _no_primary, _has_not_moved, _not_steady, need_events, _need_nodes, _is_done)


def after(scene: Scene) -> tuple[Rule, ...]:
    """Return the rules for what was begun."""
    return _AFTER_TEST if scene.did(TEST) else _AFTER_PROMOTION
