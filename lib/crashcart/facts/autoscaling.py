"""An Auto Scaling group as its API describes it, with what the load balancers say of its members.

Seed rows S0-D14 and S0-R5. A plain look asks the group and its first target group: two calls. Dearer facts are asked for by
name: ``TARGETS``, ``ACTIVITIES``, ``POLICIES``, ``REFRESHES``. The group and its targets are read strictly or not at all;
what the others cannot tell is kept as unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from crashcart.decoding import convert, from_json
from crashcart.errors import Cancelled, CrashcartError, FactUnreadable, NoSuchResource, nearest
from crashcart.facts import autoscaling_activities, elbv2_health
from crashcart.facts.autoscaling_activities import SHOWN, Activities
from crashcart.facts.autoscaling_answers import GroupAnswer, ListedGroup, PolicyAnswer, RefreshAnswer
from crashcart.facts.elbv2_health import Backend, State, short_name
from crashcart.transports.base import ApiCall, CloudTransport

GROUP = "autoscaling_group"
"""The kind of target that this fact knows."""

TARGETS = "health in every target group"
ACTIVITIES = "scaling activities"
POLICIES = "scaling policies"
REFRESHES = "instance refreshes"
"""The dearer facts."""

_RUNNING_REFRESHES = {"Pending", "InProgress", "Baking", "Cancelling", "RollbackInProgress"}
_ARN_NAME = "autoScalingGroupName/"


class Member(msgspec.Struct, frozen=True):
    """An instance of a group; ``lifecycle`` is AWS's word, ``healthy`` the group's own opinion."""

    instance: str
    lifecycle: str
    healthy: bool
    zone: str = ""
    protected: bool = False

    @property
    def in_service(self) -> bool:
        """Whether the group counts on it."""
        return self.lifecycle == "InService" and self.healthy

    @property
    def starting(self) -> bool:
        """Whether it is on its way into service."""
        return self.lifecycle.startswith("Pending")

    @property
    def leaving(self) -> bool:
        """Whether it is on its way out."""
        return self.lifecycle.startswith("Terminating")

    @property
    def active(self) -> bool:
        """Whether it counts towards the desired capacity."""
        return self.lifecycle == "InService" or self.starting


class Process(msgspec.Struct, frozen=True):
    """A suspended process; AWS suspends some itself when launches fail for a day, and says so in the reason."""

    name: str
    reason: str = ""


class Group(msgspec.Struct, frozen=True):
    """The group's sizes, members and settings. ``target_groups`` are ARNs; ``status`` is set only while it is deleted."""

    name: str
    min_size: int
    max_size: int
    desired: int
    members: tuple[Member, ...] = ()
    health_check: str = "EC2"
    target_groups: tuple[str, ...] = ()
    suspended: tuple[Process, ...] = ()
    status: str = ""

    @property
    def active(self) -> tuple[Member, ...]:
        """The members that count towards the desired capacity."""
        return tuple(member for member in self.members if member.active)

    @property
    def in_service(self) -> tuple[Member, ...]:
        """The members that the group itself calls in service and healthy."""
        return tuple(member for member in self.members if member.in_service)

    @property
    def leaving(self) -> tuple[Member, ...]:
        """The members that are being terminated."""
        return tuple(member for member in self.members if member.leaving)

    def suspension(self, process: str) -> Process | None:
        """Return that process if it is suspended."""
        return next((found for found in self.suspended if found.name == process), None)

    @property
    def sizes(self) -> str:
        """Its sizes in words."""
        return f"min {self.min_size}, desired {self.desired}, max {self.max_size}"


class Behind(msgspec.Struct, frozen=True):
    """What a target group says of its targets."""

    arn: str
    backends: tuple[Backend, ...] = ()

    @property
    def name(self) -> str:
        """The target group's name."""
        return short_name(self.arn)

    @property
    def idle(self) -> bool:
        """Whether no load balancer uses it, so that it says nothing about health."""
        return bool(self.backends) and all(backend.idle for backend in self.backends)

    @property
    def healthy(self) -> frozenset[str]:
        """The instances that are healthy at each of their ports."""
        sick = {backend.id for backend in self.backends if backend.state is not State.HEALTHY}
        return frozenset(backend.id for backend in self.backends) - sick


class Policies(msgspec.Struct, frozen=True):
    """The enabled scaling policies, as ``name (type)``; ``unreadable`` says why they are not known."""

    listed: tuple[str, ...] = ()
    unreadable: str = ""


class Refreshes(msgspec.Struct, frozen=True):
    """The instance refreshes that are under way, in words; ``unreadable`` says why they are not known."""

    running: tuple[str, ...] = ()
    unreadable: str = ""


class Fleet(msgspec.Struct, frozen=True):
    """A group, what the asked target groups say of it, and the dearer facts that were asked for (None: not asked)."""

    group: Group
    behind: tuple[Behind, ...] = ()
    activities: Activities | None = None
    policies: Policies | None = None
    refreshes: Refreshes | None = None

    @property
    def serving(self) -> tuple[Member, ...]:
        """The members in service that are healthy in each asked target group that a load balancer uses."""
        judges = [behind.healthy for behind in self.behind if not behind.idle]
        return tuple(member for member in self.group.in_service if all(member.instance in healthy for healthy in judges))

    @property
    def all_asked(self) -> bool:
        """Whether every attached target group was asked."""
        return len(self.behind) == len(self.group.target_groups)

    @property
    def vouched(self) -> bool:
        """Whether the members' health in every target group is known: all asked, or the group itself goes by them all."""
        return self.all_asked or (self.group.health_check == "ELB" and bool(self.behind))


