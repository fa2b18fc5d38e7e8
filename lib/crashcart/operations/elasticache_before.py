"""The rules by which a node group is failed over, or not (S3-3R1, defect 6), before anything was done.

Each rule decides or passes on; their order is the safety argument. What is already so is Done before anything is refused,
and an act is what remains when no rule objects. The status of a group proves nothing: roles and events do.
"""

from __future__ import annotations

from crashcart.errors import nearest
from crashcart.facts.elasticache import LAG, NODES, RECOVERY, TESTS
from crashcart.facts.elasticache_events import EventKind
from crashcart.facts.elasticache_status import AVAILABLE, ENABLED, MODIFYING
from crashcart.facts.rds_status import Standing
from crashcart.operations.base import Act, Decision, Done, Look, Refuse, Unknown, Wait
from crashcart.operations.elasticache_acts import promote, switch_off, test_failover
from crashcart.operations.elasticache_assess import verdict_of
from crashcart.operations.elasticache_scene import CHECK, FORCE, POLL, Rule, Scene, need_events, shown
from crashcart.operations.elasticache_wish import just_moved, primary_of
from crashcart.values import format_span


def _no_such_shard(scene: Scene) -> Decision | None:
    group, wanted = scene.state.group, scene.wish.shard
    names = [shard.name for shard in group.shards]
    if group.shard(wanted) or not names:
        return None if names else Refuse(f"{group.name} has no node group: there is nothing to fail over")
    if not wanted:
        why = f"{group.name} has {len(names)} node groups, which fail over one at a time"
        return Refuse(why, f"--node-group {names[0]} names one of {', '.join(names[:10])}")
    return Refuse(f"{wanted} is no node group of {group.name}; there are {', '.join(names[:10])}", nearest(wanted, names))


def _test_takes_no_target(scene: Scene) -> Decision | None:
    if not (scene.is_test and scene.wish.to):
        return None
    mode = "with cluster mode enabled" if scene.state.group.is_clustered else "with --test-failover"
    return Refuse(f"{mode} AWS chooses the replica itself, the one with the lowest lag", "leave out --to")


def _no_such_member(scene: Scene) -> Decision | None:
    if not scene.wish.to or scene.shard.node(scene.wish.to):
        return None
    names = scene.shard.members
    if scene.wish.target == scene.state.name:
        why = f"{scene.wish.to} is the replication group; --to names one of its nodes"
        return Refuse(why, f"its nodes are {', '.join(names)}")
    why = f"{scene.wish.to} is no node of {scene.state.name}; its nodes are {', '.join(names) or 'none'}"
    return Refuse(why, nearest(scene.wish.target, names))


def _under_way(scene: Scene) -> Decision | None:
    """Wait for somebody's failover. A group that is being modified is asked for events, which may tell that it is one."""
    group, shard = scene.state.group, scene.shard
    if group.next_primary:
        return Wait(f"{group.next_primary} is being promoted in {group.name}; do not send another failover", POLL, CHECK)
    if scene.state.recent is None:
        return need_events(scene) if MODIFYING in {group.status, shard.status} else None
    called = scene.recent.open_test(shard.name, shard.members)
    if called is None:
        return None
    return Wait(f"node group {shard.name} of {group.name} is failing over: ElastiCache says {called.line}", POLL, CHECK)


def _no_single_primary(scene: Scene) -> Decision | None:
    shard = scene.shard
    if scene.state.group.is_clustered or shard.primary:
        return None
    if not shard.nodes:
        return Refuse(f"node group {shard.name} of {scene.state.name} has no nodes: there is nothing to fail over to")
    said = f"{len(shard.primaries)} primaries" if shard.primaries else "no primary"
    return Unknown(f"ElastiCache shows {said} in {scene.state.name} ({scene.state.group.status})")


def _already_there(scene: Scene) -> Decision | None:
    primary, nodes = scene.shard.primary, scene.state.nodes
    if primary is None or primary.name != scene.wish.target:
        return None
    if nodes and nodes.standing(primary.name) is Standing.DOWN:
        return Refuse(f"{primary.name} is the primary already, but it is {nodes.status(primary.name)}", "leave out --to")
    if nodes is None:
        return Look(NODES)
    return Done(f"{primary.name} is already the primary of {scene.state.name}; {shown(scene)}", verdict_of(scene.state))


def _ended_by_itself(scene: Scene) -> Decision | None:
    """Judge the failover that was under way at the first look, by what was told of its end."""
    if not scene.goal.was_moving or scene.wish.to or not scene.state.group.is_steady:
        return None
    if scene.state.recent is None:
        return need_events(scene)
    last = scene.last_failover
    if last is None or last.kind is not EventKind.COMPLETED:
        return None
    why = f"the failover that was under way has ended: {shown(scene)}; ElastiCache says {last.line}"
    return Done(why, verdict_of(scene.state))


