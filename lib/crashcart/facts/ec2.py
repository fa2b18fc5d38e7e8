"""An EC2 instance as AWS sees it: its state, its status checks, and what AWS has planned for it; one call.

Seed row S0-D13. What runs on it is not known here: for that, its host is a target of its own.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from crashcart.decoding import convert
from crashcart.errors import FactUnreadable
from crashcart.transports.base import ApiCall, CloudTransport

KIND = "ec2_instance"
"""The kind of target that this fact knows."""

DONE = ("[Completed]", "[Canceled]")
"""How the description of an event begins that is over; AWS lists it for a week."""


class Check(msgspec.Struct, frozen=True):
    """A status check: ``ok``, ``impaired``, ``initializing``, ``insufficient-data``, ``not-applicable``; and since when."""

    name: str
    status: str
    since: str = ""


class Planned(msgspec.Struct, frozen=True):
    """Something that AWS will do to the instance, not before a date (seconds since 1970; None: not told)."""

    what: str
    description: str = ""
    not_before: float | None = None


class InstanceState(msgspec.Struct, frozen=True):
    """One instance at ``now`` (seconds since 1970, our own clock)."""

    id: str
    state: str
    now: float = 0.0
    zone: str = ""
    checks: tuple[Check, ...] = ()
    planned: tuple[Planned, ...] = ()


class _State(msgspec.Struct, rename="pascal"):
    name: str


class _Detail(msgspec.Struct, rename="pascal"):
    impaired_since: Any = None


class _Status(msgspec.Struct, rename="pascal"):
    status: str
    details: list[_Detail] = []


class _Event(msgspec.Struct, rename="pascal"):
    code: str
    description: str = ""
    not_before: Any = None


class _Instance(msgspec.Struct, rename="pascal"):
    instance_id: str
    instance_state: _State
    availability_zone: str = ""
    system_status: _Status | None = None
    instance_status: _Status | None = None
    attached_ebs_status: _Status | None = None
    events: list[_Event] = []


class _Answer(msgspec.Struct, rename="pascal"):
    instance_statuses: list[_Instance]


def observe(transport: CloudTransport) -> InstanceState:
    """Ask for the instance's status. Raises ``FactUnreadable``, ``NoSuchResource`` and the transport's errors."""
    name = transport.resource
    params = {"InstanceIds": [name], "IncludeAllInstances": True}
    answer = transport.read(ApiCall("ec2", "DescribeInstanceStatus", params))
    return read(answer, name, datetime.now(UTC).timestamp())


def read(answer: Any, name: str, now: float) -> InstanceState:
    """Read an answer of ``DescribeInstanceStatus``. Raises ``FactUnreadable``."""
    try:
        listed = convert(answer, _Answer).instance_statuses
    except msgspec.ValidationError as error:
        raise FactUnreadable(f"DescribeInstanceStatus is not understood: {error}") from error
    if len(listed) != 1:
        raise FactUnreadable(f"DescribeInstanceStatus shows {len(listed)} instances called {name}")
    one = listed[0]
    kinds = (("system", one.system_status), ("instance", one.instance_status), ("attached EBS", one.attached_ebs_status))
    return InstanceState(
        id=one.instance_id,
        state=one.instance_state.name,
        now=now,
        zone=one.availability_zone,
        checks=tuple(_check(kind, status) for kind, status in kinds if status),
        planned=tuple(_planned(event) for event in one.events if not event.description.startswith(DONE)),
    )


def _check(name: str, status: _Status) -> Check:
    since = next((detail.impaired_since for detail in status.details if detail.impaired_since), None)
    return Check(name, status.status, f"{since:%Y-%m-%d %H:%M} UTC" if isinstance(since, datetime) else str(since or ""))


def _planned(event: _Event) -> Planned:
    at = event.not_before
    return Planned(event.code, event.description, at.timestamp() if isinstance(at, datetime) else None)
