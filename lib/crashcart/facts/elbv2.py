"""A target group with its targets, in two calls; and, where something is to be registered, the instance itself.

Seed rows S0-D12 and S0-R4. Dearer facts are asked for by name: ``INSTANCE`` (the instance, its checks, its Auto Scaling
group and the load balancers' zones) and ``DELAY``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import field

from crashcart.decoding import convert, from_json
from crashcart.errors import Cancelled, CrashcartError, FactUnreadable, NoSuchResource, nearest
from crashcart.facts import elbv2_health
from crashcart.facts.elbv2_health import Backend, State
from crashcart.transports.base import ApiCall, CloudTransport

GROUP = "target_group"
"""The kind of target that this fact knows."""

INSTANCE, DELAY = "the instance", "deregistration delay"
"""The dearer facts."""

_DELAY = "deregistration_delay.timeout_seconds"
_SCALING_TAG = "aws:autoscaling:groupName"
SHOWN = 300
"""Characters that are kept of why a fact could not be had."""


class Host(msgspec.Struct, frozen=True):
    """An EC2 instance: its state, network and status checks, and the Auto Scaling group that owns it.

    ``impaired`` names the status checks that fail. ``lifecycle`` and ``attached`` are how the owner sees it, and whether the
    owner registers its instances with this target group itself. ``zones`` are those that the group's load balancers are in
    (empty: there is none). ``unreadable`` says why nothing is known of it.
    """

    id: str
    state: str = ""
    vpc: str = ""
    zone: str = ""
    impaired: tuple[str, ...] = ()
    owner: str = ""
    lifecycle: str = ""
    attached: bool = False
    zones: tuple[str, ...] = ()
    unreadable: str = ""


class TargetGroup(msgspec.Struct, frozen=True):
    """A target group. ``member`` and ``member_port`` are the target that was asked about, if one was."""

    name: str
    arn: str
    target_type: str
    port: int | None = None
    vpc: str = ""
    balancers: tuple[str, ...] = ()
    backends: tuple[Backend, ...] = ()
    member: str = ""
    member_port: int | None = None
    host: Host | None = None
    delay: float | None = None
    delay_asked: bool = False

    @property
    def asked(self) -> tuple[Backend, ...]:
        """The registrations of the target that was asked about, draining ones included."""
        listed = (backend for backend in self.backends if backend.id == self.member)
        return tuple(
            one for one in listed if self.member_port in {None, one.port} and one.reason != elbv2_health.NOT_REGISTERED
        )

    @property
    def registered(self) -> tuple[Backend, ...]:
        """The registrations of the target that was asked about, without draining ones."""
        return tuple(backend for backend in self.asked if backend.registered)

    @property
    def others(self) -> tuple[Backend, ...]:
        """All other targets that are registered."""
        return tuple(backend for backend in self.backends if backend.registered and backend not in self.asked)

    @property
    def healthy(self) -> tuple[Backend, ...]:
        """The targets that are healthy."""
        return tuple(backend for backend in self.backends if backend.state is State.HEALTHY)


class _Group(msgspec.Struct, rename="pascal"):
    target_group_name: str
    target_group_arn: str
    target_type: str = "instance"
    port: int | None = None
    vpc_id: str = ""
    load_balancer_arns: list[str] = []


class _Groups(msgspec.Struct, rename="pascal"):
    target_groups: list[_Group]


class _Tag(msgspec.Struct, rename="pascal"):
    key: str
    value: str = ""


class _Named(msgspec.Struct, rename="pascal"):
    name: str


class _Placement(msgspec.Struct, rename="pascal"):
    availability_zone: str = ""


class _Instance(msgspec.Struct, rename="pascal"):
    instance_id: str
    state: _Named
    vpc_id: str = ""
    placement: _Placement = field(default_factory=_Placement)
    tags: list[_Tag] = []


class _Reservation(msgspec.Struct, rename="pascal"):
    instances: list[_Instance] = []


class _Reservations(msgspec.Struct, rename="pascal"):
    reservations: list[_Reservation]


class _Check(msgspec.Struct, rename="pascal"):
    status: str = ""


class _Status(msgspec.Struct, rename="pascal"):
    system_status: _Check = field(default_factory=_Check)
    instance_status: _Check = field(default_factory=_Check)


class _Statuses(msgspec.Struct, rename="pascal"):
    instance_statuses: list[_Status]


class _Zone(msgspec.Struct, rename="pascal"):
    zone_name: str


class _Balancer(msgspec.Struct, rename="pascal"):
    availability_zones: list[_Zone] = []


class _Balancers(msgspec.Struct, rename="pascal"):
    load_balancers: list[_Balancer]


class _Attribute(msgspec.Struct, rename="pascal"):
    key: str
    value: str = ""


class _Attributes(msgspec.Struct, rename="pascal"):
    attributes: list[_Attribute]


class _Scaled(msgspec.Struct, rename="pascal"):
    instance_id: str
    lifecycle_state: str = ""


class _ScalingGroup(msgspec.Struct, rename="pascal"):
    instances: list[_Scaled] = []
    target_group_arns: list[str] = field(name="TargetGroupARNs", default_factory=list)


class _ScalingGroups(msgspec.Struct, rename="pascal"):
    auto_scaling_groups: list[_ScalingGroup]


def observe(transport: CloudTransport, member: str = "", port: int | None = None) -> TargetGroup:
    """Describe the transport's resource, by name or ARN, and its targets; ``member`` and ``port`` are whom it is about.

    Raises ``FactUnreadable``, ``NoSuchResource`` with the nearest names, and the transport's errors.
    """
    seen = describe(transport)
    backends = elbv2_health.observe(transport, seen.arn)
    return msgspec.structs.replace(seen, backends=backends, member=member, member_port=port)


def describe(transport: CloudTransport) -> TargetGroup:
    """Describe the transport's resource without its targets, in one call. Raises as ``observe`` does."""
    name = transport.resource
    params = {"TargetGroupArns": [name]} if name.startswith("arn:") else {"Names": [name]}
    try:
        return _group(transport.read(ApiCall("elbv2", "DescribeTargetGroups", params)))
    except NoSuchResource as error:
        raise NoSuchResource(error.message, action=error.action, code=error.code, hint=_hint(transport, error)) from error


