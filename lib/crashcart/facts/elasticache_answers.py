"""The parts of ElastiCache's answers that are read, under AWS's own names. A field without a default must be there."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import field


class ListedNode(msgspec.Struct, rename="pascal"):
    """A node of a node group; its role is told with cluster mode disabled only."""

    cache_cluster_id: str
    cache_node_id: str = "0001"
    current_role: str = ""
    preferred_availability_zone: str = ""


class ListedShard(msgspec.Struct, rename="pascal"):
    """A node group."""

    node_group_id: str
    status: str
    node_group_members: list[ListedNode] = []


class Pending(msgspec.Struct):
    """Changes that have been asked for and are not made yet."""

    primary: str = field(name="PrimaryClusterId", default="")
    automatic_failover: str = field(name="AutomaticFailoverStatus", default="")


class ListedGroup(msgspec.Struct):
    """A replication group of ``DescribeReplicationGroups``."""

    name: str = field(name="ReplicationGroupId")
    status: str = field(name="Status")
    automatic_failover: str = field(name="AutomaticFailover")
    multi_az: str = field(name="MultiAZ")
    shards: list[ListedShard] = field(name="NodeGroups")
    clustered: bool = field(name="ClusterEnabled", default=False)
    cluster_mode: str = field(name="ClusterMode", default="disabled")
    pending: dict[str, Any] = field(name="PendingModifiedValues", default_factory=dict)
    arn: str = field(name="ARN", default="")


class GroupAnswer(msgspec.Struct):
    """An answer of ``DescribeReplicationGroups``."""

    groups: list[ListedGroup] = field(name="ReplicationGroups")


class ListedCacheNode(msgspec.Struct, rename="pascal"):
    """A node within its cache cluster."""

    cache_node_id: str
    cache_node_status: str


class ParameterGroup(msgspec.Struct, rename="pascal"):
    """Whether a cluster has its parameters, and which nodes have to be rebooted for them."""

    parameter_apply_status: str = ""
    cache_node_ids_to_reboot: list[str] = []


class ListedCluster(msgspec.Struct, rename="pascal"):
    """A cache cluster of ``DescribeCacheClusters``: with Redis OSS and Valkey, one node of a replication group."""

    cache_cluster_id: str
    cache_cluster_status: str
    replication_group_id: str = ""
    cache_nodes: list[ListedCacheNode] = []
    cache_parameter_group: ParameterGroup = field(default_factory=ParameterGroup)


class ClusterAnswer(msgspec.Struct, rename="pascal"):
    """An answer of ``DescribeCacheClusters``."""

    cache_clusters: list[ListedCluster]
