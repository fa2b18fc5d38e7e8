"""What ``rds.failover`` is asked for, what it pins, and which reader it chooses."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from crashcart.facts.rds import EVENTS, LAG, OWN_EVENTS, Cluster, Database, Member
from crashcart.facts.rds_lag import Lag
from crashcart.facts.rds_status import AVAILABLE, FAILING_OVER, REBOOTING, Standing
from crashcart.values import Duration

KINDS = ("rds_cluster", "rds_instance")

_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:-[A-Za-z0-9]+)*")


class AssessWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which kind of database it is; empty: find out, in one more call."""

    kind: str = ""

    def __post_init__(self) -> None:
        if self.kind and self.kind not in KINDS:
            raise ValueError(f"kind: expected {' or '.join(KINDS)}, got {self.kind!r}")


class FailoverWish(AssessWish, frozen=True, forbid_unknown_fields=True):
    """Another writer than now: ``to`` if it is named.

    Refused within ``cooldown`` of the last failover, when the reader is more than ``max_lag`` behind or nobody knows how
    far, and of a writer that works unless ``force``d. It has to stay so for ``settle``. Times are in seconds.
    """

    to: str = ""
    force: bool = False
    cooldown: Duration = Duration(900)
    max_lag: Duration = Duration(10)
    accept_unknown_lag: bool = False
    settle: Duration = Duration(10)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.to and not _IDENTIFIER.fullmatch(self.to):
            raise ValueError(f"to: expected the name of a DB instance such as db-2, got {self.to!r}")

    @property
    def target(self) -> str:
        """``to`` as RDS writes names."""
        return self.to.lower()


class FailoverGoal(msgspec.Struct, frozen=True):
    """The failover in absolute terms, from the first look.

    ``writer_not`` is the writer then, ``writer`` the one that shall be; empty: any other. Of a Multi-AZ instance, whose two
    sides look alike, ``zone_not`` is where it was. Events count when they are newer than ``after``, AWS's time of the last
    one then; None: not known. ``was_moving`` says that somebody's failover was under way already.
    """

    writer_not: str = ""
    writer: str = ""
    zone_not: str = ""
    after: float | None = None
    was_moving: bool = False


def make_goal(pin: Database, wish: FailoverWish) -> FailoverGoal:
    """Pin what is, and choose what shall be."""
    after = pin.recent.newest if pin.recent else None
    if pin.instance:
        return FailoverGoal(zone_not=pin.instance.zone, after=after, was_moving=pin.status == REBOOTING)
    cluster = pin.cluster
    if cluster is None or cluster.writer is None:
        return FailoverGoal(writer=wish.target, after=after, was_moving=pin.status == FAILING_OVER)
    chosen = choose(cluster, pin.lag or Lag()) if cluster.takes_target else None
    writer = wish.target or (chosen.name if chosen else "")
    return FailoverGoal(cluster.writer.name, writer, after=after, was_moving=pin.status == FAILING_OVER)


def choose(cluster: Cluster, lag: Lag) -> Member | None:
    """Choose the reader to promote among the available ones: lowest tier, then the writer's class, then lowest lag.

    One whose lag is unknown comes after all whose lag is known; names break ties, so that the choice is always the same.
    """
    writer = cluster.writer

    def rank(member: Member) -> tuple[int, bool, float, str]:
        behind = lag.of(member.name)
        other_class = writer is not None and member.db_class != writer.db_class
        return member.tier, other_class, float("inf") if behind is None else behind, member.name

    return min(cluster.available_readers, key=rank, default=None)


def chosen_from(seen: Database, wish: FailoverWish) -> frozenset[str]:
    """Return the dearer facts that a plain look calls for, so that they are part of the pin and cost no second look.

    An act is chosen from events and lag; whether a writer that works has just become it shows in events. What is already as
    it is wanted needs neither.
    """
    cluster = seen.cluster
    if cluster is None:
        return frozenset({EVENTS})
    if cluster.status != AVAILABLE or cluster.writer is None or cluster.writer.name == wish.target:
        return frozenset()
    if wish.force or cluster.writer.standing is Standing.DOWN:
        return frozenset({EVENTS, LAG})
    return frozenset() if wish.to else frozenset({OWN_EVENTS})


def named(members: Iterable[Member]) -> str:
    """List members with what is unusual about them, or say that there are none."""
    return ", ".join(member.line for member in members) or "none"
