"""The rules of the network around an EC2 instance: its security groups and its subnet's network ACL, a line for each.

Seed row S0-D13. A line is what is compared with what was known to be good, and what a person reads:

    uses sg-0a1 web
    sg-0a1 in tcp 443 0.0.0.0/0
    sg-0a1 out all 0.0.0.0/0
    uses acl-0b2
    acl-0b2 in 100 allow tcp 443 0.0.0.0/0

Who changed something is asked for by name (``WHO``); CloudTrail tells it some minutes later, so it is best effort.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from crashcart.decoding import convert, from_json
from crashcart.errors import Cancelled, CrashcartError, FactUnreadable
from crashcart.transports.base import ApiCall, CloudTransport

KIND = "ec2_instance"
WHO = "who changed it"
"""The dearer fact."""

LONGEST = 7 * 86400.0
"""Seconds back in which a change is looked for."""

ASKED = 3
"""Resources of which is asked who changed them: CloudTrail answers two requests a second."""

TOLD = 5
SHOWN = 300
"""Characters that are kept of why a fact could not be had."""

_RESOURCE = re.compile(r"\b(?:sg|acl)-[0-9a-f]+\b")
_PROTOCOLS = {"-1": "all", "6": "tcp", "17": "udp", "1": "icmp", "58": "icmpv6"}


class Actor(msgspec.Struct, frozen=True):
    """A change: when (seconds since 1970), who, which call, and of what."""

    at: float
    user: str
    call: str
    resource: str


class Trail(msgspec.Struct, frozen=True):
    """What CloudTrail tells of the changes, newest first, or why it does not (``unreadable``)."""

    actors: tuple[Actor, ...] = ()
    unreadable: str = ""


class Rules(msgspec.Struct, frozen=True):
    """The rules around an instance, sorted, at ``now`` (seconds since 1970). ``trail`` is None where nobody asked."""

    instance: str
    now: float = 0.0
    lines: tuple[str, ...] = ()
    trail: Trail | None = None


class _Group(msgspec.Struct, rename="pascal"):
    group_id: str
    group_name: str = ""


class _Interface(msgspec.Struct, rename="pascal"):
    groups: list[_Group] = []
    subnet_id: str = ""


class _Instance(msgspec.Struct, rename="pascal"):
    instance_id: str
    subnet_id: str = ""
    security_groups: list[_Group] = []
    network_interfaces: list[_Interface] = []


class _Reservation(msgspec.Struct, rename="pascal"):
    instances: list[_Instance] = []


class _Reservations(msgspec.Struct, rename="pascal"):
    reservations: list[_Reservation]


class _Permission(msgspec.Struct, rename="pascal"):
    ip_protocol: str
    from_port: int | None = None
    to_port: int | None = None
    ip_ranges: list[dict[str, str]] = []
    ipv6_ranges: list[dict[str, str]] = []
    prefix_list_ids: list[dict[str, str]] = []
    user_id_group_pairs: list[dict[str, Any]] = []


class _Ruled(msgspec.Struct, rename="pascal"):
    group_id: str
    group_name: str = ""
    ip_permissions: list[_Permission] = []
    ip_permissions_egress: list[_Permission] = []


class _Groups(msgspec.Struct, rename="pascal"):
    security_groups: list[_Ruled]


class _Range(msgspec.Struct):
    low: int | None = msgspec.field(name="From", default=None)
    high: int | None = msgspec.field(name="To", default=None)


class _Entry(msgspec.Struct, rename="pascal"):
    rule_number: int
    rule_action: str
    egress: bool
    protocol: str = "-1"
    cidr_block: str = ""
    ipv6_cidr_block: str = ""
    port_range: _Range | None = None


class _Acl(msgspec.Struct, rename="pascal"):
    network_acl_id: str
    entries: list[_Entry] = []


class _Acls(msgspec.Struct, rename="pascal"):
    network_acls: list[_Acl]


class _Event(msgspec.Struct, rename="pascal"):
    event_name: str
    event_time: datetime | float
    username: str = ""
    read_only: str = ""


class _Events(msgspec.Struct, rename="pascal"):
    events: list[_Event]


def observe(transport: CloudTransport) -> Rules:
    """Read the rules in three calls. Raises ``FactUnreadable``, ``NoSuchResource`` and the transport's errors."""
    name = transport.resource
    answers: dict[str, Any] = {}
    answers["DescribeInstances"] = transport.read(ApiCall("ec2", "DescribeInstances", {"InstanceIds": [name]}))
    groups, subnets = _around(answers, name)
    asked = ApiCall("ec2", "DescribeSecurityGroups", {"GroupIds": groups})
    answers["DescribeSecurityGroups"] = transport.read(asked) if groups else {"SecurityGroups": []}
    within = [{"Name": "association.subnet-id", "Values": subnets}]
    asked = ApiCall("ec2", "DescribeNetworkAcls", {"Filters": within})
    answers["DescribeNetworkAcls"] = transport.read(asked) if subnets else {"NetworkAcls": []}
    return msgspec.structs.replace(read(answers, name), now=time.time())


def parse(stdout: bytes) -> Rules:
    """Read answers, by the call's name, from JSON, about ``i-1``. Raises ``FactUnreadable``."""
    return read(from_json(stdout), "i-1")


