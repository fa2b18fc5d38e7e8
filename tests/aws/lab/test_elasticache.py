"""Contract tests of the emulator's ElastiCache: promotions, test failovers, reboots, events."""

from __future__ import annotations

from typing import Any

import pytest

from tests.aws.lab.refusals import measured, refused
from tests.emulator import Emulator

LONG = 60.0
DAY = 86400.0
TEST = {"ReplicationGroupId": "lab-redis-cluster", "NodeGroupId": "0001"}
PROMOTE = {"ReplicationGroupId": "lab-redis", "PrimaryClusterId": "lab-redis-002", "ApplyImmediately": True}
OFF = {
    "ReplicationGroupId": "lab-redis",
    "AutomaticFailoverEnabled": False,
    "MultiAZEnabled": False,
    "ApplyImmediately": True,
}


@pytest.fixture
def cache(caches: Emulator) -> Any:
    return caches.client("elasticache")


def group(cache: Any, name: str = "lab-redis") -> Any:
    return cache.describe_replication_groups(ReplicationGroupId=name)["ReplicationGroups"][0]


def primary(cache: Any) -> list[str]:
    members = group(cache)["NodeGroups"][0]["NodeGroupMembers"]
    return [member["CacheClusterId"] for member in members if member["CurrentRole"] == "primary"]


def settings(cache: Any) -> tuple[str, str, str]:
    found = group(cache)
    return found["Status"], found["AutomaticFailover"], found["MultiAZ"]


def events(cache: Any, kind: str, name: str, **span: Any) -> list[str]:
    return [one["Message"] for one in cache.describe_events(SourceType=kind, SourceIdentifier=name, **span)["Events"]]


def node(cache: Any, name: str) -> tuple[str, str]:
    (found,) = cache.describe_cache_clusters(CacheClusterId=name, ShowCacheNodeInfo=True)["CacheClusters"]
    (inside,) = found["CacheNodes"]
    assert inside["CacheNodeId"] == "0001"
    return found["CacheClusterStatus"], inside["CacheNodeStatus"]


def test_the_account_is_seeded(cache: Any) -> None:
    assert primary(cache) == ["lab-redis-001"]
    assert settings(cache) == ("available", "enabled", "enabled")
    zones = [member["PreferredAvailabilityZone"] for member in group(cache)["NodeGroups"][0]["NodeGroupMembers"]]
    assert zones == ["us-east-1a", "us-east-1b", "us-east-1c"]
    clustered = group(cache, "lab-redis-cluster")
    assert clustered["ClusterEnabled"] is True
    assert [shard["NodeGroupId"] for shard in clustered["NodeGroups"]] == ["0001", "0002"]
    assert not any("CurrentRole" in member for shard in clustered["NodeGroups"] for member in shard["NodeGroupMembers"])


def test_the_nodes_of_groups_are_cache_clusters(cache: Any) -> None:
    found = cache.describe_cache_clusters()["CacheClusters"]
    assert len(found) == 9
    assert "CacheNodes" not in found[0]
    assert {one["ReplicationGroupId"] for one in found} == {"lab-redis", "lab-redis-cluster"}
    assert node(cache, "lab-redis-002") == ("available", "available")
    assert cache.describe_cache_clusters(ShowCacheClustersNotInReplicationGroups=True)["CacheClusters"] == []
    assert refused(cache.describe_cache_clusters, CacheClusterId="lab-redis") == ("CacheClusterNotFound", 404)


def test_a_promotion_needs_both_settings_off_and_switching_takes_time(caches: Emulator, cache: Any) -> None:
    assert refused(cache.modify_replication_group, **PROMOTE)[0] == "InvalidParameterCombination"
    cache.modify_replication_group(**OFF)
    assert settings(cache) == ("modifying", "disabling", "enabled")
    assert group(cache)["PendingModifiedValues"] == {"AutomaticFailoverStatus": "disabled"}
    assert refused(cache.modify_replication_group, **PROMOTE)[0] == "InvalidReplicationGroupState"
    caches.advance(1.0)
    assert settings(cache) == ("available", "disabled", "disabled")
    assert group(cache)["PendingModifiedValues"] == {}
    cache.modify_replication_group(**PROMOTE)
    assert (settings(cache)[0], primary(cache)) == ("modifying", ["lab-redis-001"])
    assert group(cache)["PendingModifiedValues"] == {"PrimaryClusterId": "lab-redis-002"}
    caches.advance(1.5)
    assert (settings(cache)[0], primary(cache)) == ("available", ["lab-redis-002"])
    assert events(cache, "replication-group", "lab-redis") == [
        "Failover from primary node lab-redis-001 to replica node lab-redis-002 completed"
    ]
    cache.modify_replication_group(**OFF | {"AutomaticFailoverEnabled": True, "MultiAZEnabled": True})
    assert settings(cache) == ("modifying", "enabling", "disabled")
    caches.advance(1.0)
    assert settings(cache) == ("available", "enabled", "enabled")