def add(transport: CloudTransport, seen: TargetGroup, looks: frozenset[str]) -> TargetGroup:
    """Add the dearer facts that ``looks`` names; what cannot be had is kept as unknown."""
    found: dict[str, Any] = {}
    if INSTANCE in looks:
        found["host"] = _host(transport, seen)
    if DELAY in looks:
        found |= {"delay": _delay(transport, seen.arn), "delay_asked": True}
    return msgspec.structs.replace(seen, **found)


def parse(stdout: bytes) -> TargetGroup:
    """Read the answers of the two describing calls from JSON, by the calls' names. Raises ``FactUnreadable``."""
    answers: Mapping[str, Any] = from_json(stdout)
    backends = elbv2_health.read(answers["DescribeTargetHealth"])
    return msgspec.structs.replace(_group(answers["DescribeTargetGroups"]), backends=backends)


def _group(answer: Any) -> TargetGroup:
    listed = _convert(answer, _Groups, "DescribeTargetGroups").target_groups
    if len(listed) != 1:
        raise FactUnreadable(f"DescribeTargetGroups was asked about one group and describes {len(listed)}")
    found: _Group = listed[0]
    balancers = tuple(found.load_balancer_arns)
    return TargetGroup(
        found.target_group_name, found.target_group_arn, found.target_type, found.port, found.vpc_id, balancers
    )


def _hint(transport: CloudTransport, error: NoSuchResource) -> str:
    name = transport.resource
    region = name.split(":")[3] if name.count(":") > 4 else ""
    if region and region != transport.region:
        return f"it lies in {region}, and the calls go to {transport.region}: set aws_region to {region}"
    try:
        answer = transport.read(ApiCall("elbv2", "DescribeTargetGroups", {}))
    except CrashcartError:
        return error.hint
    known = {str(group.get("TargetGroupName", "")) for group in answer.get("TargetGroups", []) if isinstance(group, dict)}
    shown = elbv2_health.short_name(name)
    return f"{transport.region} has no {shown!r}; {nearest(shown, known) or 'is aws_region right?'}"


