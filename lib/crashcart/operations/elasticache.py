"""``elasticache.failover`` moves a node group to another primary, once; ``settings``, ``reboot`` and ``assess`` go with it.

Seed rows S3-3D, S3-3R1, S3-3R2, defects 6, 7 and 50. With cluster mode disabled a failover is one operation of up to three
acts in one loop: switch off what forbids a promotion, promote the pinned replica, switch it on again. One operation, because
what was remembered is then in one journaled pin that a resumed run goes on from; and the first act carries the undo that
puts both settings back, which the engine runs in whatever way the step fails, also in another process.
"""

from __future__ import annotations

from crashcart.errors import FactUnreadable
from crashcart.facts import elasticache, elasticache_events
from crashcart.facts.elasticache import KIND, NODES, Cache
from crashcart.facts.elasticache_events import EventKind
from crashcart.operations.aws_calls import reads, writes
from crashcart.operations.base import Action, CloudOperation, Decision, Memory, NoGoal, Unknown
from crashcart.operations.elasticache_acts import act_seen, token_of
from crashcart.operations.elasticache_after import after
from crashcart.operations.elasticache_assess import assess, health_of
from crashcart.operations.elasticache_before import BEFORE
from crashcart.operations.elasticache_evidence import failover_calls, gather, reboot_calls
from crashcart.operations.elasticache_reboot import decide_reboot, reboot_seen, reboot_token
from crashcart.operations.elasticache_scene import Scene, first_of
from crashcart.operations.elasticache_settings import decide_settings
from crashcart.operations.elasticache_wish import (
    AssessWish,
    FailoverGoal,
    FailoverWish,
    RebootGoal,
    RebootWish,
    SettingsWish,
    called_for,
    make_goal,
)
from crashcart.results import Verdict
from crashcart.transports.base import CloudTransport

SETTLE = 60.0
_GROUPS = reads("elasticache:DescribeReplicationGroups", "replicationgroup:*")
_CLUSTERS = reads("elasticache:DescribeCacheClusters", "cluster:*")
_EVENTS = reads("elasticache:DescribeEvents")
_SETTINGS = writes("elasticache:ModifyReplicationGroup", "replicationgroup:{names}")


class FailOver(CloudOperation[FailoverWish, Cache, FailoverGoal]):
    """Moves a node group to another primary, at most once, and leaves Multi-AZ and automatic failover as they were.

    Refuses while the primary works or nobody can tell, unless forced; within the cooldown of the last failover; in the
    middle of a change; without a replica that is available; when the replica is further behind than allowed, or nobody
    knows how far; several node groups at once; and a TestFailover beyond AWS's quota, or where automatic failover is
    off. What it switched off on the way is put back by ``elasticache.settings``; the failover itself cannot be taken
    back.
    """

    name = "elasticache.failover"
    kinds = (KIND,)
    settle = SETTLE
    calls = (
        _GROUPS,
        _CLUSTERS,
        _EVENTS,
        reads("cloudwatch:GetMetricData"),
        _SETTINGS,
        writes("elasticache:TestFailover", "replicationgroup:{names}"),
    )
    undone_by = ("elasticache.settings",)
    wish, state, goal_type = FailoverWish, Cache, FailoverGoal

    def observe(self, transport: CloudTransport, wish: FailoverWish, looks: frozenset[str]) -> Cache:
        """Describe the group, with the dearer facts that are asked for or that what is seen calls for.

        Raises ``FactUnreadable``, ``NoSuchResource`` and the transport's errors.
        """
        seen = elasticache.observe(transport)
        asked: frozenset[str] = frozenset()
        while missing := (looks | called_for(seen, wish)) - asked:
            seen = elasticache.add(transport, seen, missing, wish.shard, wish.cooldown)
            asked |= missing
        return seen

    def goal(self, pin: Cache, wish: FailoverWish) -> FailoverGoal:
        """Pin the primary that is not wanted any more, the one that is, and both settings."""
        return make_goal(pin, wish)

    def decide(self, state: Cache, memory: Memory[Cache, FailoverGoal], wish: FailoverWish) -> Decision:
        """Judge by the rules for what has been done so far."""
        scene = Scene(state, memory, wish)
        decision = first_of(after(scene) if memory.acted else BEFORE, scene)
        return decision or Unknown(f"{state.name} is {state.group.status}")

    def token(self, state: Cache) -> str:
        """Name the state that an act is decided from."""
        return token_of(state)

    def effect_seen(self, state: Cache, action: Action) -> bool:
        """See a change under way, or what it led to."""
        return act_seen(state, action)

    def health(self, state: Cache, wish: FailoverWish) -> Verdict:
        """Say how the group is, as far as it was looked at."""
        return health_of(state)

    def spent(self, transport: CloudTransport, wish: FailoverWish, window: float) -> int:
        """Count the failovers of the group that events tell of. Raises ``FactUnreadable`` and the transport's errors."""
        told = elasticache_events.observe(transport, "replication-group", [transport.resource], window)
        if told.unreadable:
            raise FactUnreadable(told.unreadable)
        return sum(event.kind is EventKind.COMPLETED for event in told.within(window))

    def gather(self, transport: CloudTransport, action: Action, wish: FailoverWish) -> bytes:
        """Keep descriptions and the events of an hour before the first act; nothing may hold up what follows it."""
        return gather(transport, failover_calls(transport.resource)) if action.budget else b""


