"""An Auto Scaling group that takes time, can fail, and says what it did.

Every change of capacity goes through one reconciliation of the members with the desired number, as AWS describes its service
("difference between desired and actual capacity"). The wording of causes and failures is that of the user guide (Verify a
scaling activity; Troubleshooting: capacity limits, launch failures, health checks) unless a line says unverified.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any, ClassVar
from uuid import uuid4

import msgspec
from moto.autoscaling.models import FakeAutoScalingGroup, InstanceState
from moto.elbv2.models import FakeTargetGroup, elbv2_backends

from crashcart.lab.aws.world import World

RUNNING = frozenset({"Pending", "InService"})
ELB_FAILURE = "an instance was taken out of service in response to an ELB system health check failure."
EC2_FAILURE = "an instance was taken out of service in response to an EC2 instance status check failure."
EC2_GONE = (
    "an instance was taken out of service in response to an EC2 health check indicating it has been terminated or stopped."
)
USER_FAILURE = "an instance was taken out of service in response to a user health-check."
REPLACEMENT = "an instance was launched in response to an unhealthy instance needing to be replaced."
# By the EC2 error code behind it. Groups with a mixed instances policy put the code before the text, others do not.
REFUSALS = {
    "InsufficientInstanceCapacity": (
        "We currently do not have sufficient {type} capacity in the Availability Zone you requested ({zone}). Our system"
        " will be working on provisioning additional capacity. You can currently get {type} capacity by not specifying an"
        " Availability Zone in your request or choosing {others}."
    ),
    "InvalidAMIID.NotFound": "The image id '{image}' does not exist.",
    "VcpuLimitExceeded": (
        "You have requested more vCPU capacity than your current vCPU limit of 8 allows for the instance bucket that the"
        " specified instance type belongs to. Please visit http://aws.amazon.com/contact-us/ec2-request to request"
        " an adjustment to this limit."
    ),
    "InsufficientFreeAddressesInSubnet": (
        "There are not enough free addresses in subnet '{subnet}' to satisfy the requested number of instances."
    ),
}


class Activity(msgspec.Struct, kw_only=True):
    """One scaling activity, with the fields of DescribeScalingActivities."""

    activity_id: str
    auto_scaling_group_name: str
    auto_scaling_group_arn: str
    description: str
    cause: str
    start_time: datetime
    details: str
    end_time: datetime | None = None
    status_code: str = "InProgress"
    status_message: str | None = None
    progress: int = 50

    def end(self, status: str, when: datetime, message: str | None = None) -> None:
        """Close the activity."""
        self.status_code, self.end_time, self.status_message, self.progress = status, when, message, 100


class Member(InstanceState):
    """One instance of a group."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.joined: set[str] = set()
        self.in_service_since: datetime | None = None
        self.complaint = USER_FAILURE


