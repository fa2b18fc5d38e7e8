"""An ElastiCache replication group as its API describes it, in one call: its node groups, its nodes, their roles.

Seed rows S3-3D, S3-3R1, S3-3R2, and defect 50: a group's members have ids of their own. Dearer facts are asked for by name:
``EVENTS``, ``LAG``, ``NODES``, ``TESTS``, ``RECOVERY``. What those cannot tell is kept as unknown; what describes the group
itself is read strictly or not at all. A failover need not show in the group's status.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from crashcart.decoding import convert, from_json
from crashcart.errors import Cancelled, CrashcartError, FactUnreadable, NoSuchResource
from crashcart.facts import elasticache_events, elasticache_lag
from crashcart.facts.elasticache_answers import ClusterAnswer, GroupAnswer, ListedCluster, ListedGroup, ListedShard, Pending
from crashcart.facts.elasticache_events import DAY, LONGEST, SHOWN, EventKind, Recent
from crashcart.facts.elasticache_lag import Lag
from crashcart.facts.elasticache_names import named_better
from crashcart.facts.elasticache_status import AVAILABLE, DISABLED, ENABLED, group_standing, node_standing
from crashcart.facts.rds_status import Standing
from crashcart.transports.base import ApiCall, CloudTransport

KIND = "elasticache_replication_group"

EVENTS, LAG, NODES = "recent events", "replication lag", "nodes"
TESTS, RECOVERY = "test failovers of a day", "nodes being replaced"
"""The dearer facts."""

_OURS = {"PrimaryClusterId", "AutomaticFailoverStatus"}


class Node(msgspec.Struct, frozen=True):
    """A node: a cache cluster of its own. ``role`` is empty with cluster mode, where the API does not tell it."""

    name: str
    role: str = ""
    zone: str = ""
    id: str = "0001"


class Shard(msgspec.Struct, frozen=True):
    """A node group."""

    name: str
    status: str
    nodes: tuple[Node, ...]

    @property
    def primaries(self) -> tuple[Node, ...]:
        """The nodes that are shown as primary: one, unless something is going on or roles are not told."""
        return tuple(node for node in self.nodes if node.role == "primary")

    @property
    def primary(self) -> Node | None:
        """The primary, if exactly one is shown."""
        return self.primaries[0] if len(self.primaries) == 1 else None

    @property
    def replicas(self) -> tuple[Node, ...]:
        """The nodes that are shown as something else than primary."""
        return tuple(node for node in self.nodes if node.role not in {"", "primary"})

    @property
    def members(self) -> tuple[str, ...]:
        """The names of all nodes."""
        return tuple(node.name for node in self.nodes)

    def node(self, name: str) -> Node | None:
        """Return the node of that name; ElastiCache knows names in lower case only."""
        return next((node for node in self.nodes if node.name == name.lower()), None)


class Group(msgspec.Struct, frozen=True):
    """A replication group. ``pending`` are changes that wait to be applied, other than a primary and automatic failover."""

    name: str
    status: str
    automatic_failover: str
    multi_az: str
    shards: tuple[Shard, ...]
    is_clustered: bool = False
    next_primary: str = ""
    next_automatic_failover: str = ""
    pending: tuple[str, ...] = ()
    arn: str = ""

    @property
    def place(self) -> str:
        """Its account and region, by its ARN; without one, what is known of it."""
        return ":".join(self.arn.split(":")[:5]) or self.name

    @property
    def standing(self) -> Standing:
        """How the group as a whole is."""
        return group_standing(self.status)

    @property
    def is_steady(self) -> bool:
        """Whether nothing is being changed, as far as is shown."""
        settled = self.automatic_failover in {ENABLED, DISABLED} and not (self.next_primary or self.next_automatic_failover)
        return settled and self.status == AVAILABLE

    @property
    def members(self) -> tuple[str, ...]:
        """The names of all nodes."""
        return tuple(name for shard in self.shards for name in shard.members)

    @property
    def settings(self) -> str:
        """What takes over by itself, in words."""
        return f"automatic failover {self.automatic_failover}, Multi-AZ {self.multi_az}"

    def has(self, *, automatic_failover: bool, multi_az: bool) -> bool:
        """Tell whether both settings are as said; one that is changing is neither on nor off."""
        wanted = (_word(automatic_failover), _word(multi_az))
        return (self.automatic_failover, self.multi_az) == wanted and not self.next_automatic_failover

    def shard(self, name: str) -> Shard | None:
        """Return the node group of that name, or the only one where none is named."""
        if not name:
            return self.shards[0] if len(self.shards) == 1 else None
        return next((shard for shard in self.shards if shard.name == name), None)


class Nodes(msgspec.Struct, frozen=True):
    """The status of nodes, by name: the worse one of a cache cluster's and of its node's. Missing ones are unknown.

    ``await_reboot`` are those whose new parameters take effect with a reboot only.
    """

    statuses: dict[str, str] = {}
    await_reboot: tuple[str, ...] = ()
    unreadable: str = ""

    def status(self, name: str) -> str:
        """Return a node's status; empty when it is not known."""
        return self.statuses.get(name, "")

    def standing(self, name: str) -> Standing:
        """Return how a node is."""
        return node_standing(self.status(name))


class Tests(msgspec.Struct, frozen=True):
    """How many ``TestFailover`` calls of the last 24 hours the events of this account and region tell of."""

    used: int = 0
    unreadable: str = ""


class Cache(msgspec.Struct, frozen=True):
    """A replication group as seen ``at`` this controller's time, and the dearer facts that were asked for (else None)."""

    group: Group
    at: float = 0.0
    recent: Recent | None = None
    lag: Lag | None = None
    nodes: Nodes | None = None
    tests: Tests | None = None
    recovery: Recent | None = None

    @property
    def name(self) -> str:
        """The group's identifier."""
        return self.group.name