def _moved_meanwhile(scene: Scene) -> Decision | None:
    """Whoever moved the primary since the first look, AWS itself or a person: our choice was made for another state."""
    state, shard, old = scene.state, scene.shard, scene.goal.primary_not
    now = primary_of(state, shard)
    if state.group.is_clustered:
        told = scene.new_completed
        why = (
            f"{state.name} {shard.name} failed over meanwhile, not by this run: ElastiCache says {told.line}" if told else ""
        )
        return Done(why, verdict_of(state)) if why else None
    if not old:
        return Refuse(f"the first look at {state.name} showed no primary: what to change was not clear then", "run it again")
    if now == old:
        return None
    moved = f"the primary of {state.name} moved from {old} to {now} meanwhile, not by this run"
    if scene.wish.to:
        return Refuse(f"{moved}, and not to {scene.wish.to}", "run it again if that is still wanted")
    return Done(f"{moved}; {shown(scene)}", verdict_of(state))


def _mid_change(scene: Scene) -> Decision | None:
    group, shard = scene.state.group, scene.shard
    if group.is_steady and shard.status == AVAILABLE:
        return None
    why = f"{group.name} is in the middle of a change ({group.status}, node group {shard.status}; {group.settings})"
    hint = "" if group.standing is Standing.DOWN else "try again when inv check.elasticache says that it is over"
    return Refuse(why, hint)


def _no_replica(scene: Scene) -> Decision | None:
    shard = scene.shard
    if len(shard.nodes) > 1 and (scene.state.group.is_clustered or shard.replicas):
        return None
    why = f"node group {shard.name} of {scene.state.name} has no replica to fail over to"
    return Refuse(why, f"aws elasticache increase-replica-count --replication-group-id {scene.state.name} ... adds one")


def _works(scene: Scene) -> Decision | None:
    """Leave a primary alone that works, or of which nothing bad is proved. A recent failover to it is what was wanted."""
    state, shard = scene.state, scene.shard
    if scene.wish.force:
        return None
    if not scene.wish.to and state.recent is None:
        return need_events(scene)
    told = just_moved(state, shard, scene.wish)
    if told:
        return Done(f"{state.name} has just failed over: {shown(scene)}; ElastiCache says {told.line}", verdict_of(state))
    if shard.primary is None:
        return Refuse(f"node group {shard.name} of {state.name} works, as far as ElastiCache can tell", FORCE)
    if state.nodes is None:
        return Look(NODES)
    status, how = state.nodes.status(shard.primary.name), state.nodes.standing(shard.primary.name)
    if how is Standing.DOWN:
        return None
    if how is Standing.MOVING:
        return Refuse(f"the primary {shard.primary.name} is {status}, which may pass by itself", FORCE)
    if how is Standing.UNKNOWN:
        said = state.nodes.unreadable or (f"ElastiCache calls it {status!r}" if status else "it is not described")
        return Refuse(f"whether the primary {shard.primary.name} works is not known: {said}", FORCE)
    return Refuse(f"the primary {shard.primary.name} works: {shown(scene)}", FORCE)


def _test_is_not_possible(scene: Scene) -> Decision | None:
    group = scene.state.group
    if not scene.is_test or group.automatic_failover == ENABLED:
        return None
    why = f"automatic failover of {group.name} is {group.automatic_failover}, and TestFailover needs it"
    return Refuse(why, "" if group.is_clustered else "leave out --test-failover: a promotion does not need it")


def _target_is_not_available(scene: Scene) -> Decision | None:
    if scene.is_test:
        return None
    if scene.state.nodes is None:
        return Look(NODES)
    nodes, target = scene.state.nodes, scene.shard.node(scene.goal.primary)
    if target is None:
        named = scene.goal.primary or "no replica"
        return Refuse(f"what was chosen at the first look ({named}) is no node of {scene.state.name} now", "run it again")
    how, others = nodes.standing(target.name), scene.shard.replicas
    if how is Standing.SERVING:
        return None
    told = f"it is {nodes.status(target.name)}" if nodes.status(target.name) else ""
    said = told or f"how it is is not known ({nodes.unreadable or 'ElastiCache does not describe it'})"
    better = [node.name for node in others if nodes.standing(node.name) is Standing.SERVING]
    return Refuse(f"cannot promote {target.name}: {said}", f"--to {better[0]} is available" if better else "")


def _events_are_needed(scene: Scene) -> Decision | None:
    """Where AWS's test call is counted and judged by events, there is no doing without them."""
    if not scene.is_test:
        return None
    unknown = scene.recent.unreadable or ("they could not be read at first" if scene.goal.after is None else "")
    if not unknown or (not scene.state.group.is_clustered and not scene.recent.unreadable):
        return None
    return Refuse(f"TestFailover is judged by events, and {unknown}", "elasticache:DescribeEvents must be allowed")


