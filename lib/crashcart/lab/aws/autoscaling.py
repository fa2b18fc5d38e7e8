"""Auto Scaling with AWS's refusals: the API over ``LabGroup`` (scaling_group.py), which launches, fails and drains.

Error codes follow the API reference. Texts were seen in public issues of tools that call AWS (kubernetes/autoscaler#943 and
others) unless a line says unverified.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, ClassVar

from moto.autoscaling import models, urls
from moto.autoscaling.exceptions import AutoscalingClientError, ValidationError
from moto.autoscaling.models import AutoScalingBackend
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult, EmptyResult

from crashcart.lab.aws.instance_refresh import ACTIVE, Refresher
from crashcart.lab.aws.scaling_group import EC2_GONE, USER_FAILURE, LabGroup, Member
from crashcart.lab.aws.world import World

PROCESSES = frozenset(
    {
        "Launch",
        "Terminate",
        "AddToLoadBalancer",
        "AlarmNotification",
        "AZRebalance",
        "HealthCheck",
        "InstanceRefresh",
        "ReplaceUnhealthy",
        "ScheduledActions",
    }
)
PAGE = 100


class LabAutoScaling(AutoScalingResponse):
    """The API's actions that differ from moto's."""

    world: ClassVar[World]
    refresher: ClassVar[Refresher]

    def create_auto_scaling_group(self) -> ActionResult:
        """CreateAutoScalingGroup: sizes and the name are checked; the grace period is 0 unless given."""
        name = self._get_param("AutoScalingGroupName")
        if name in self.autoscaling_backend.autoscaling_groups:
            text = f"AutoScalingGroup by this name already exists - A group with the name {name} already exists"
            raise AutoscalingClientError("AlreadyExists", text)
        low, high = self._get_int_param("MinSize"), self._get_int_param("MaxSize")
        check_sizes(low, high, self._get_int_param("DesiredCapacity", low))
        result = super().create_auto_scaling_group()
        self._group().health_check_grace_period = self._get_int_param("HealthCheckGracePeriod", 0)
        return result

    def set_desired_capacity(self) -> ActionResult:
        """SetDesiredCapacity: within the bounds, and with HonorCooldown not while an activity runs or cools down."""
        group, wanted = self._group(), self._get_int_param("DesiredCapacity")
        if wanted > group.max_size:
            raise ValidationError(
                f"New SetDesiredCapacity value {wanted} is above max value {group.max_size} for the AutoScalingGroup."
            )
        if wanted < group.min_size:
            raise ValidationError(
                f"New SetDesiredCapacity value {wanted} is below min value {group.min_size} for the AutoScalingGroup."
            )
        if self._get_bool_param("HonorCooldown", False):
            self._honor_cooldown(group)
        group.asker = "a user request explicitly set group desired capacity"
        group.set_desired_capacity(wanted)
        return EmptyResult()

    def update_auto_scaling_group(self) -> ActionResult:
        """UpdateAutoScalingGroup: a desired capacity that is not given follows the new bounds (API reference)."""
        group = self._group()
        low, high = self._get_int_param("MinSize", group.min_size), self._get_int_param("MaxSize", group.max_size)
        follows = max(low, min(high, group.desired_capacity))
        wanted = self._get_int_param("DesiredCapacity", follows)
        check_sizes(low, high, wanted)
        policy = group.mixed_instances_policy
        group.asker = f"a user request update of AutoScalingGroup constraints to min: {low}, max: {high}, desired: {wanted}"
        result = super().update_auto_scaling_group()
        group.mixed_instances_policy = self._get_param("MixedInstancesPolicy") or policy
        group.default_cooldown = self._get_int_param("DefaultCooldown", group.default_cooldown)
        if group.desired_capacity != wanted:
            group.set_desired_capacity(wanted)
        return result

    def describe_scaling_activities(self) -> ActionResult:
        """DescribeScalingActivities: those in progress first, then the newest (user guide: Verify a scaling activity)."""
        groups = [self._group()] if self._get_param("AutoScalingGroupName") else self._groups()
        wanted = self._get_param("ActivityIds", [])
        activities = [a for group in groups for a in group.activities if not wanted or a.activity_id in wanted]
        activities.sort(key=lambda activity: activity.start_time, reverse=True)
        activities.sort(key=lambda activity: activity.end_time is not None)
        start, size = int(self._get_param("NextToken") or 0), self._get_int_param("MaxRecords", PAGE)
        following = str(start + size) if start + size < len(activities) else None
        return ActionResult({"Activities": activities[start : start + size], "NextToken": following})

    def suspend_processes(self) -> ActionResult:
        """SuspendProcesses of known names."""
        self._check_processes()
        return super().suspend_processes()

    def resume_processes(self) -> ActionResult:
        """ResumeProcesses; what had to wait happens now."""
        self._check_processes()
        result = super().resume_processes()
        self._group().reconcile()
        return result

    def set_instance_health(self) -> ActionResult:
        """SetInstanceHealth: what is unhealthy is replaced, within its grace period only if the call says so."""
        group, member = self._member()
        if self._get_param("HealthStatus") == "Healthy":
            member.health_status = "Healthy"
        elif not (self._get_bool_param("ShouldRespectGracePeriod", True) and self._in_grace(group, member)):
            group.find_unhealthy(member, USER_FAILURE)
        return EmptyResult()

    def terminate_instance_in_auto_scaling_group(self) -> ActionResult:
        """TerminateInstanceInAutoScalingGroup; without decrement it is replaced."""
        group, member = self._member()
        shrinks = self._get_bool_param("ShouldDecrementDesiredCapacity", False)
        if shrinks and group.desired_capacity <= group.min_size:
            size = f"Currently, desiredSize equals minSize ({group.min_size})."
            text = f"{size} Terminating instance without replacement will violate group's min size constraint."
            raise ValidationError(
                f"{text} Either set shouldDecrementDesiredCapacity flag to false or lower group's min size."
            )
        before = group.desired_capacity
        group.desired_capacity -= int(shrinks)
        size = f", shrinking the capacity from {before} to {group.desired_capacity}" if shrinks else ""
        taken = f"instance {member.instance.id} was taken out of service in response to a user request{size}."
        activity = group.retire(member, f"At {self.world.now():%Y-%m-%dT%H:%M:%SZ} {taken}")
        group.because = ""
        group.reconcile()
        return ActionResult({"Activity": activity})

    def put_scaling_policy(self) -> ActionResult:
        """PutScalingPolicy; a policy is enabled unless it is put otherwise."""
        self._group()
        result = super().put_scaling_policy()
        policy = self.autoscaling_backend.policies[self._get_param("PolicyName")]
        policy.enabled = self._get_bool_param("Enabled", True)  # type: ignore[attr-defined]
        return result

    def start_instance_refresh(self) -> ActionResult:
        """StartInstanceRefresh: one at a time."""
        group = self._group()
        if self.refresher.running(group):
            text = "An Instance Refresh is already in progress and blocks the execution of this Instance Refresh."
            raise AutoscalingClientError("InstanceRefreshInProgress", text)
        refresh = self.refresher.start(group, self._get_param("Preferences") or {})
        return ActionResult({"InstanceRefreshId": refresh.instance_refresh_id})

    def describe_instance_refreshes(self) -> ActionResult:
        """DescribeInstanceRefreshes: the newest first."""
        wanted = self._get_param("InstanceRefreshIds", [])
        refreshes = [r for r in self.refresher.refreshes(self._group()) if not wanted or r.instance_refresh_id in wanted]
        return ActionResult({"InstanceRefreshes": refreshes})

    def cancel_instance_refresh(self) -> ActionResult:
        """CancelInstanceRefresh: it becomes ``Cancelling`` and stops before its next instance."""
        group = self._group()
        refresh = self.refresher.running(group)
        if refresh is None or refresh.status not in ACTIVE:
            text = f"No in progress or pending Instance Refresh found for Auto Scaling group {group.name}"
            raise AutoscalingClientError("ActiveInstanceRefreshNotFound", text)
        refresh.status = "Cancelling"
        return ActionResult({"InstanceRefreshId": refresh.instance_refresh_id})

    def _group(self) -> LabGroup:
        name = self._get_param("AutoScalingGroupName")
        group = self.autoscaling_backend.autoscaling_groups.get(name)
        if not isinstance(group, LabGroup):  # the code is certain, the text unverified for most actions
            raise ValidationError(f"AutoScalingGroup name not found - AutoScalingGroup {name} not found")
        return group

    def _groups(self) -> list[LabGroup]:
        return [group for group in self.autoscaling_backend.autoscaling_groups.values() if isinstance(group, LabGroup)]

    def _member(self) -> tuple[LabGroup, Member]:
        name = self._get_param("InstanceId")
        for group in self._groups():
            if member := group.member(name):
                return group, member
        raise ValidationError(f"Instance Id not found - No managed instance found for instance ID {name}")

    def _in_grace(self, group: LabGroup, member: Member) -> bool:
        since, grace = member.in_service_since, timedelta(seconds=float(group.health_check_grace_period or 0))
        return since is not None and self.world.now() - since < grace

    def _honor_cooldown(self, group: LabGroup) -> None:
        """User guide, Cooldown: it begins when a scaling activity ends (unverified: that the first launch counts)."""
        cooled = group.cooled_from
        cools = cooled is not None and self.world.now() - cooled < timedelta(seconds=group.default_cooldown)
        activity = group.in_progress() or (group.activities[0] if cools else None)
        if activity:
            text = f"Scaling activity {activity.activity_id} is in progress and blocks this action"
            raise AutoscalingClientError("ScalingActivityInProgress", text)

    def _check_processes(self) -> None:
        self._group()
        unknown = sorted(set(self._get_param("ScalingProcesses", [])) - PROCESSES)
        if unknown:  # unverified text
            raise ValidationError(f"'{unknown[0]}' is not a valid process type")


def check_sizes(low: int, high: int, wanted: int) -> None:
    """Raise AWS's ValidationError unless low <= wanted <= high."""
    if high < low:
        raise ValidationError(f"Max bound, {high}, must be greater than or equal to min bound, {low}")
    if not low <= wanted <= high:
        raise ValidationError(f"Desired capacity:{wanted} must be between the specified min size:{low} and max size:{high}")