class SetSettings(CloudOperation[SettingsWish, Cache, NoGoal]):
    """Puts automatic failover and Multi-AZ where they shall be; ``elasticache.failover`` takes back its switching off so.

    Refuses a group with cluster mode, where automatic failover cannot be switched off, and one without a replica in each
    node group, where it cannot be switched on.
    """

    name = "elasticache.settings"
    kinds = (KIND,)
    settle = SETTLE
    calls = (_GROUPS, _SETTINGS)
    wish, state, goal_type = SettingsWish, Cache, NoGoal

    def observe(self, transport: CloudTransport, wish: SettingsWish, looks: frozenset[str]) -> Cache:
        """Describe the group. Raises ``FactUnreadable``, ``NoSuchResource`` and the transport's errors."""
        return elasticache.observe(transport)

    def goal(self, pin: Cache, wish: SettingsWish) -> NoGoal:
        """The wish is absolute."""
        return NoGoal()

    def decide(self, state: Cache, memory: Memory[Cache, NoGoal], wish: SettingsWish) -> Decision:
        """Judge the settings as they are now."""
        return decide_settings(state, memory, wish)

    def token(self, state: Cache) -> str:
        """Name the state that the change is decided from."""
        return token_of(state)

    def effect_seen(self, state: Cache, action: Action) -> bool:
        """See the change under way, or made."""
        return act_seen(state, action)

    def health(self, state: Cache, wish: SettingsWish) -> Verdict:
        """Say how the group is, as far as it was looked at."""
        return health_of(state)


class RebootNodes(CloudOperation[RebootWish, Cache, RebootGoal]):
    """Reboots nodes of one member, which empties them; at most once.

    Refuses groups with cluster mode, which ElastiCache does not reboot; a primary, whose replicas would copy its
    emptiness, unless forced; a member or a node that is none, or is not available; and when no events tell whether it
    was rebooted a moment ago. What is lost cannot be taken back, so it is confirmed first.
    """

    name = "elasticache.reboot"
    kinds = (KIND,)
    settle = SETTLE
    calls = (_GROUPS, _CLUSTERS, _EVENTS, writes("elasticache:RebootCacheCluster", "cluster:{names}"))
    wish, state, goal_type = RebootWish, Cache, RebootGoal

    def observe(self, transport: CloudTransport, wish: RebootWish, looks: frozenset[str]) -> Cache:
        """Describe the group and what was told of the member's restarts; the nodes where they are asked for.

        Raises ``FactUnreadable``, ``NoSuchResource`` and the transport's errors.
        """
        seen = elasticache.observe(transport)
        if seen.group.is_clustered or wish.member not in seen.group.members:
            return seen
        recent = elasticache_events.observe(transport, "cache-cluster", [wish.member], wish.cooldown)
        seen = elasticache.add(transport, seen, looks & {NODES})
        return Cache(seen.group, seen.at, recent=recent, nodes=seen.nodes)

    def goal(self, pin: Cache, wish: RebootWish) -> RebootGoal:
        """Pin when the last restart was."""
        return RebootGoal(pin.recent.newest if pin.recent else None)

    def decide(self, state: Cache, memory: Memory[Cache, RebootGoal], wish: RebootWish) -> Decision:
        """Judge by what forbids it, then by what was told of restarts."""
        return decide_reboot(state, memory, wish)

    def token(self, state: Cache) -> str:
        """Name the state that a reboot is decided from."""
        return reboot_token(state)

    def effect_seen(self, state: Cache, action: Action) -> bool:
        """See the reboot under way, or done."""
        return reboot_seen(state, action)

    def health(self, state: Cache, wish: RebootWish) -> Verdict:
        """Say how the group is, as far as it was looked at."""
        return health_of(state)

    def gather(self, transport: CloudTransport, action: Action, wish: RebootWish) -> bytes:
        """Keep descriptions and the events of an hour; without any of them the reboot is not done."""
        return gather(transport, reboot_calls(transport.resource, wish.member))

    def needs_consent(self, wish: RebootWish) -> str:
        """Say what the reboot costs."""
        return (
            f"rebooting {wish.member} empties node {', '.join(wish.ids)}: whatever it holds is lost for good (also queues, "
            "sessions and locks), and every miss goes to the database at once until it is warm again (a stampede)"
        )


class AssessGroup(CloudOperation[AssessWish, Cache, NoGoal]):
    """Says whether a replication group is healthy, degraded or down; changes nothing."""

    name = "elasticache.assess"
    kinds = (KIND,)
    reads_only = True
    calls = (_GROUPS, _CLUSTERS)
    wish, state, goal_type = AssessWish, Cache, NoGoal

    def observe(self, transport: CloudTransport, wish: AssessWish, looks: frozenset[str]) -> Cache:
        """Describe the group and its nodes. Raises ``FactUnreadable`` and the transport's errors."""
        return elasticache.add(transport, elasticache.observe(transport), looks | {NODES})

    def goal(self, pin: Cache, wish: AssessWish) -> NoGoal:
        """There is none."""
        return NoGoal()

    def decide(self, state: Cache, memory: Memory[Cache, NoGoal], wish: AssessWish) -> Decision:
        """Judge the state as it is now."""
        return assess(state)

    def health(self, state: Cache, wish: AssessWish) -> Verdict:
        """Say how the group is, as far as it was looked at."""
        return health_of(state)
