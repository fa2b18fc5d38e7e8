"""The parts of RDS's answers that are read, under AWS's own names. A field without a default must be there."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import field


class Endpoint(msgspec.Struct, rename="pascal"):
    """Where an instance is reached; it has none while it is created."""

    address: str = ""


class StatusInfo(msgspec.Struct, rename="pascal"):
    """How replication to an instance is."""

    status_type: str = ""
    normal: bool = True
    status: str = ""
    message: str = ""

    @property
    def line(self) -> str:
        """The trouble in words."""
        return ": ".join(part for part in (self.status_type, self.status, self.message) if part)


class ListedInstance(msgspec.Struct):
    """A DB instance of ``DescribeDBInstances``."""

    name: str = field(name="DBInstanceIdentifier")
    status: str = field(name="DBInstanceStatus")
    db_class: str = field(name="DBInstanceClass")
    engine: str = field(name="Engine")
    multi_az: bool | None = field(name="MultiAZ", default=None)
    zone: str = field(name="AvailabilityZone", default="")
    secondary_zone: str = field(name="SecondaryAvailabilityZone", default="")
    replica_of: str = field(name="ReadReplicaSourceDBInstanceIdentifier", default="")
    replica_of_cluster: str = field(name="ReadReplicaSourceDBClusterIdentifier", default="")
    cluster: str = field(name="DBClusterIdentifier", default="")
    arn: str = field(name="DBInstanceArn", default="")
    endpoint: Endpoint = field(name="Endpoint", default_factory=Endpoint)
    pending: dict[str, Any] = field(name="PendingModifiedValues", default_factory=dict)
    status_infos: list[StatusInfo] = field(name="StatusInfos", default_factory=list)
    allocated: int = field(name="AllocatedStorage", default=0)
    grows_to: int = field(name="MaxAllocatedStorage", default=0)

    @property
    def changes(self) -> tuple[str, ...]:
        """The pending changes by name, with their values unless they are secret or long."""
        plain = str | int | float | bool
        return tuple(
            f"{name}={value}" if isinstance(value, plain) and "Password" not in name else name
            for name, value in sorted(self.pending.items())
        )


class InstanceAnswer(msgspec.Struct):
    """An answer of ``DescribeDBInstances``."""

    instances: list[ListedInstance] = field(name="DBInstances", default_factory=list)


class ListedMember(msgspec.Struct):
    """A member of a cluster; RDS's own default for the promotion tier is 1."""

    name: str = field(name="DBInstanceIdentifier")
    is_writer: bool = field(name="IsClusterWriter")
    tier: int = field(name="PromotionTier", default=1)


class ListedCluster(msgspec.Struct):
    """A DB cluster of ``DescribeDBClusters``."""

    name: str = field(name="DBClusterIdentifier")
    status: str = field(name="Status")
    engine: str = field(name="Engine")
    members: list[ListedMember] = field(name="DBClusterMembers")
    arn: str = field(name="DBClusterArn", default="")
    host: str = field(name="Endpoint", default="")


class ClusterAnswer(msgspec.Struct):
    """An answer of ``DescribeDBClusters``."""

    clusters: list[ListedCluster] = field(name="DBClusters")


class PendingAction(msgspec.Struct, rename="pascal"):
    """One maintenance action."""

    action: str
    description: str = ""
    current_apply_date: Any = None

    @property
    def line(self) -> str:
        """What is planned, and when, as far as it is told."""
        when = f" at {self.current_apply_date}" if self.current_apply_date else ""
        return f"{self.action}{when}"


class PendingResource(msgspec.Struct):
    """The maintenance of one resource."""

    actions: list[PendingAction] = field(name="PendingMaintenanceActionDetails", default_factory=list)


class PendingAnswer(msgspec.Struct):
    """An answer of ``DescribePendingMaintenanceActions``."""

    resources: list[PendingResource] = field(name="PendingMaintenanceActions", default_factory=list)