def observe(transport: CloudTransport) -> Fleet:
    """Describe the transport's resource, by name or ARN, and ask its first target group.

    Raises ``FactUnreadable``, ``NoSuchResource`` with the nearest names, and the transport's errors.
    """
    name = _name(transport.resource)
    answer = transport.read(ApiCall("autoscaling", "DescribeAutoScalingGroups", {"AutoScalingGroupNames": [name]}))
    groups = _convert(answer, GroupAnswer, "DescribeAutoScalingGroups").groups
    if not groups:
        raise _missing(transport, name)
    return _ask_targets(transport, Fleet(_the_one(groups)), 1)


def add(transport: CloudTransport, seen: Fleet, looks: frozenset[str]) -> Fleet:
    """Add the dearer facts that ``looks`` names."""
    found: dict[str, Any] = {}
    if ACTIVITIES in looks:
        found["activities"] = autoscaling_activities.observe(transport, seen.group.name)
    if POLICIES in looks:
        found["policies"] = _policies(transport, seen.group.name)
    if REFRESHES in looks:
        found["refreshes"] = _refreshes(transport, seen.group.name)
    whole = _ask_targets(transport, seen, len(seen.group.target_groups)) if TARGETS in looks else seen
    return msgspec.structs.replace(whole, **found)


def parse(stdout: bytes) -> Fleet:
    """Read answers from JSON, by the calls' names; ``DescribeTargetHealth`` by ARN. Raises ``FactUnreadable``."""
    answers: Mapping[str, Any] = from_json(stdout)
    group = _the_one(_convert(answers["DescribeAutoScalingGroups"], GroupAnswer, "DescribeAutoScalingGroups").groups)
    asked = answers.get("DescribeTargetHealth", {})
    return Fleet(group, tuple(Behind(arn, elbv2_health.read(answer)) for arn, answer in asked.items()))


def _ask_targets(transport: CloudTransport, seen: Fleet, upto: int) -> Fleet:
    arns = seen.group.target_groups[len(seen.behind) : upto]
    more = tuple(Behind(arn, elbv2_health.observe(transport, arn)) for arn in arns)
    return msgspec.structs.replace(seen, behind=seen.behind + more)


def _policies(transport: CloudTransport, group: str) -> Policies:
    try:
        answer = transport.read(ApiCall("autoscaling", "DescribePolicies", {"AutoScalingGroupName": group}))
        listed = _convert(answer, PolicyAnswer, "DescribePolicies").policies
    except Cancelled:
        raise
    except CrashcartError as error:
        return Policies(unreadable=error.message[:SHOWN])
    return Policies(tuple(f"{policy.policy_name} ({policy.policy_type})" for policy in listed if policy.enabled))


def _refreshes(transport: CloudTransport, group: str) -> Refreshes:
    # The newest come first, and one at most is under way.
    params = {"AutoScalingGroupName": group, "MaxRecords": 10}
    try:
        answer = transport.read(ApiCall("autoscaling", "DescribeInstanceRefreshes", params))
        listed = _convert(answer, RefreshAnswer, "DescribeInstanceRefreshes").instance_refreshes
    except Cancelled:
        raise
    except CrashcartError as error:
        return Refreshes(unreadable=error.message[:SHOWN])
    running = [refresh for refresh in listed if refresh.status in _RUNNING_REFRESHES]
    return Refreshes(tuple(f"{one.instance_refresh_id} ({one.status}, {one.percentage_complete or 0} %)" for one in running))


def _missing(transport: CloudTransport, name: str) -> NoSuchResource:
    region = transport.resource.split(":")[3] if transport.resource.count(":") > 4 else ""
    if region and region != transport.region:
        hint = f"{name} lies in {region}, and the calls go to {transport.region}: set aws_region to {region}"
    else:
        hint = f"{transport.region} has no {name!r}; {_near(transport, name) or 'is aws_region right?'}"
    return NoSuchResource(
        f"there is no Auto Scaling group {name!r}", action="autoscaling:DescribeAutoScalingGroups", code="", hint=hint
    )


def _near(transport: CloudTransport, name: str) -> str:
    try:
        answer = transport.read(ApiCall("autoscaling", "DescribeAutoScalingGroups", {}))
    except CrashcartError:
        return ""
    listed = [group for group in answer.get("AutoScalingGroups", []) if isinstance(group, dict)]
    return nearest(name, {str(group.get("AutoScalingGroupName", "")) for group in listed})


def _name(resource: str) -> str:
    return resource.rpartition(_ARN_NAME)[2]


def _the_one(groups: list[ListedGroup]) -> Group:
    if len(groups) != 1:
        raise FactUnreadable(f"DescribeAutoScalingGroups was asked about one group and describes {len(groups)}")
    listed = groups[0]
    members = tuple(
        Member(
            found.instance_id,
            found.lifecycle_state,
            found.health_status.lower() == "healthy",
            found.availability_zone,
            found.protected_from_scale_in,
        )
        for found in listed.instances
    )
    return Group(
        name=listed.auto_scaling_group_name,
        min_size=listed.min_size,
        max_size=listed.max_size,
        desired=listed.desired_capacity,
        members=members,
        health_check="ELB" if "ELB" in listed.health_check_type.split(",") else listed.health_check_type,
        target_groups=tuple(listed.target_group_arns),
        suspended=tuple(Process(found.process_name, found.suspension_reason) for found in listed.suspended_processes),
        status=listed.status or "",
    )


def _convert(answer: Any, kind: type[Any], call: str) -> Any:
    try:
        return convert(answer, kind, strict=False)
    except msgspec.ValidationError as error:
        raise FactUnreadable(f"the answer of {call} lacks what is needed: {error}") from error
