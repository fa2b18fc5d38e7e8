"""ElastiCache with what moto lacks: failovers, promotions, reboots, events, and the nodes of a replication group.

Refusals follow the API reference of each action and the ElastiCache user guide; codes that neither names are marked
unverified. The number of test failovers a day is the API reference's.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, ClassVar

from moto.core.responses import ActionResult
from moto.elasticache import models, urls
from moto.elasticache.exceptions import CacheClusterNotFound, ElastiCacheException, ReplicationGroupNotFound
from moto.elasticache.responses import ElastiCacheResponse

from crashcart.lab.aws.elasticache_group import AVAILABLE, NODE, REBOOTING, LabReplicationGroup, Shard
from crashcart.lab.aws.history import chosen, page
from crashcart.lab.aws.world import World

TESTS_A_DAY = 15
DAY = timedelta(hours=24)
OURS = frozenset({"PrimaryClusterId", "AutomaticFailoverEnabled", "MultiAZEnabled"})


class LabElastiCache(ElastiCacheResponse):
    """The API's actions that differ from moto's."""

    world: ClassVar[World]

    def test_failover(self) -> ActionResult:
        """TestFailover: 15 node groups in 24 hours, one node group of a replication group at a time."""
        group, name = self._group(), self._get_param("NodeGroupId")
        shard = group.shard(name)
        if shard is None:
            raise ElastiCacheException("NodeGroupNotFoundFault", f"Node group {name} not found.")
        self._need_steady(group)
        if group.automatic_failover != "enabled":  # the rule is the API reference's, the code unverified
            raise _group_state(f"Automatic failover is not enabled for replication group {group.replication_group_id}.")
        if not group.replicas(shard):  # unverified
            raise _group_state(f"Node group {name} has no replica.")
        self._count_test()
        group.test(shard)
        return ActionResult({"ReplicationGroup": group})

    def modify_replication_group(self) -> ActionResult:
        """ModifyReplicationGroup: a new primary, automatic failover and Multi-AZ take time; the rest is moto's."""
        group = self._group()
        primary = self._get_param("PrimaryClusterId")
        automatic, multi_az = self._get_bool_param("AutomaticFailoverEnabled"), self._get_bool_param("MultiAZEnabled")
        if primary is None and automatic is None and multi_az is None:
            return super().modify_replication_group()
        self._need_steady(group)
        shard = self._promotable(group, primary) if primary else None
        _check_settings(group, automatic, multi_az)
        if not self._get_bool_param("ApplyImmediately", False):
            # API reference: changes wait for the next maintenance window, or a failure. None comes in the lab.
            _note_pending(group, primary, automatic)
            return ActionResult({"ReplicationGroup": group})
        if shard is not None and primary != group.primaries[shard["node_group_id"]]:
            group.promote(shard, primary)
        if automatic is not None or multi_az is not None:
            group.change_settings(automatic_failover=automatic, multi_az=multi_az)
        return ActionResult({"ReplicationGroup": group})

    def describe_cache_clusters(self) -> ActionResult:
        """DescribeCacheClusters: the nodes of replication groups are cache clusters too."""
        wanted = self._get_param("CacheClusterId")
        alone = self._get_bool_param("ShowCacheClustersNotInReplicationGroups", False)
        shows_nodes = bool(self._get_bool_param("ShowCacheNodeInfo", False))
        members = {} if alone else {node["cache_cluster_id"]: (group, node) for group, node in self._members()}
        if wanted and wanted not in members:
            return super().describe_cache_clusters()
        described = [_cache_cluster(*one, shows_nodes) for name, one in members.items() if wanted in {None, name}]
        others = [] if wanted else list(self.elasticache_backend.describe_cache_clusters(None))
        found, marker = page([*others, *described], self.params, ElastiCacheException)
        return ActionResult({"CacheClusters": found, "Marker": marker})

    def reboot_cache_cluster(self) -> ActionResult:
        """RebootCacheCluster: not with cluster mode (API reference); the code of that refusal is unverified."""
        name, ids = self._get_param("CacheClusterId"), self._get_param("CacheNodeIdsToReboot", [])
        found = next(((group, node) for group, node in self._members() if node["cache_cluster_id"] == name), None)
        if found is None:
            raise CacheClusterNotFound(name)
        group, node = found
        if group.is_clustered:
            text = "Rebooting a cluster is not supported for Redis with cluster mode enabled."
            raise ElastiCacheException("InvalidParameterCombination", text)
        if not ids or set(ids) - {NODE}:  # unverified
            raise ElastiCacheException("InvalidParameterValue", f"{name} has the cache node {NODE} only, not {ids}.")
        if group.node_status(name) != AVAILABLE:
            raise ElastiCacheException("InvalidCacheClusterState", f"Cache cluster {name} is not in available state.")
        group.reboot(name)
        return ActionResult({"CacheCluster": _cache_cluster(group, node, shows_nodes=True)})

    def describe_events(self) -> ActionResult:
        """DescribeEvents: of a source or a type, for a span of time."""
        kind, name = self._get_param("SourceType"), self._get_param("SourceIdentifier")
        every = [event for group in self._groups() for event in group.events]
        events = [event for event in every if kind in {None, event.source_type} and name in {None, event.source_identifier}]
        told = chosen(events, self.params, self.world.now(), ElastiCacheException)
        found, marker = page(told, self.params, ElastiCacheException)
        return ActionResult({"Events": found, "Marker": marker})

    def describe_update_actions(self) -> ActionResult:
        """DescribeUpdateActions: nothing waits, unless a fault says so (API reference: UpdateAction)."""
        wanted = self._get_param("ReplicationGroupIds", [])
        statuses = self._get_param("UpdateActionStatus", [])
        names = [(group, str(group.replication_group_id)) for group in self._groups()]
        told = [(group, self.world.condition("elasticache.update", name)) for group, name in names]
        actions = [
            _update(group, status, self.world.now())
            for group, status in told
            if status and (not wanted or group.replication_group_id in wanted) and (not statuses or status in statuses)
        ]
        found, marker = page(actions, self.params, ElastiCacheException)
        return ActionResult({"UpdateActions": found, "Marker": marker})

    def _groups(self) -> list[LabReplicationGroup]:
        groups = self.elasticache_backend.replication_groups.values()
        return [group for group in groups if isinstance(group, LabReplicationGroup)]

    def _members(self) -> list[tuple[LabReplicationGroup, dict[str, Any]]]:
        return [(group, node) for group in self._groups() for node in group.nodes()]

    def _group(self) -> LabReplicationGroup:
        name = self._get_param("ReplicationGroupId")
        group = self.elasticache_backend.replication_groups.get(str(name).lower())
        if not isinstance(group, LabReplicationGroup):
            raise ReplicationGroupNotFound(name)
        return group

    def _need_steady(self, group: LabReplicationGroup) -> None:
        """API reference, TestFailover: within a replication group, one after the other has to be replaced."""
        if group.status != AVAILABLE or group.busy_shard or group.automatic_failover not in {"enabled", "disabled"}:
            raise _group_state(f"Replication group {group.replication_group_id} is not in available state.")

    def _promotable(self, group: LabReplicationGroup, name: str) -> Shard:
        """The node group of a replica that may be promoted: Multi-AZ and automatic failover are off (user guide)."""
        if group.is_clustered:  # the code is unverified
            text = "PrimaryClusterId is not supported for replication groups with cluster mode enabled."
            raise ElastiCacheException("InvalidParameterCombination", text)
        if group.has_automatic_failover or group.multi_az == "enabled":  # the code is unverified
            text = "A replica cannot be promoted while automatic failover or Multi-AZ is enabled."
            raise ElastiCacheException("InvalidParameterCombination", text)
        shard = group.node_groups[0]
        if name not in {node["cache_cluster_id"] for node in shard["node_group_members"]}:
            raise CacheClusterNotFound(name)
        if group.node_status(name) != AVAILABLE:
            raise ElastiCacheException("InvalidCacheClusterState", f"Cache cluster {name} is not in available state.")
        return dict_of(shard)

    def _count_test(self) -> None:
        """Count a test failover of this account. API reference: 15 node groups in any rolling 24 hours."""
        kept: list[datetime] = self.elasticache_backend.__dict__.setdefault("lab_tests", [])
        kept[:] = [moment for moment in kept if self.world.now() - moment < DAY]
        if len(kept) >= TESTS_A_DAY:
            text = f"The customer has exceeded the allowed rate of API calls: {TESTS_A_DAY} node groups in 24 hours."
            raise ElastiCacheException("APICallRateForCustomerExceeded", text)
        kept.append(self.world.now())


