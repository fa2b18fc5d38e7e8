"""The rules by which nodes are rebooted, or not (S3-3R2, defect 7): what they hold is lost, so only on purpose.

A reboot leads to no other state, so what proves it is a restart that is newer than the first look. Without that event nobody
can tell.
"""

from __future__ import annotations

from crashcart.errors import nearest
from crashcart.facts.elasticache import EVENTS, NODES, Cache, Shard
from crashcart.facts.elasticache_events import Event, EventKind, Recent
from crashcart.facts.elasticache_status import AVAILABLE, REBOOTING
from crashcart.operations.base import Act, Action, Decision, Done, Effect, Look, Memory, Refuse, Unknown, Wait
from crashcart.operations.elasticache_assess import verdict_of
from crashcart.operations.elasticache_scene import CHECK, POLL
from crashcart.operations.elasticache_wish import RebootGoal, RebootWish
from crashcart.results import Change
from crashcart.transports.base import ApiCall
from crashcart.values import format_span

REBOOT = "reboot"


def decide_reboot(state: Cache, memory: Memory[Cache, RebootGoal], wish: RebootWish) -> Decision:
    """Judge by what forbids it, then by what was told of restarts."""
    return _not_allowed(state, wish) or (_after(state, memory, wish) if memory.acted else _before(state, wish))


def reboot_token(state: Cache) -> str:
    """Name what a reboot is decided from: how the nodes are, and the newest restart."""
    statuses = state.nodes.statuses if state.nodes else {}
    newest = state.recent.newest if state.recent else None
    return f"{'|'.join(f'{name}={status}' for name, status in sorted(statuses.items()))} {'-' if newest is None else newest}"


def reboot_seen(state: Cache, action: Action) -> bool:
    """See the reboot under way, or a restart that is newer than the act."""
    before, _, last = action.only_if.rpartition(" ")
    statuses = state.nodes.statuses.items() if state.nodes else ()
    started = any(status in REBOOTING and f"{name}={status}" not in before.split("|") for name, status in statuses)
    newest = state.recent.newest if state.recent else None
    return started or (newest is not None and last != "-" and newest > float(last))


def _restarts(recent: Recent | None, wish: RebootWish, since: float) -> dict[str, Event]:
    """Return the last restart of each wished node since then."""
    told = recent.events if recent else ()
    return {
        event.of: event for event in told if event.kind is EventKind.RESTARTED and event.of in wish.ids and event.at > since
    }


def _not_allowed(state: Cache, wish: RebootWish) -> Decision | None:
    group = state.group
    if group.is_clustered:
        why = f"{group.name} has cluster mode enabled: ElastiCache does not reboot its nodes"
        return Refuse(why, "inv recover.elasticache-failover --test-failover --node-group ... --hosts ...")
    if wish.member in group.members:
        return None
    if wish.member == group.name:
        return Refuse(f"{wish.cluster} is the replication group; --cluster names a member: {', '.join(group.members)}")
    why = f"{wish.cluster} is no member of {group.name}; its members are {', '.join(group.members) or 'none'}"
    return Refuse(why, nearest(wish.member, group.members))


def _before(state: Cache, wish: RebootWish) -> Decision:
    if state.recent is None:
        return Look(EVENTS)
    if state.recent.unreadable:
        why = f"whether {wish.member} was rebooted a moment ago is told by events only: {state.recent.unreadable}"
        return Refuse(why, "elasticache:DescribeEvents must be allowed")
    lately = _restarts(state.recent, wish, state.recent.at - wish.cooldown)
    if len(lately) == len(wish.ids):
        last = max(lately.values(), key=lambda event: event.at)
        why = f"{wish.member} was rebooted within {format_span(wish.cooldown)}: ElastiCache says {last.line}"
        return Done(why, verdict_of(state))
    if state.nodes is None:
        return Look(NODES)
    return _unfit(state, wish) or _primary(state, wish) or Act(_reboot(state, wish))


def _unfit(state: Cache, wish: RebootWish) -> Decision | None:
    assert state.nodes  # noqa: S101 -- asked for by the caller
    status, shard = state.nodes.status(wish.member), _shard(state, wish)
    if status in REBOOTING:
        return Wait(f"{wish.member} is being rebooted already", POLL, CHECK)
    known = [node.id for node in shard.nodes if node.name == wish.member]
    strange = [number for number in wish.ids if number not in known]
    if strange:
        return Refuse(f"{wish.member} has no node {', '.join(strange)}; it has {', '.join(known)}", f"--node-ids {known[0]}")
    if status == AVAILABLE:
        return None
    said = status or state.nodes.unreadable or "not described"
    return Refuse(f"the status of {wish.member} is {said}: ElastiCache reboots only what is available")


def _primary(state: Cache, wish: RebootWish) -> Decision | None:
    shard = _shard(state, wish)
    node = shard.node(wish.member)
    if wish.force or node is None or node.role == "replica" or len(shard.nodes) == 1:
        return None
    why = f"{wish.member} is the {node.role or 'possible primary'} of {state.name}: its replicas would copy its emptiness"
    return Refuse(why, "inv recover.elasticache-failover --force --hosts ... first; --force reboots it all the same")


def _reboot(state: Cache, wish: RebootWish) -> Action:
    ids = ", ".join(wish.ids)
    role = next((node.role for node in _shard(state, wish).nodes if node.name == wish.member), "")
    return Action(
        key=f"{REBOOT} {wish.member} {ids}",
        effect=Effect.DESTROY,
        summary=f"reboot node {ids} of {wish.member} ({role or 'role not told'}): its contents are lost, and the misses go "
        "to the database",
        only_if=reboot_token(state),
        call=ApiCall(
            "elasticache", "RebootCacheCluster", {"CacheClusterId": wish.member, "CacheNodeIdsToReboot": list(wish.ids)}
        ),
        changes=(Change(f"contents of {wish.member}", "what is cached", "nothing"),),
        disturbs=True,
        budget="restart",
    )


def _after(state: Cache, memory: Memory[Cache, RebootGoal], wish: RebootWish) -> Decision:
    if state.recent is None:
        return Look(EVENTS)
    if state.nodes is None:
        return Look(NODES)
    status, after = state.nodes.status(wish.member), memory.goal.after
    if status != AVAILABLE:
        return Wait(f"{wish.member} is {status or 'not described'} after the reboot", POLL, CHECK)
    seen = {} if after is None else _restarts(state.recent, wish, after)
    if len(seen) < len(wish.ids):
        return Unknown(f"ElastiCache accepted the reboot of {wish.member}, and no event says that it took place")
    last = max(seen.values(), key=lambda event: event.at)
    return Done(f"{wish.member} was rebooted and is available: {last.line}", verdict_of(state), hold=wish.settle)


def _shard(state: Cache, wish: RebootWish) -> Shard:
    return next(shard for shard in state.group.shards if wish.member in shard.members)