def observe(transport: CloudTransport) -> Cache:
    """Describe the replication group. Raises ``FactUnreadable``, ``NoSuchResource`` and the transport's errors."""
    call = ApiCall("elasticache", "DescribeReplicationGroups", {"ReplicationGroupId": transport.resource})
    try:
        return msgspec.structs.replace(read({call.operation: transport.read(call)}), at=time.time())
    except NoSuchResource as error:
        raise named_better(transport, error) from error


def add(transport: CloudTransport, seen: Cache, looks: frozenset[str], shard: str = "", window: float = 0.0) -> Cache:
    """Add the dearer facts that ``looks`` names, lag for one node group; events reach ``window`` seconds back, or more."""
    group, found = seen.group, dict[str, Any]()
    if EVENTS in looks:
        # Without roles, the last failover is all that tells of a primary.
        reach = LONGEST if group.is_clustered else window
        found["recent"] = elasticache_events.observe(transport, "replication-group", [group.name], reach)
    if LAG in looks:
        chosen = group.shard(shard)
        nodes = (chosen.replicas or chosen.nodes) if chosen else ()
        found["lag"] = elasticache_lag.observe(transport, [(node.name, node.id) for node in nodes])
    if NODES in looks:
        found["nodes"] = _nodes(transport, group)
    if TESTS in looks:
        found["tests"] = _tests(transport)
    if RECOVERY in looks:
        replaced = _replaced(group, found.get("recent", seen.recent))
        found["recovery"] = elasticache_events.observe(transport, "cache-cluster", replaced, 0.0)
    return msgspec.structs.replace(seen, **found)


def parse(stdout: bytes) -> Cache:
    """Read the answers of the describing calls from JSON, by the calls' names. Raises ``FactUnreadable``."""
    return read(from_json(stdout))


def read(answers: Mapping[str, Any]) -> Cache:
    """Read the answers of the describing calls, by the calls' names. Raises ``FactUnreadable``."""
    groups = _convert(answers.get("DescribeReplicationGroups"), GroupAnswer, "DescribeReplicationGroups").groups
    if len(groups) != 1:
        raise FactUnreadable(f"DescribeReplicationGroups was asked about one group and describes {len(groups)}")
    group = _group(groups[0])
    clusters = answers.get("DescribeCacheClusters")
    return Cache(group) if clusters is None else Cache(group, nodes=read_nodes(clusters, group))


def read_nodes(answer: Any, group: Group) -> Nodes:
    """Read the status of a group's nodes from an answer of ``DescribeCacheClusters``. Raises ``FactUnreadable``."""
    clusters = _convert(answer, ClusterAnswer, "DescribeCacheClusters").cache_clusters
    ours = [cluster for cluster in clusters if cluster.cache_cluster_id in group.members]
    waiting = [cluster for cluster in ours if cluster.cache_parameter_group.parameter_apply_status == "pending-reboot"]
    return Nodes(
        {cluster.cache_cluster_id: _status(cluster) for cluster in ours},
        tuple(cluster.cache_cluster_id for cluster in waiting),
    )


def _nodes(transport: CloudTransport, group: Group) -> Nodes:
    """Ask for all cache clusters: the API names no group's, and one list is fewer calls than one for each node."""
    call = ApiCall("elasticache", "DescribeCacheClusters", {"ShowCacheNodeInfo": True})
    try:
        return read_nodes(transport.read(call), group)
    except Cancelled:
        raise
    except CrashcartError as error:
        return Nodes(unreadable=error.message[:SHOWN])


def _tests(transport: CloudTransport) -> Tests:
    told = elasticache_events.observe(transport, "replication-group", [""], DAY, kept=10_000)
    return Tests(sum(event.kind is EventKind.CALLED for event in told.within(DAY)), told.unreadable)


def _replaced(group: Group, recent: Recent | None) -> Sequence[str]:
    """Name the nodes that recent failovers took the primary's role from: they are the ones that are replaced."""
    told = recent.within(elasticache_events.UNDER_WAY) if recent else ()
    old = [event.of for event in told if event.kind is EventKind.COMPLETED]
    return [name for name in dict.fromkeys(old) if name in group.members]


def _group(listed: ListedGroup) -> Group:
    pending = _convert(listed.pending, Pending, "DescribeReplicationGroups")
    return Group(
        name=listed.name,
        status=listed.status,
        automatic_failover=listed.automatic_failover,
        multi_az=listed.multi_az,
        shards=tuple(_shard(shard) for shard in listed.shards),
        is_clustered=listed.clustered or listed.cluster_mode != DISABLED,
        next_primary=pending.primary,
        next_automatic_failover=pending.automatic_failover,
        pending=tuple(sorted(name for name, value in listed.pending.items() if name not in _OURS and value)),
        arn=listed.arn,
    )


def _shard(listed: ListedShard) -> Shard:
    nodes = tuple(
        Node(node.cache_cluster_id, node.current_role, node.preferred_availability_zone, node.cache_node_id)
        for node in listed.node_group_members
    )
    return Shard(listed.node_group_id, listed.status, nodes)


def _status(cluster: ListedCluster) -> str:
    nodes = [node.cache_node_status for node in cluster.cache_nodes if node.cache_node_status != AVAILABLE]
    return nodes[0] if cluster.cache_cluster_status == AVAILABLE and nodes else cluster.cache_cluster_status


def _word(on: bool) -> str:
    return ENABLED if on else DISABLED


def _convert(answer: Any, kind: type[Any], call: str) -> Any:
    try:
        return convert(answer, kind, strict=False)
    except msgspec.ValidationError as error:
        raise FactUnreadable(f"the answer of {call} lacks what is needed: {error}") from error