def join_target_groups(backend: AutoScalingBackend, group_name: str) -> None:
    """In place of moto's registration of every member at every change: once, when it is in service."""
    _lab_group(backend.autoscaling_groups[group_name]).join_target_groups()


def notice_terminated(backend: AutoScalingBackend, instance_ids: Iterable[str]) -> None:
    """In place of moto's instant replacement: the health check finds what EC2 terminated (suspended, it does not)."""
    for group in map(_lab_group, list(backend.autoscaling_groups.values())):
        for member in (group.member(name) for name in instance_ids):
            if member and group.may("HealthCheck"):
                group.find_unhealthy(member, EC2_GONE)


def _lab_group(group: Any) -> LabGroup:
    if not isinstance(group, LabGroup):
        raise TypeError(f"a group of the lab is expected, not {type(group).__name__}")
    return group


def install(world: World) -> None:
    """Put this behaviour into moto: the models of groups and members, two steps of its backend, the class that answers."""
    LabGroup.world = LabAutoScaling.world = world
    LabAutoScaling.refresher = Refresher(world)
    models.FakeAutoScalingGroup = LabGroup  # type: ignore[misc]
    models.InstanceState = Member  # type: ignore[misc]
    AutoScalingBackend.update_attached_target_groups = join_target_groups  # type: ignore[method-assign, assignment]
    AutoScalingBackend.notify_terminate_instances = notice_terminated  # type: ignore[method-assign, assignment]
    urls.url_paths["{0}/$"] = LabAutoScaling.dispatch