def dict_of(shard: Any) -> Shard:
    """Return a node group as moto keeps it: as a dictionary, which is changed in place."""
    if not isinstance(shard, dict):
        raise TypeError(f"a node group is expected, not {type(shard).__name__}")
    return shard


def _check_settings(group: LabReplicationGroup, automatic: bool | None, multi_az: bool | None) -> None:
    """Multi-AZ needs automatic failover, that needs a replica, and cluster mode needs both to stay (user guide)."""
    after_automatic = group.has_automatic_failover if automatic is None else automatic
    after_multi_az = group.multi_az == "enabled" if multi_az is None else multi_az
    if group.is_clustered and not after_automatic:
        text = "Turning off automatic failover for replication group with cluster mode enabled is not supported."
        raise ElastiCacheException("InvalidParameterCombination", text)
    if after_multi_az and not after_automatic:  # the text is unverified
        raise ElastiCacheException("InvalidParameterCombination", "Multi-AZ requires automatic failover to be enabled.")
    if automatic and not all(group.replicas(shard) for shard in group.node_groups):  # unverified
        raise ElastiCacheException("InvalidParameterValue", "Must have at least 1 replica for automatic failover.")


def _update(group: LabReplicationGroup, status: str, now: datetime) -> dict[str, Any]:
    return {
        "ReplicationGroupId": group.replication_group_id,
        "ServiceUpdateName": "elasticache-lab-update",
        "ServiceUpdateReleaseDate": now - timedelta(days=7),
        "ServiceUpdateSeverity": "important",
        "ServiceUpdateStatus": "available",
        "ServiceUpdateRecommendedApplyByDate": now + timedelta(days=7),
        "ServiceUpdateType": "security-update",
        "UpdateActionAvailableDate": now - timedelta(days=7),
        "UpdateActionStatus": status,
        "SlaMet": "yes",
        "Engine": group.engine,
    }


