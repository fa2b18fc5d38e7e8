"""The faults that can be put into the emulated AWS, by name.

There are two sorts. Faults on the way spoil single calls: refused, lost, late, or answered from memory. Standing ones make
something true of a resource, and the services behave accordingly.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from crashcart.errors import BadInput, nearest

Means = Literal["error", "lose", "hold", "slow", "reset", "stale", "frozen", "condition"]
About = Literal["writes", "reads", "any"]

LONGEST_HOLD = 60.0
"""Seconds for which a connection is held at most."""


class AwsFault(msgspec.Struct, frozen=True):
    """A fault. ``after`` says that the call takes effect before it goes wrong; ``value`` is a default, or ``?`` for none."""

    name: str
    summary: str
    means: Means
    about: About = "any"
    after: bool = False
    status: int = 400
    value: str = ""
    message: str = ""
    condition: str = ""
    times: int | None = 1
    seconds: float = 0.0


_ALL = (
    AwsFault("aws.throttle", "the call is refused: too many requests", "error", value="Throttling", message="Rate exceeded"),
    AwsFault("aws.denied", "the call is refused: access denied", "error", status=403, value="AccessDenied"),
    AwsFault("aws.error", "the call is refused with the error code that --value names", "error", value="?"),
    AwsFault(
        "aws.unavailable", "503, and nothing was done", "error", status=503, value="ServiceUnavailable", message="try later"
    ),
    AwsFault(
        "aws.fails-after", "500, although it was done", "error", "writes", after=True, status=500, value="InternalFailure"
    ),
    AwsFault("aws.lost", "it is done, and the connection closes without an answer", "lose", "writes", after=True),
    AwsFault("aws.timeout", "it is done, and no answer comes for --seconds", "hold", "writes", after=True, seconds=35.0),
    AwsFault("aws.slow", "the answer takes --seconds longer", "slow", seconds=2.0),
    AwsFault("aws.reset", "the connection is reset, and nothing was done", "reset"),
    AwsFault("aws.stale", "for --seconds after the next write, reads show what was before it", "stale", seconds=10.0),
    AwsFault(
        "aws.frozen", "for --seconds from now, reads show what they showed last", "frozen", "reads", times=None, seconds=10.0
    ),
    AwsFault(
        "aws.failover-stuck",
        "a failover of the resource begins and does not end until this is cleared",
        "condition",
        condition="failover.stuck",
        times=None,
    ),
    AwsFault(
        "aws.failover-abandoned",
        "a failover of the resource is accepted, and abandoned (RDS-EVENT-0034)",
        "condition",
        condition="failover.abandoned",
    ),
    AwsFault("aws.failover-fails", "a cluster's failover fails (RDS-EVENT-0069)", "condition", condition="failover.fails"),
    AwsFault(
        "aws.failover-reverts",
        "a cluster promotes the old writer again (RDS-EVENT-0070)",
        "condition",
        condition="failover.reverts",
    ),
    AwsFault(
        "aws.lag",
        "a replica is --value seconds behind; 'unknown': CloudWatch has no values",
        "condition",
        value="?",
        condition="replica.lag",
        times=None,
    ),
    AwsFault(
        "aws.maintenance",
        "a database has maintenance pending",
        "condition",
        value="system-update",
        condition="rds.maintenance",
        times=None,
    ),
    AwsFault(
        "aws.storage-filling",
        "a database's storage has been filling for a day, and is full in --value hours",
        "condition",
        value="6",
        condition="rds.storage",
        times=None,
    ),
    AwsFault(
        "aws.no-capacity",
        "a scaling group's launches fail with the EC2 code of --value",
        "condition",
        value="InsufficientInstanceCapacity",
        condition="asg.launch",
        times=None,
    ),
    AwsFault(
        "aws.failing-instances",
        "a scaling group's new instances fail their health checks",
        "condition",
        condition="asg.failing-instances",
        times=None,
    ),
    AwsFault(
        "aws.unhealthy",
        "a target, or all of a target group, fails its health check",
        "condition",
        condition="elbv2.unhealthy",
        times=None,
    ),
    AwsFault(
        "aws.5xx",
        "a target group, or a load balancer, answers --value requests a minute with 5xx",
        "condition",
        value="30",
        condition="elbv2.5xx",
        times=None,
    ),
    AwsFault(
        "aws.no-metrics",
        "CloudWatch counts nothing of a target group or load balancer",
        "condition",
        condition="elbv2.no-metrics",
        times=None,
    ),
    AwsFault(
        "aws.health-issue",
        "AWS Health shows an open issue with the service of --resource, such as RDS ('ours' in --value: with this account)",
        "condition",
        value="public",
        condition="health.issue",
        times=None,
    ),
    AwsFault(
        "aws.service-update",
        "a replication group has a service update of the status in --value",
        "condition",
        value="not-applied",
        condition="elasticache.update",
        times=None,
    ),
    AwsFault(
        "aws.impaired",
        "an instance fails its status check ('system' in --value: its host too)",
        "condition",
        value="instance",
        condition="ec2.impaired",
        times=None,
    ),
)

AWS_FAULTS: dict[str, AwsFault] = {fault.name: fault for fault in _ALL}


class Wanted(msgspec.Struct, forbid_unknown_fields=True):
    """A fault as it is asked for. What is left out matches everything, or is the fault's default."""

    name: str
    service: str = ""
    action: str = ""
    resource: str = ""
    times: int | None = None
    seconds: float | None = None
    value: str = ""


def known_fault(name: str) -> AwsFault:
    """Return the fault of that name. Raises ``BadInput`` with the nearest."""
    if name not in AWS_FAULTS:
        raise BadInput(f"there is no fault {name!r} for AWS", hint=nearest(name, AWS_FAULTS) or "inv lab.fault-list")
    return AWS_FAULTS[name]


def checked(wanted: Wanted) -> Wanted:
    """Return what is asked for with the defaults filled in. Raises ``BadInput``."""
    fault = known_fault(wanted.name)
    seconds = fault.seconds if wanted.seconds is None else wanted.seconds
    times = fault.times if wanted.times is None else wanted.times
    value = wanted.value or fault.value or ("on" if fault.condition else "")
    if value == "?":
        raise BadInput(f"{fault.name} needs a value", hint=f"--value: {fault.summary}")
    if times is not None and times < 1:
        raise BadInput(f"times: expected 1 or more, got {times}")
    longest = LONGEST_HOLD if fault.means in {"hold", "slow"} else 86400.0
    if not 0 <= seconds <= longest:
        raise BadInput(f"seconds: expected 0 to {longest:g}, got {seconds:g}")
    if fault.condition and (wanted.service or wanted.action):
        raise BadInput(f"{fault.name} is about a resource, not about calls", hint="name it with --resource")
    return msgspec.structs.replace(wanted, times=times, seconds=seconds, value=value)