class LabGroup(FakeAutoScalingGroup):
    """A group whose instances launch, serve, fail and leave one after another."""

    world: ClassVar[World]
    instance_states: list[Member]  # type: ignore[assignment]
    desired_capacity: int
    min_size: int
    max_size: int

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.activities: list[Activity] = []
        self.asker = "a user request created an AutoScalingGroup"
        self.because = ""
        self.retry_is_due = False
        self.cooled_from: datetime | None = None
        self.desired_capacity = 0
        self._suspended_since: dict[str, str] = {}
        super().__init__(*args, **kwargs)

    def set_desired_capacity(self, new_capacity: int | None) -> None:
        """Change what is wanted and start to bring it about; every path of moto that changes the capacity ends here."""
        wanted = self.min_size if new_capacity is None else new_capacity
        if wanted != self.desired_capacity:
            change = f"changing the desired capacity from {self.desired_capacity} to {wanted}"
            self.because, self.desired_capacity = f"At {self._stamp()} {self.asker} {change}.  ", wanted
        self.asker = "a user request"
        self.reconcile()

    def reconcile(self) -> None:
        """Replace what is unhealthy, then launch or terminate what is missing or too much, as far as processes may."""
        if self.may("ReplaceUnhealthy") and self.may("Terminate"):
            for member in [m for m in self.active() if m.health_status == "Unhealthy"]:
                self.retire(member, f"At {self._stamp()} {member.complaint}")
                self.because = ""
        missing = self.desired_capacity - len(self.active())
        if missing > 0 and self.may("Launch"):
            self._launch(missing)
        elif missing < 0 and self.may("Terminate"):
            self._shrink(-missing)

    def may(self, process: str) -> bool:
        """Tell whether a process is not suspended (user guide: Suspend and resume processes)."""
        return all(suspended["ProcessName"] != process for suspended in self.suspended_processes)

    @property
    def suspended_processes(self) -> list[dict[str, str]]:
        """The suspended processes and why, as DescribeAutoScalingGroups shows them."""
        reasons = sorted(self._suspended_since.items())
        return [{"ProcessName": name, "SuspensionReason": f"User suspended at {since}"} for name, since in reasons]

    @suspended_processes.setter
    def suspended_processes(self, processes: list[str]) -> None:
        self._suspended_since = {name: self._suspended_since.get(name, self._stamp()) for name in processes}

    def active(self) -> list[Member]:
        """The members that count as capacity: pending and in service."""
        return [member for member in self.instance_states if member.lifecycle_state in RUNNING]

    def member(self, instance_id: str) -> Member | None:
        """The member with this instance."""
        return next((m for m in self.instance_states if m.instance.id == instance_id), None)

    def in_progress(self) -> Activity | None:
        """The newest activity that has not ended."""
        return next((activity for activity in self.activities if activity.end_time is None), None)

    def find_unhealthy(self, member: Member, complaint: str) -> None:
        """Mark a member unhealthy; it is replaced at once, unless that process is suspended."""
        if member in self.active():
            member.health_status, member.complaint = "Unhealthy", complaint
            self.reconcile()

    def retire(self, member: Member, cause: str) -> Activity:
        """Terminate a member: out of the target groups first, and only when they have drained, out of the group.

        User guide, Troubleshoot health checks: deregistration and draining must be complete before the instance ends.
        """
        drain = self._leave_target_groups(member)
        member.lifecycle_state = "Terminating"
        waiting = " - Waiting For ELB Connection Draining." if drain else ""
        activity = self._note(
            f"Terminating EC2 instance: {member.instance.id}{waiting}", cause, member.instance.subnet_id or ""
        )
        activity.status_code = "WaitingForELBConnectionDraining" if drain else "InProgress"
        self.world.after(drain + self.world.seconds("asg.terminate"), lambda: self._gone(member, activity))
        return activity

    def join_target_groups(self) -> None:
        """Register every member in service with every attached target group, once (user guide: AddToLoadBalancer)."""
        if not self.may("AddToLoadBalancer"):
            return
        for member in self.active():
            if member.lifecycle_state == "InService":
                for group in self._target_groups():
                    self._join(member, group)

    def _launch(self, count: int) -> None:
        grows = f"increasing the capacity from {len(self.active())} to {self.desired_capacity}."
        started = f"an instance was started in response to a difference between desired and actual capacity, {grows}"
        cause = f"{self.because}At {self._stamp()} {started if self.because else REPLACEMENT}"
        for _ in range(count):
            subnet = self._thinnest_subnet()
            if refusal := self._refusal(subnet):
                self._fail(refusal, cause, subnet)
                return
            self._start(subnet, cause)

    def _start(self, subnet: str, cause: str) -> None:
        member = self._run_instance(subnet)
        member.lifecycle_state = "Pending"
        activity = self._note(f"Launching a new EC2 instance: {member.instance.id}", cause, subnet)
        activity.status_code, activity.progress = "PreInService", 30
        self.world.after(self.world.seconds("asg.launch"), lambda: self._enter_service(member, activity))

    def _run_instance(self, subnet: str) -> Member:
        """Let moto launch one instance; it takes the first subnet that is listed."""
        listed, self.vpc_zone_identifier = self.vpc_zone_identifier, subnet or None
        try:
            self.replace_autoscaling_group_instances(1, self.get_propagated_tags())
        finally:
            self.vpc_zone_identifier = listed
        return self.instance_states[-1]

    def _fail(self, refusal: str, cause: str, subnet: str) -> None:
        """Record that a launch failed, and try again later, for as long as capacity is missing."""
        message = f"{refusal} Launching EC2 instance failed."
        activity = self._note(f"Launching a new EC2 instance. Status Reason: {message}", cause, subnet)
        activity.end("Failed", self.world.now(), message)
        if not self.retry_is_due:
            self.retry_is_due = True
            self.world.after(self.world.seconds("asg.retry"), self._retry)

    def _retry(self) -> None:
        self.retry_is_due = False
        self.reconcile()

    def _enter_service(self, member: Member, activity: Activity) -> None:
        if member not in self.active():
            activity.end("Cancelled", self.world.now())
            return
        member.lifecycle_state, member.in_service_since = "InService", self.world.now()
        activity.end("Successful", self.world.now())
        self.cooled_from = self.world.now()
        self.join_target_groups()
        if self.world.condition("asg.failing-instances", self.name):
            self._sicken(member)

    def _sicken(self, member: Member) -> None:
        """A fault wants this instance to fail its checks; that counts against it after the grace period."""
        member.instance.fails_health_checks = True  # type: ignore[attr-defined]
        complaint = ELB_FAILURE if self.health_check_type == "ELB" else EC2_FAILURE
        grace = float(self.health_check_grace_period or 0)
        act = self._find_by_check
        self.world.after(grace + self.world.seconds("asg.health-check"), lambda: act(member, complaint))

    def _find_by_check(self, member: Member, complaint: str) -> None:
        if self.may("HealthCheck"):
            self.find_unhealthy(member, complaint)

    def _shrink(self, count: int) -> None:
        """Terminate from the fullest zone, the oldest first (default policy, without its look at launch templates)."""
        now = len(self.active())
        for _ in range(count):
            zones = Counter(member.availability_zone for member in self.active())
            spare = [member for member in self.active() if not member.protected_from_scale_in]
            if not spare:
                return
            leaving = max(spare, key=lambda member: zones[member.availability_zone])
            shrinks = (
                f"in response to a difference between desired and actual capacity, shrinking the capacity from {now} to"
            )
            stamp = self._stamp()
            cause = f"{self.because}At {stamp} an instance was taken out of service {shrinks} {self.desired_capacity}.  "
            self.retire(leaving, f"{cause}At {stamp} instance {leaving.instance.id} was selected for termination.")

    def _gone(self, member: Member, activity: Activity) -> None:
        member.lifecycle_state = "Terminated"
        self.instance_states = [other for other in self.instance_states if other is not member]
        if member.instance.state != "terminated":
            self.ec2_backend.terminate_instances([member.instance.id])
        activity.end("Successful", self.world.now())
        self.cooled_from = self.world.now()

    def _refusal(self, subnet: str) -> str:
        """Why an instance cannot be launched now: a fault, or what the emulator itself can see; empty if it can."""
        code = self.world.condition("asg.launch", self.name) or self._seen_refusal(subnet)
        if code is None:
            return ""
        zone, others = self._zones(subnet)
        text = REFUSALS[code].format(type=self.instance_type, zone=zone, others=others, image=self.image_id, subnet=subnet)
        return f"Could not launch On-Demand Instances. {code} - {text}" if self.mixed_instances_policy else text

    def _seen_refusal(self, subnet: str) -> str | None:
        if self.image_id not in self.ec2_backend.amis:
            return "InvalidAMIID.NotFound"
        full = subnet and self.ec2_backend.get_subnet(subnet).available_ip_address_count <= 0
        return "InsufficientFreeAddressesInSubnet" if full else None

    def _zones(self, subnet: str) -> tuple[str, str]:
        zone = self.ec2_backend.get_subnet(subnet).availability_zone if subnet else self.availability_zones[0]
        return zone, ", ".join(other for other in self.availability_zones if other != zone) or zone

    def _thinnest_subnet(self) -> str:
        """The subnet with the fewest members: AWS spreads a group over its zones."""
        members = Counter(member.instance.subnet_id for member in self.active())
        return min((self.vpc_zone_identifier or "").split(","), key=lambda subnet: members[subnet])

    def _note(self, description: str, cause: str, subnet: str) -> Activity:
        zone, _ = self._zones(subnet)
        activity = Activity(
            activity_id=str(uuid4()),
            auto_scaling_group_name=self.name,
            auto_scaling_group_arn=self.arn,
            description=description,
            cause=cause,
            start_time=self.world.now(),
            details=msgspec.json.encode({"Subnet ID": subnet, "Availability Zone": zone}).decode(),
        )
        self.activities.insert(0, activity)
        return activity

    def _stamp(self) -> str:
        return f"{self.world.now():%Y-%m-%dT%H:%M:%SZ}"

    def _target_groups(self) -> Iterable[FakeTargetGroup]:
        groups = elbv2_backends[self.account_id][self.region].target_groups
        return [groups[arn] for arn in self.target_group_arns if arn in groups]

    def _join(self, member: Member, group: FakeTargetGroup) -> None:
        if group.arn not in member.joined:
            member.joined.add(group.arn)
            group.register([{"Id": member.instance.id, "Port": group.port}])

    def _leave_target_groups(self, member: Member) -> float:
        """Deregister a member everywhere; tell for how many seconds it drains."""
        groups = [group for group in self._target_groups() if member.instance.id in group.targets]
        for group in groups:
            group.deregister([{"Id": member.instance.id}])
        drains = [drain.until for group in groups if (drain := getattr(group, "drains", {}).get(member.instance.id))]
        return max(((until - self.world.now()).total_seconds() for until in drains), default=0.0)