def _cooling_down(scene: Scene) -> Decision | None:
    last = scene.last_failover
    if last is None:
        return None
    ago, span = format_span(max(0.0, scene.recent.at - last.at)), format_span(scene.wish.cooldown)
    why = f"node group {scene.shard.name} of {scene.state.name} failed over {ago} ago ({last.line}); not twice within {span}"
    return Refuse(why, "--cooldown 0s fails over all the same")


def _lags(scene: Scene) -> Decision | None:
    """Do not lose what the new primary has not got; unknown is not zero. AWS's test call takes who lags least."""
    if scene.state.lag is None:
        return Look(LAG)
    lag, allowed = scene.state.lag, float(scene.wish.max_lag)
    names = scene.shard.members if scene.is_test else (scene.goal.primary,)
    known = {name: seconds for name in names if (seconds := lag.of(name)) is not None}
    if not known:
        who = "the replicas lag" if scene.is_test else f"{scene.goal.primary} lags"
        reason = lag.unreadable or "CloudWatch has no recent value"
        return (
            None
            if scene.wish.accept_unknown_lag
            else Refuse(f"nobody knows how far {who} behind: {reason}", "--accept-unknown-lag")
        )
    name, seconds = min(known.items(), key=lambda item: item[1])
    if seconds <= allowed:
        return None
    why = f"{name} is {format_span(seconds)} behind the primary, more than {format_span(allowed)}"
    return Refuse(why, f"--max-lag {int(seconds) + 1}s loses what has not arrived")


def _quota(scene: Scene) -> Decision | None:
    if not scene.is_test:
        return None
    if scene.state.tests is None:
        return Look(TESTS)
    tests, quota = scene.state.tests, scene.wish.test_quota
    if tests.unreadable:
        why = f"how many TestFailover calls are left today is not known: {tests.unreadable}"
        return Refuse(why, "elasticache:DescribeEvents must be allowed")
    if tests.used < quota:
        return None
    why = f"{tests.used} node groups were tested in 24 hours in this account and region, of {quota} that AWS allows"
    return Refuse(why, "--test-quota, if AWS allows you more; its own refusal is final for hours")


def _other_shard(scene: Scene) -> Decision | None:
    """One node group of a group at a time: the node that the last test replaces has to be back first."""
    if not scene.is_test:
        return None
    for shard in scene.state.group.shards:
        called = scene.recent.open_test(shard.name, shard.members)
        if called:
            return Wait(f"node group {shard.name} is failing over, and only one may: {called.line}", POLL, CHECK)
    if scene.state.recovery is None:
        return Look(RECOVERY)
    back = scene.state.recovery.recovering
    return Wait(f"{', '.join(back)} of {scene.state.name} is being replaced; then the next", POLL, CHECK) if back else None


def _act(scene: Scene) -> Decision:
    state, shard, group = scene.state, scene.shard, scene.state.group
    old = primary_of(state, shard)
    also = f"; also applies what is pending: {', '.join(group.pending)}" if group.pending else ""
    why = f"{_sick(scene, old)}{' (--force)' if scene.wish.force else ''}{also}"
    if scene.is_test:
        used = state.tests.used if state.tests else 0
        how = f"TestFailover, {used} of {scene.wish.test_quota} used in 24 hours"
        what = f"fail over {state.name} {shard.name} by {how}: {why}"
        return Act(test_failover(state, shard, old, what, scene.wish.test_quota))
    what = f"promote {_described(scene)} in {state.name}: {why}"
    if ENABLED in {group.automatic_failover, group.multi_az}:
        return Act(switch_off(state, f"{what}. For it, both are switched off and then on again: {group.settings}"))
    return Act(promote(state, shard, scene.goal.primary, what, is_first=True))


def _sick(scene: Scene, old: str) -> str:
    status = scene.state.nodes.status(old) if scene.state.nodes else ""
    return f"the primary {old} is {status or 'not described'}" if old and status else f"the primary is {old or 'not told'}"


def _described(scene: Scene) -> str:
    """Name the chosen replica with what it was chosen for."""
    name = scene.goal.primary
    node, behind = scene.shard.node(name), scene.state.lag.of(name) if scene.state.lag else None
    lag = "lag unknown" if behind is None else f"{behind:g} s behind"
    return f"{name} ({', '.join(part for part in (node.zone if node else '', lag) if part)})"


BEFORE: tuple[Rule, ...] = (
    _no_such_shard,
    _test_takes_no_target,
    _no_such_member,
    _under_way,
    _no_single_primary,
    _already_there,
    _ended_by_itself,
    _moved_meanwhile,
    _mid_change,
    _no_replica,
    _works,
    _test_is_not_possible,
    _target_is_not_available,
    need_events,
    _events_are_needed,
    _cooling_down,
    _lags,
    _quota,
    _other_shard,
    _act,
)
