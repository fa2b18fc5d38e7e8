"""Every fault of the emulator, the recoveries that it can concern, and what may come of each, with the reason."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from crashcart.lab.aws.compute_seed import host_instances
from tests.aws.matrix.recoveries import Recovery
from tests.aws.matrix.rig import Rig

LONG = 6
"""Reads in a row that go wrong: more than botocore tries by itself."""

Sent = Literal["all", "some", "none", "undone"]
"""Which of a recovery's acts took effect: all, the first ones, none, or all and then what takes them back."""


class Ending(msgspec.Struct, frozen=True):
    """What a run may come to, and which acts have taken effect by then."""

    outcomes: frozenset[str]
    sent: Sent


def _ends(sent: Sent, *outcomes: str) -> Ending:
    return Ending(frozenset(outcomes), sent)


HEALED = _ends("all", "changed")


class Spoiling(msgspec.Struct, frozen=True):
    """A fault as it is put in: ``on`` the recovery's first act, the reads, the service, the resource, its member, or any.

    ``first`` is what a run may come to, ``resumed`` one whose first process is killed when the answer of its first act is
    there; where no act is sent, that process ends by itself and resuming repeats its verdict.
    """

    name: str
    on: Literal["act", "reads", "service", "resource", "member", "any"]
    why: str
    first: Ending = HEALED
    resumed: Ending = HEALED
    wanted: dict[str, Any] = {}
    only: tuple[str, ...] = ()
    deadline: str = "5m"

    def put_in(self, rig: Rig, recovery: Recovery) -> None:
        """Put the fault in."""
        service = {"service": recovery.service}
        match self.on:
            case "act":
                where = {**service, "action": recovery.acts[0]}
            case "reads":
                where = {**service, "action": "Describe.*"}
            case "service":
                where = service
            case "resource":
                where = {"resource": recovery.target}
            case "member":
                where = {"resource": host_instances(rig.emulator.client("ec2"))[recovery.member]}
            case "any":
                where = {}
        rig.emulator.fault(self.name, **where, **self.wanted)


_FAILOVERS = ("rds-cluster", "rds-instance", "cache", "cache-cluster")
_DATABASES = ("rds-cluster", "rds-instance")
_LAGGING = ("rds-cluster", "cache", "cache-cluster")
_REFUSED, _FAILED = _ends("none", "refused"), _ends("none", "failed")
_DEFEATED = _ends("all", "failed")
_ANOTHER = "who is killed never heard of it: when it is ruled out that the act took effect, it is sent again"

