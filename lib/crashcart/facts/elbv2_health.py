"""The health of a target group's targets, in the states and reasons of ``DescribeTargetHealth``."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

import msgspec

from crashcart.decoding import convert
from crashcart.errors import FactUnreadable
from crashcart.transports.base import ApiCall, CloudTransport


class State(StrEnum):
    """How the load balancer sees a target."""

    HEALTHY = "healthy"
    INITIAL = "initial"
    UNHEALTHY = "unhealthy"
    DRAINING = "draining"
    UNUSED = "unused"
    UNKNOWN = "unknown"
    """``unavailable``, and every word that is not listed here; never healthy."""


_STATES = {"unhealthy.draining": State.UNHEALTHY, **{state.value: state for state in State}}

NOT_IN_USE = "Target.NotInUse"
"""The reason of a target whose group no load balancer forwards to, or whose zone the load balancer is not in."""

NOT_REGISTERED = "Target.NotRegistered"


class Backend(msgspec.Struct, frozen=True):
    """A target as it is registered: an instance or an address at a port; ``said`` is AWS's reason and description."""

    id: str
    port: int | None
    state: State
    reason: str = ""
    said: str = ""
    zone: str = ""

    @property
    def registered(self) -> bool:
        """Whether it is registered, and not on its way out."""
        return self.state is not State.DRAINING and self.reason != NOT_REGISTERED

    @property
    def idle(self) -> bool:
        """Whether no load balancer sends it anything, so that nobody checks its health."""
        return self.state is State.UNUSED and self.reason == NOT_IN_USE

    @property
    def line(self) -> str:
        """Its name and state, with the reason where it is not healthy."""
        why = self.said or self.reason
        return f"{self.id} {self.state}" if self.state is State.HEALTHY or not why else f"{self.id} {self.state} ({why})"


class _Target(msgspec.Struct, rename="pascal"):
    id: str
    port: int | None = None
    availability_zone: str = ""


class _Health(msgspec.Struct, rename="pascal"):
    state: str
    reason: str | None = None
    description: str | None = None


class _Described(msgspec.Struct, rename="pascal"):
    target: _Target
    target_health: _Health


class _Answer(msgspec.Struct, rename="pascal"):
    target_health_descriptions: list[_Described]


def observe(transport: CloudTransport, arn: str) -> tuple[Backend, ...]:
    """Ask for the health of all targets of a group. Raises ``FactUnreadable`` and the transport's errors."""
    return read(transport.read(ApiCall("elbv2", "DescribeTargetHealth", {"TargetGroupArn": arn})))


def read(answer: Any) -> tuple[Backend, ...]:
    """Read an answer of ``DescribeTargetHealth``. Raises ``FactUnreadable``."""
    try:
        described = convert(answer, _Answer, strict=False).target_health_descriptions
    except msgspec.ValidationError as error:
        raise FactUnreadable(f"the answer of DescribeTargetHealth lacks what is needed: {error}") from error
    return tuple(_backend(found) for found in described)


def named(backends: Iterable[Backend]) -> str:
    """List targets with their states, at most eight of them, or say that there are none."""
    lines = [backend.line for backend in backends]
    more = f" and {len(lines) - 8} more" if len(lines) > 8 else ""
    return (", ".join(lines[:8]) or "none") + more


def short_name(arn: str) -> str:
    """Return the name in a target group's ARN."""
    parts = arn.split("/")
    return parts[1] if len(parts) > 1 else arn


def _backend(found: _Described) -> Backend:
    health = found.target_health
    state = _STATES.get(health.state, State.UNKNOWN)
    return Backend(
        found.target.id,
        found.target.port,
        state,
        health.reason or "",
        health.description or ("" if state is not State.UNKNOWN else f"AWS calls it {health.state!r}"),
        found.target.availability_zone,
    )