def _note_pending(group: LabReplicationGroup, primary: str | None, automatic: bool | None) -> None:
    if primary:
        group.pending_modified_values["PrimaryClusterId"] = primary
    if automatic is not None and automatic != group.has_automatic_failover:
        group.pending_modified_values["AutomaticFailoverStatus"] = "enabled" if automatic else "disabled"


def _group_state(text: str) -> ElastiCacheException:
    return ElastiCacheException("InvalidReplicationGroupState", text)


def _cache_cluster(group: LabReplicationGroup, node: dict[str, Any], shows_nodes: bool) -> dict[str, Any]:
    """A node of a replication group as a cache cluster."""
    name = node["cache_cluster_id"]
    status, zone = group.node_status(name), node["preferred_availability_zone"]
    applied = "pending-reboot" if name in group.await_reboot else "in-sync"
    described: dict[str, Any] = {
        "CacheClusterId": name,
        "CacheClusterStatus": status,
        "CacheNodeType": group.cache_node_type,
        "Engine": group.engine,
        "NumCacheNodes": 1,
        "PreferredAvailabilityZone": zone,
        "ReplicationGroupId": group.replication_group_id,
        "CacheClusterCreateTime": group.replication_group_create_time,
        "CacheParameterGroup": {"ParameterApplyStatus": applied, "CacheParameterGroupName": "default.redis7"},
        "ARN": group.arn.replace(f"replicationgroup:{group.replication_group_id}", f"cluster:{name}"),
    }
    if shows_nodes:
        described["CacheNodes"] = [
            {
                "CacheNodeId": NODE,
                "CacheNodeStatus": "rebooting" if status == REBOOTING else status,
                "CacheNodeCreateTime": group.replication_group_create_time,
                "CustomerAvailabilityZone": zone,
                "ParameterGroupStatus": applied,
            }
        ]
    return described


def install(world: World) -> None:
    """Put this behaviour into moto: the model of a replication group, and the class that answers."""
    LabReplicationGroup.world = LabElastiCache.world = world
    models.ReplicationGroup = LabReplicationGroup  # type: ignore[misc]
    urls.url_paths["{0}/$"] = LabElastiCache.dispatch