SPOILINGS: dict[str, Spoiling] = {
    "nothing": Spoiling("", "any", "all goes well"),
    "throttle-act": Spoiling("aws.throttle", "act", "certainly not done, so it is sent again after a pause"),
    "throttle-reads": Spoiling("aws.throttle", "reads", "everybody backs off, then looks again", wanted={"times": LONG}),
    "denied-act": Spoiling("aws.denied", "act", f"final, and nothing was done; {_ANOTHER}", first=_FAILED),
    "denied-reads": Spoiling(
        "aws.denied",
        "reads",
        "what cannot be looked at is not acted on",
        first=_FAILED,
        resumed=_FAILED,
        wanted={"times": 100},
    ),
    "error-act": Spoiling(
        "aws.error", "act", f"final, too; {_ANOTHER}", first=_FAILED, wanted={"value": "InvalidParameterValue"}
    ),
    "unavailable-act": Spoiling("aws.unavailable", "act", "a 5xx may have been done: looked for, ruled out, sent again"),
    "unavailable-reads": Spoiling("aws.unavailable", "reads", "looked again until it answers", wanted={"times": LONG}),
    "fails-after": Spoiling("aws.fails-after", "act", "a 5xx that was done: seen, not repeated"),
    "lost": Spoiling("aws.lost", "act", "done, the answer lost: seen, not repeated"),
    "timeout": Spoiling("aws.timeout", "act", "done, no answer: seen, not repeated", wanted={"seconds": 1.3}),
    "slow": Spoiling("aws.slow", "act", "an answer that is late is an answer", wanted={"seconds": 0.1}),
    "reset-act": Spoiling("aws.reset", "act", "nobody knows how far it came: looked for, ruled out, sent again"),
    "reset-reads": Spoiling("aws.reset", "reads", "looked again until it answers", wanted={"times": LONG}),
    "stale": Spoiling("aws.stale", "service", "who sees the state before the act waits, and does not act on it again"),
    "frozen": Spoiling("aws.frozen", "service", "the same, with the state before the run"),
    "stuck": Spoiling(
        "aws.failover-stuck",
        "resource",
        "accepted and not finished by the deadline: nobody can tell yet; what was switched off is owed",
        first=_ends("some", "unknown", "failed"),
        resumed=_ends("some", "unknown", "failed"),
        only=_FAILOVERS,
        deadline="60s",
    ),
    "abandoned": Spoiling(
        "aws.failover-abandoned",
        "resource",
        "accepted, and nothing comes of it: RDS-EVENT-0034 tells, so it is not sent again",
        first=_DEFEATED,
        resumed=_DEFEATED,
        only=_DATABASES,
    ),
    "fails": Spoiling(
        "aws.failover-fails",
        "resource",
        "RDS-EVENT-0069 tells that it failed",
        first=_DEFEATED,
        resumed=_DEFEATED,
        only=("rds-cluster",),
    ),
    "reverts": Spoiling(
        "aws.failover-reverts",
        "resource",
        "RDS-EVENT-0070 tells that the old writer is back",
        first=_DEFEATED,
        resumed=_DEFEATED,
        only=("rds-cluster",),
    ),
    "lag": Spoiling(
        "aws.lag",
        "any",
        "what has not arrived would be lost",
        first=_REFUSED,
        resumed=_REFUSED,
        wanted={"value": "500"},
        only=_LAGGING,
    ),
    "lag-unknown": Spoiling(
        "aws.lag", "any", "unknown is not zero", first=_REFUSED, resumed=_REFUSED, wanted={"value": "unknown"}, only=_LAGGING
    ),
    "maintenance": Spoiling("aws.maintenance", "resource", "it is shown, and gates nothing", only=_DATABASES),
    "no-capacity": Spoiling(
        "aws.no-capacity",
        "resource",
        "AWS has accepted what it cannot give; what came up stays",
        first=_DEFEATED,
        resumed=_DEFEATED,
        only=("asg-scale",),
    ),
    "failing-instances": Spoiling(
        "aws.failing-instances",
        "resource",
        "instances that come up and are replaced are not waited for",
        first=_DEFEATED,
        resumed=_DEFEATED,
        only=("asg-scale",),
    ),
    "unhealthy-joins": Spoiling(
        "aws.unhealthy",
        "member",
        "not healthy by the deadline: taken out again",
        first=_ends("undone", "unknown", "failed"),
        resumed=_ends("undone", "unknown", "failed"),
        only=("register",),
        deadline="60s",
    ),
    "unhealthy-leaves": Spoiling("aws.unhealthy", "member", "who serves nobody may leave", only=("deregister",)),
    "impaired": Spoiling(
        "aws.impaired", "member", "nobody is sent to a sick instance", first=_REFUSED, resumed=_REFUSED, only=("register",)
    ),
    "requests-fail": Spoiling("aws.5xx", "resource", "triage tells; who fails may be taken out", only=("deregister",)),
    "no-metrics": Spoiling(
        "aws.no-metrics", "resource", "health decides, not what is counted", only=("register", "deregister")
    ),
    "health-issue": Spoiling(
        "aws.health-issue", "any", "triage tells; it gates nothing", wanted={"resource": "RDS"}, only=_DATABASES
    ),
    "storage-filling": Spoiling("aws.storage-filling", "resource", "triage tells; it gates nothing", only=("rds-instance",)),
    "service-update": Spoiling(
        "aws.service-update", "resource", "it is shown, and gates nothing", only=("cache", "cache-cluster", "cache-reboot")
    ),
}