def read(answers: Mapping[str, Any], name: str) -> Rules:
    """Write down the rules that these answers hold. Raises ``FactUnreadable``."""
    wanted, subnets = _around(answers, name)
    groups = _convert(answers, "DescribeSecurityGroups", _Groups).security_groups
    acls = _convert(answers, "DescribeNetworkAcls", _Acls).network_acls
    missing = set(wanted) - {group.group_id for group in groups}
    if missing or (subnets and not acls):
        raise FactUnreadable(f"EC2 does not tell the rules of {', '.join(sorted(missing)) or 'the network ACL'}")
    lines = {*_group_lines(groups), *_acl_lines(acls)}
    return Rules(name, lines=tuple(sorted(lines)))


def drift(state: Rules, known_good: Sequence[str]) -> tuple[str, ...]:
    """Return what is there and was not (``+``), then what was there and is not (``-``)."""
    now, then = set(state.lines), set(known_good)
    return (*(f"+ {line}" for line in sorted(now - then)), *(f"- {line}" for line in sorted(then - now)))


def add_who(transport: CloudTransport, state: Rules, changed: Iterable[str]) -> Rules:
    """Add who changed what differs; best effort."""
    lines = list(changed)
    found = dict.fromkeys(match for line in lines for match in _RESOURCE.findall(line))
    if any(" uses " in line for line in lines):
        found = {state.instance: None, **found}
    return msgspec.structs.replace(state, trail=_trail(transport, list(found)[:ASKED], state.now))


def _trail(transport: CloudTransport, resources: Sequence[str], now: float) -> Trail:
    actors: list[Actor] = []
    since = datetime.fromtimestamp(now - LONGEST, UTC).isoformat(timespec="seconds")
    try:
        for name in resources:
            wanted = [{"AttributeKey": "ResourceName", "AttributeValue": name}]
            params = {"LookupAttributes": wanted, "StartTime": since, "PaginationConfig": {"MaxItems": 20}}
            actors += read_trail(transport.read(ApiCall("cloudtrail", "LookupEvents", params)), name)
    except Cancelled:
        raise
    except CrashcartError as error:
        return Trail(unreadable=error.message[:SHOWN])
    return Trail(tuple(sorted(actors, key=lambda actor: -actor.at)[:TOLD]))


def read_trail(answer: Any, resource: str) -> list[Actor]:
    """Read an answer of ``LookupEvents``: what changed something. Raises ``FactUnreadable``."""
    try:
        events = convert(answer, _Events).events
    except msgspec.ValidationError as error:
        raise FactUnreadable(f"the answer of LookupEvents lacks what is needed: {error}") from error
    changes = (event for event in events if event.read_only != "true")
    return [Actor(_moment(event.event_time), event.username or "?", event.event_name, resource) for event in changes]


def _around(answers: Mapping[str, Any], name: str) -> tuple[list[str], list[str]]:
    """Return the security groups and the subnets of an instance, those of all its interfaces."""
    listed = _convert(answers, "DescribeInstances", _Reservations).reservations
    instances = [one for part in listed for one in part.instances if one.instance_id == name]
    if len(instances) != 1:
        raise FactUnreadable(f"DescribeInstances shows {len(instances)} instances called {name}")
    (one,) = instances
    groups = {group.group_id for group in one.security_groups}
    groups |= {group.group_id for interface in one.network_interfaces for group in interface.groups}
    subnets = {one.subnet_id, *(interface.subnet_id for interface in one.network_interfaces)} - {""}
    return sorted(groups), sorted(subnets)


def _group_lines(groups: Iterable[_Ruled]) -> Iterator[str]:
    for group in groups:
        yield f"uses {group.group_id} {group.group_name}".rstrip()
        for way, permissions in (("in", group.ip_permissions), ("out", group.ip_permissions_egress)):
            for one in permissions:
                ports = _ports(one.from_port, one.to_port)
                what = f"{group.group_id} {way} {_PROTOCOLS.get(one.ip_protocol, one.ip_protocol)}{ports}"
                yield from (f"{what} {peer}" for peer in _peers(one))


def _peers(one: _Permission) -> Iterator[str]:
    yield from (part["CidrIp"] for part in one.ip_ranges if "CidrIp" in part)
    yield from (part["CidrIpv6"] for part in one.ipv6_ranges if "CidrIpv6" in part)
    yield from (part["PrefixListId"] for part in one.prefix_list_ids if "PrefixListId" in part)
    yield from (str(part["GroupId"]) for part in one.user_id_group_pairs if "GroupId" in part)


def _acl_lines(acls: Iterable[_Acl]) -> Iterator[str]:
    for acl in acls:
        yield f"uses {acl.network_acl_id}"
        for entry in acl.entries:
            ports = _ports(entry.port_range.low, entry.port_range.high) if entry.port_range else ""
            way, protocol = "out" if entry.egress else "in", _PROTOCOLS.get(entry.protocol, entry.protocol)
            peer = entry.cidr_block or entry.ipv6_cidr_block
            yield f"{acl.network_acl_id} {way} {entry.rule_number} {entry.rule_action} {protocol}{ports} {peer}".rstrip()


def _ports(low: int | None, high: int | None) -> str:
    if low is None or low == -1:
        return ""
    return f" {low}" if high in {None, low} else f" {low}-{high}"


def _moment(value: datetime | float) -> float:
    return value.timestamp() if isinstance(value, datetime) else float(value)


def _convert(answers: Mapping[str, Any], call: str, kind: type[Any]) -> Any:
    try:
        return convert(answers.get(call, {}), kind)
    except msgspec.ValidationError as error:
        raise FactUnreadable(f"the answer of {call} lacks what is needed: {error}") from error
