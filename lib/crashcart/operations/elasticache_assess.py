"""How a replication group is, by the one fact that decides, and the command that would help."""

from __future__ import annotations

from crashcart.facts.elasticache import NODES, Cache, Group, Node, Shard
from crashcart.facts.elasticache_status import AVAILABLE, DISABLED
from crashcart.facts.rds_status import Standing
from crashcart.operations.base import Decision, Done, Fail, Look, Unknown
from crashcart.results import Verdict

RECOVER = "inv recover.elasticache-failover --hosts ..."
PROGRESS = "wait, then look again: inv check.elasticache --hosts ..."


def assess(state: Cache) -> Decision:
    """Judge the state as it is now; nothing is waited for."""
    group = state.group
    told = _assess_group(group) or next((found for found in map(_assess_shard, _with(group)) if found), None)
    if told:
        return told
    if state.nodes is None:
        return Look(NODES)
    return _assess_nodes(state) or Done(_shown(group), Verdict.HEALTHY)


def health_of(state: Cache) -> Verdict:
    """Return how the group is for who counts capacity, who has not looked at its nodes."""
    return Verdict.HEALTHY if isinstance(assess(state), Look) else verdict_of(state)


def verdict_of(state: Cache) -> Verdict:
    """Return how the group is, in one word; unknown where its nodes were not looked at and nothing else tells."""
    decision = assess(state)
    verdict = getattr(decision, "verdict", None)
    return verdict if isinstance(verdict, Verdict) else Verdict.UNKNOWN


def _with(group: Group) -> tuple[tuple[Group, Shard], ...]:
    return tuple((group, shard) for shard in group.shards)


def _assess_group(group: Group) -> Decision | None:
    if group.standing is Standing.UNKNOWN:
        return Unknown(f"ElastiCache calls {group.name} {group.status!r}, which is not known here")
    if group.standing is Standing.DOWN:
        return Fail(f"{group.name} is {group.status}", "", Verdict.DOWN)
    if not group.shards:
        return Unknown(f"ElastiCache shows no node group in {group.name}")
    if group.standing is Standing.MOVING or (group.status == AVAILABLE and not group.is_steady):
        return Fail(f"{group.name} is being changed ({group.status}; {group.settings})", PROGRESS, Verdict.DEGRADED)
    return None


def _assess_shard(found: tuple[Group, Shard]) -> Decision | None:
    group, shard = found
    if not group.is_clustered and shard.primary is None:
        said = f"{len(shard.primaries)} primaries" if shard.primaries else "no primary"
        return Unknown(f"ElastiCache shows {said} in {group.name}")
    if shard.status != AVAILABLE:
        return Fail(f"node group {shard.name} of {group.name} is {shard.status}", PROGRESS, Verdict.DEGRADED)
    return None


def _assess_nodes(state: Cache) -> Decision | None:
    group, nodes = state.group, state.nodes
    assert nodes  # noqa: S101 -- asked for by the caller
    standings = {name: nodes.standing(name) for name in group.members}
    sick = [f"{name} ({nodes.status(name)})" for name, how in standings.items() if how in {Standing.DOWN, Standing.MOVING}]
    down = [shard.primary.name for shard in group.shards if shard.primary and standings[shard.primary.name] is Standing.DOWN]
    if down:
        return Fail(f"{group.name}: the primary does not serve: {', '.join(sick)}", RECOVER, Verdict.DOWN)
    if sick:
        return Fail(f"{group.name}: not serving: {', '.join(sick)}", PROGRESS, Verdict.DEGRADED)
    if nodes.await_reboot:
        why = f"{group.name}: parameters of {', '.join(nodes.await_reboot)} take effect with a reboot, which empties a node"
        return Fail(
            why,
            f"inv recover.elasticache-reboot --cluster {nodes.await_reboot[0]} --node-ids 0001 --hosts ...",
            Verdict.DEGRADED,
        )
    unknown = [name for name, how in standings.items() if how is Standing.UNKNOWN]
    if unknown:
        said = nodes.unreadable or ", ".join(f"{name} {nodes.status(name) or 'not described'}" for name in unknown)
        return Unknown(f"{group.name} is {group.status}, which says nothing of its nodes, and these are not known: {said}")
    return None


def _shown(group: Group) -> str:
    if group.is_clustered:
        who = f"{len(group.shards)} node groups, {len(group.members)} nodes; roles are not told with cluster mode"
    else:
        shard = group.shards[0]
        who = f"primary {_names(shard.primaries)}, replicas {_names(shard.replicas)}"
    lonely = any(len(shard.nodes) < 2 for shard in group.shards)
    warning = "; nothing takes over by itself" if group.automatic_failover == DISABLED and not lonely else ""
    return f"{group.name}: {who}; {group.settings}{warning}{'; without a replica' if lonely else ''}"


def _names(nodes: tuple[Node, ...]) -> str:
    return ", ".join(node.name for node in nodes) or "none"