def test_settings_exclude_each_other_as_on_aws(cache: Any) -> None:
    only_off = {"ReplicationGroupId": "lab-redis", "AutomaticFailoverEnabled": False, "ApplyImmediately": True}
    assert refused(cache.modify_replication_group, **only_off)[0] == "InvalidParameterCombination"
    clustered = OFF | {"ReplicationGroupId": "lab-redis-cluster"}
    assert refused(cache.modify_replication_group, **clustered)[0] == "InvalidParameterCombination"
    missing = OFF | {"ReplicationGroupId": "lab-rediss"}
    assert refused(cache.modify_replication_group, **missing) == ("ReplicationGroupNotFoundFault", 404)
    assert settings(cache) == ("available", "enabled", "enabled")


def test_a_promotion_is_of_a_node_of_the_group_and_not_with_cluster_mode(caches: Emulator, cache: Any) -> None:
    cache.modify_replication_group(**OFF)
    caches.advance(LONG)
    stranger = PROMOTE | {"PrimaryClusterId": "lab-redis-009"}
    assert refused(cache.modify_replication_group, **stranger)[0] == "CacheClusterNotFound"
    clustered = PROMOTE | {"ReplicationGroupId": "lab-redis-cluster", "PrimaryClusterId": "lab-redis-cluster-0001-002"}
    assert refused(cache.modify_replication_group, **clustered)[0] == "InvalidParameterCombination"
    cache.modify_replication_group(**PROMOTE | {"PrimaryClusterId": "lab-redis-001"})
    assert (settings(cache)[0], primary(cache)) == ("available", ["lab-redis-001"])


def test_without_apply_immediately_changes_wait(caches: Emulator, cache: Any) -> None:
    cache.modify_replication_group(**OFF | {"ApplyImmediately": False})
    caches.advance(LONG)
    assert settings(cache) == ("available", "enabled", "enabled")
    assert group(cache)["PendingModifiedValues"] == {"AutomaticFailoverStatus": "disabled"}


def test_other_changes_are_made_at_once(cache: Any) -> None:
    cache.modify_replication_group(ReplicationGroupId="lab-redis", ReplicationGroupDescription="changed")
    assert group(cache)["Description"] == "changed"


def test_a_test_failover_shows_in_roles_and_events_only(caches: Emulator, cache: Any) -> None:
    answer = cache.test_failover(ReplicationGroupId="lab-redis", NodeGroupId="0001")
    assert answer["ReplicationGroup"]["Status"] == "available"
    assert (settings(cache)[0], primary(cache)) == ("available", ["lab-redis-001"])
    caches.advance(1.5)
    assert (settings(cache)[0], primary(cache)) == ("available", ["lab-redis-002"])
    assert node(cache, "lab-redis-001")[0] == "creating"
    caches.advance(3.0)
    assert node(cache, "lab-redis-001")[0] == "available"
    completed = "Failover from primary node lab-redis-001 to replica node lab-redis-002 completed"
    called = "Test Failover API called for node group 0001"
    told = [one["Message"] for one in cache.describe_events()["Events"]]
    recovered = ["Recovering cache nodes lab-redis-001", "Finished recovery for cache nodes lab-redis-001"]
    assert told == [called, completed, completed, *recovered]
    assert events(cache, "replication-group", "lab-redis") == [called, completed]


def test_with_cluster_mode_only_events_tell(caches: Emulator, cache: Any) -> None:
    before = group(cache, "lab-redis-cluster")
    cache.test_failover(**TEST)
    caches.advance(LONG)
    assert group(cache, "lab-redis-cluster") == before
    assert events(cache, "replication-group", "lab-redis-cluster")[-1] == (
        "Failover from primary node lab-redis-cluster-0001-001 to replica node lab-redis-cluster-0001-002 completed"
    )


def test_the_replica_that_lags_least_becomes_the_primary(caches: Emulator, cache: Any) -> None:
    caches.fault("aws.lag", resource="lab-redis-002", value="7")
    cache.test_failover(ReplicationGroupId="lab-redis", NodeGroupId="0001")
    caches.advance(LONG)
    assert primary(cache) == ["lab-redis-003"]