def _host(transport: CloudTransport, seen: TargetGroup) -> Host:
    """Ask EC2, then the owner and the load balancers. An instance that EC2 does not know has no state."""
    try:
        instance = _instance(transport, seen.member)
        if instance is None:
            return Host(seen.member)
        tags = {tag.key: tag.value for tag in instance.tags}
        owner = tags.get(_SCALING_TAG, "")
        lifecycle, attached = _owned(transport, owner, seen) if owner else ("", False)
        return Host(
            id=seen.member,
            state=instance.state.name,
            vpc=instance.vpc_id,
            zone=instance.placement.availability_zone,
            impaired=_impaired(transport, seen.member) if instance.state.name == "running" else (),
            owner=owner,
            lifecycle=lifecycle,
            attached=attached,
            zones=_zones(transport, seen.balancers),
        )
    except Cancelled:
        raise
    except CrashcartError as error:
        return Host(seen.member, unreadable=error.message[:SHOWN])


def _instance(transport: CloudTransport, name: str) -> _Instance | None:
    try:
        answer = transport.read(ApiCall("ec2", "DescribeInstances", {"InstanceIds": [name]}))
    except NoSuchResource:
        return None
    found = _convert(answer, _Reservations, "DescribeInstances").reservations
    instances = [instance for reservation in found for instance in reservation.instances]
    return instances[0] if instances else None


def _impaired(transport: CloudTransport, name: str) -> tuple[str, ...]:
    """Name the status checks that fail; ``initializing`` and ``insufficient-data`` do not."""
    statuses = _ask(
        transport, ApiCall("ec2", "DescribeInstanceStatus", {"InstanceIds": [name]}), _Statuses
    ).instance_statuses
    checks = [("system", one.system_status.status) for one in statuses]
    checks += [("instance", one.instance_status.status) for one in statuses]
    return tuple(f"{which} status check {status}" for which, status in checks if status == "impaired")


def _owned(transport: CloudTransport, owner: str, seen: TargetGroup) -> tuple[str, bool]:
    call = ApiCall("autoscaling", "DescribeAutoScalingGroups", {"AutoScalingGroupNames": [owner]})
    groups: Sequence[_ScalingGroup] = _ask(transport, call, _ScalingGroups).auto_scaling_groups
    lifecycles = [one.lifecycle_state for group in groups for one in group.instances if one.instance_id == seen.member]
    return lifecycles[0] if lifecycles else "", any(seen.arn in group.target_group_arns for group in groups)


def _zones(transport: CloudTransport, balancers: Sequence[str]) -> tuple[str, ...]:
    if not balancers:
        return ()
    call = ApiCall("elbv2", "DescribeLoadBalancers", {"LoadBalancerArns": list(balancers)})
    listed: Sequence[_Balancer] = _ask(transport, call, _Balancers).load_balancers
    return tuple(sorted({zone.zone_name for balancer in listed for zone in balancer.availability_zones}))


def _delay(transport: CloudTransport, arn: str) -> float | None:
    call = ApiCall("elbv2", "DescribeTargetGroupAttributes", {"TargetGroupArn": arn})
    try:
        attributes = _ask(transport, call, _Attributes).attributes
        return next((float(found.value) for found in attributes if found.key == _DELAY), None)
    except Cancelled:
        raise
    except (CrashcartError, ValueError):
        return None


def _ask(transport: CloudTransport, call: ApiCall, kind: type[Any]) -> Any:
    return _convert(transport.read(call), kind, call.operation)


def _convert(answer: Any, kind: type[Any], call: str) -> Any:
    try:
        return convert(answer, kind, strict=False)
    except msgspec.ValidationError as error:
        raise FactUnreadable(f"the answer of {call} lacks what is needed: {error}") from error
