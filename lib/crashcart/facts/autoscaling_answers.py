"""The parts of Auto Scaling's answers that are read, under AWS's own names. A field without a default must be there."""

from __future__ import annotations

from datetime import datetime

import msgspec
from msgspec import field


class ListedInstance(msgspec.Struct, rename="pascal"):
    """A member of a group."""

    instance_id: str
    lifecycle_state: str
    health_status: str
    availability_zone: str = ""
    protected_from_scale_in: bool = False


class SuspendedProcess(msgspec.Struct, rename="pascal"):
    """A process that a person, or AWS itself, has suspended."""

    process_name: str
    suspension_reason: str = ""


class ListedGroup(msgspec.Struct, rename="pascal"):
    """A group of ``DescribeAutoScalingGroups``."""

    auto_scaling_group_name: str
    min_size: int
    max_size: int
    desired_capacity: int
    health_check_type: str
    instances: list[ListedInstance] = []
    target_group_arns: list[str] = field(name="TargetGroupARNs", default_factory=list)
    suspended_processes: list[SuspendedProcess] = []
    status: str | None = None


class GroupAnswer(msgspec.Struct):
    """An answer of ``DescribeAutoScalingGroups``."""

    groups: list[ListedGroup] = field(name="AutoScalingGroups")


class ListedActivity(msgspec.Struct, rename="pascal"):
    """A scaling activity."""

    activity_id: str
    description: str
    status_code: str
    start_time: datetime
    cause: str = ""
    status_message: str | None = None
    end_time: datetime | None = None


class ActivityAnswer(msgspec.Struct, rename="pascal"):
    """An answer of ``DescribeScalingActivities``."""

    activities: list[ListedActivity]


class ListedPolicy(msgspec.Struct, rename="pascal"):
    """A scaling policy."""

    policy_name: str
    policy_type: str = "SimpleScaling"
    enabled: bool = True


class PolicyAnswer(msgspec.Struct):
    """An answer of ``DescribePolicies``."""

    policies: list[ListedPolicy] = field(name="ScalingPolicies")


class ListedRefresh(msgspec.Struct, rename="pascal"):
    """An instance refresh."""

    instance_refresh_id: str
    status: str
    percentage_complete: int | None = None


class RefreshAnswer(msgspec.Struct, rename="pascal"):
    """An answer of ``DescribeInstanceRefreshes``."""

    instance_refreshes: list[ListedRefresh]