def test_one_node_group_after_the_other_and_different_groups_at_once(caches: Emulator, cache: Any) -> None:
    cache.test_failover(**TEST)
    second = TEST | {"NodeGroupId": "0002"}
    assert refused(cache.test_failover, **second)[0] == "InvalidReplicationGroupState"
    cache.test_failover(ReplicationGroupId="lab-redis", NodeGroupId="0001")
    caches.advance(1.5)
    assert refused(cache.test_failover, **second)[0] == "InvalidReplicationGroupState"
    caches.advance(3.0)
    cache.test_failover(**second)


def test_the_quota_is_15_node_groups_in_any_24_hours(caches: Emulator, cache: Any) -> None:
    for _ in range(15):
        cache.test_failover(**TEST)
        caches.advance(LONG)
    assert refused(cache.test_failover, **TEST) == ("APICallRateForCustomerExceeded", 400)
    caches.advance(DAY - 15 * LONG)
    cache.test_failover(**TEST)
    caches.advance(1)
    assert refused(cache.test_failover, **TEST)[0] == "InvalidReplicationGroupState"
    caches.advance(10)
    assert refused(cache.test_failover, **TEST)[0] == "APICallRateForCustomerExceeded"


def test_test_failovers_that_cannot_be_are_refused(caches: Emulator, cache: Any) -> None:
    assert refused(cache.test_failover, **TEST | {"NodeGroupId": "0009"}) == ("NodeGroupNotFoundFault", 404)
    assert refused(cache.test_failover, **TEST | {"ReplicationGroupId": "no"})[0] == "ReplicationGroupNotFoundFault"
    cache.modify_replication_group(**OFF)
    caches.advance(LONG)
    off = {"ReplicationGroupId": "lab-redis", "NodeGroupId": "0001"}
    assert refused(cache.test_failover, **off)[0] == "InvalidReplicationGroupState"


def test_a_failover_may_never_end_until_the_fault_is_cleared(caches: Emulator, cache: Any) -> None:
    caches.fault("aws.failover-stuck", resource="lab-redis")
    cache.test_failover(ReplicationGroupId="lab-redis", NodeGroupId="0001")
    caches.advance(3600)
    assert primary(cache) == ["lab-redis-001"]
    caches.clear_faults()
    caches.advance(1)
    assert primary(cache) == ["lab-redis-002"]


def test_a_reboot_takes_time(caches: Emulator, cache: Any) -> None:
    wanted = {"CacheClusterId": "lab-redis-002", "CacheNodeIdsToReboot": ["0001"]}
    answer = cache.reboot_cache_cluster(**wanted)
    assert answer["CacheCluster"]["CacheClusterStatus"] == "rebooting cluster nodes"
    assert node(cache, "lab-redis-002") == ("rebooting cluster nodes", "rebooting")
    assert refused(cache.reboot_cache_cluster, **wanted)[0] == "InvalidCacheClusterState"
    caches.advance(1.5)
    assert node(cache, "lab-redis-002") == ("available", "available")
    assert events(cache, "cache-cluster", "lab-redis-002") == ["Cache node 0001 restarted"]


@pytest.mark.parametrize(
    ("name", "ids", "code"),
    [
        ("lab-redis-cluster-0001-001", ["0001"], "InvalidParameterCombination"),
        ("lab-redis-001", ["0002"], "InvalidParameterValue"),
        ("lab-redis", ["0001"], "CacheClusterNotFound"),
    ],
)
def test_reboots_that_cannot_be_are_refused(cache: Any, name: str, ids: list[str], code: str) -> None:
    assert refused(cache.reboot_cache_cluster, CacheClusterId=name, CacheNodeIdsToReboot=ids)[0] == code


def test_events_are_asked_for_by_time(caches: Emulator, cache: Any) -> None:
    cache.test_failover(**TEST)
    caches.advance(2 * 3600)
    assert cache.describe_events()["Events"] == []
    assert len(cache.describe_events(Duration=180)["Events"]) == 5


def test_replicas_have_a_lag_and_primaries_have_none(caches: Emulator) -> None:
    def lag(name: str) -> list[float]:
        return measured(caches, "AWS/ElastiCache", "ReplicationLag", CacheClusterId=name, CacheNodeId="0001")

    assert set(lag("lab-redis-002")) == set(lag("lab-redis-cluster-0002-003")) == {0.1}
    assert lag("lab-redis-001") == lag("lab-redis-cluster-0002-001") == []
    caches.fault("aws.lag", resource="lab-redis-002", value="unknown")
    assert lag("lab-redis-002") == []
