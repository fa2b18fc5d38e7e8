"""What the operations on a replication group are asked for, what they pin, and which replica a failover chooses."""

from __future__ import annotations

import re

import msgspec

from crashcart.facts.elasticache import EVENTS, LAG, NODES, Cache, Node, Nodes, Shard
from crashcart.facts.elasticache_events import Event, EventKind, Recent
from crashcart.facts.elasticache_lag import Lag
from crashcart.facts.elasticache_status import ENABLED
from crashcart.facts.rds_status import Standing
from crashcart.values import Duration

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:-[A-Za-z0-9]+)*")
_SHARD = re.compile(r"[0-9]{1,4}")
_NODE_IDS = re.compile(r"[0-9]{4}(?:,[0-9]{4})*")


class AssessWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """There is nothing to choose."""


class FailoverWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Another primary of one node group than now: ``to`` if it is named.

    ``node_group`` may be left out where there is one. Refused within ``cooldown`` of the last failover, when the replica is
    more than ``max_lag`` behind or nobody knows how far, and of a primary that works unless ``force``d. ``test_failover``
    uses AWS's test call instead of a promotion, within ``test_quota`` calls a day in the account and region; with cluster
    mode there is no other. It has to stay so for ``settle``. Times are in seconds.
    """

    to: str = ""
    node_group: str = ""
    test_failover: bool = False
    force: bool = False
    cooldown: Duration = Duration(900)
    max_lag: Duration = Duration(10)
    accept_unknown_lag: bool = False
    test_quota: int = 15
    settle: Duration = Duration(10)

    def __post_init__(self) -> None:
        if self.to and not _NAME.fullmatch(self.to):
            raise ValueError(f"to: expected the name of a node such as cache-002, got {self.to!r}")
        if self.node_group and not _SHARD.fullmatch(self.node_group):
            raise ValueError(f"node_group: expected a number such as 0001, got {self.node_group!r}")
        if self.test_quota < 0:
            raise ValueError(f"test_quota: expected a number of calls such as 15, got {self.test_quota}")

    @property
    def target(self) -> str:
        """``to`` as ElastiCache writes names."""
        return self.to.lower()

    @property
    def shard(self) -> str:
        """``node_group`` as ElastiCache writes it."""
        return self.node_group.zfill(4) if self.node_group else ""


class SettingsWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Both settings as they shall be.

    Where they are so already, that is believed when it has been seen for ``settle`` seconds: a change that somebody asked
    for a moment ago may not show yet.
    """

    automatic_failover: bool
    multi_az: bool
    settle: Duration = Duration(0)

    def __post_init__(self) -> None:
        if self.multi_az and not self.automatic_failover:
            raise ValueError("multi_az: expected false where automatic_failover is, since it needs that")


class RebootWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Reboot these nodes (``0001,0002``) of a member of the group; what they hold is lost.

    Not again within ``cooldown`` of the last reboot; a primary that has replicas only if ``force``d. Times are in seconds.
    """

    cluster: str
    node_ids: str
    force: bool = False
    cooldown: Duration = Duration(900)
    settle: Duration = Duration(10)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.cluster):
            raise ValueError(f"cluster: expected the name of a member such as cache-002, got {self.cluster!r}")
        if not _NODE_IDS.fullmatch(self.node_ids.replace(" ", "")):
            raise ValueError(f"node_ids: expected ids such as 0001 or 0001,0002, got {self.node_ids!r}")

    @property
    def member(self) -> str:
        """``cluster`` as ElastiCache writes names."""
        return self.cluster.lower()

    @property
    def ids(self) -> tuple[str, ...]:
        """The node ids, each once."""
        return tuple(dict.fromkeys(self.node_ids.replace(" ", "").split(",")))


class FailoverGoal(msgspec.Struct, frozen=True):
    """The failover in absolute terms, from the first look.

    ``primary_not`` is the primary of ``shard`` then, as far as it was told, ``primary`` the one that shall be; empty: any
    other. The two settings are as they were and shall be again. Events count when they are newer than ``after``, AWS's time
    of the last one then; None: not known. ``was_moving`` says that somebody's failover was under way already.
    """

    shard: str = ""
    primary_not: str = ""
    primary: str = ""
    automatic_failover: bool = False
    multi_az: bool = False
    after: float | None = None
    was_moving: bool = False


class RebootGoal(msgspec.Struct, frozen=True):
    """Restarts count when they are newer than ``after``, AWS's time of the last one at the first look; None: not known."""

    after: float | None = None


def tests_only(seen: Cache, wish: FailoverWish) -> bool:
    """Tell whether it is AWS's test call that fails over: with cluster mode, or by wish."""
    return wish.test_failover or seen.group.is_clustered


def make_goal(pin: Cache, wish: FailoverWish) -> FailoverGoal:
    """Pin what is, and choose what shall be."""
    group, shard = pin.group, pin.group.shard(wish.shard)
    if shard is None:
        return FailoverGoal()
    chosen = None if tests_only(pin, wish) else choose(shard, pin.lag or Lag(), pin.nodes or Nodes())
    return FailoverGoal(
        shard=shard.name,
        primary_not=primary_of(pin, shard),
        primary=wish.target or (chosen.name if chosen else ""),
        automatic_failover=group.automatic_failover == ENABLED,
        multi_az=group.multi_az == ENABLED,
        after=pin.recent.newest if pin.recent else None,
        was_moving=bool(group.next_primary or (pin.recent and pin.recent.open_test(shard.name, shard.members))),
    )


def primary_of(seen: Cache, shard: Shard) -> str:
    """Return the primary: as the roles say, and where there are none as the last failover told; else empty."""
    if shard.primary:
        return shard.primary.name
    told = last_completed(seen.recent, shard) if seen.group.is_clustered else None
    return told.to if told else ""


def last_completed(recent: Recent | None, shard: Shard) -> Event | None:
    """Return the newest completed failover of a node group."""
    told = recent.of_shard(shard.name, shard.members) if recent else ()
    return next((event for event in reversed(told) if event.kind is EventKind.COMPLETED), None)


def choose(shard: Shard, lag: Lag, nodes: Nodes) -> Node | None:
    """Choose the replica to promote: one that serves, in another zone than the primary's, with the lowest lag.

    One whose lag is unknown comes after all whose lag is known, one whose status is unknown after all that serve; names
    break ties, so that the choice is always the same.
    """
    zone = shard.primary.zone if shard.primary else ""

    def rank(node: Node) -> tuple[bool, bool, float, str]:
        behind = lag.of(node.name)
        unsure = nodes.standing(node.name) is not Standing.SERVING
        return unsure, bool(zone) and node.zone == zone, float("inf") if behind is None else behind, node.name

    return min(shard.replicas, key=rank, default=None)


def called_for(seen: Cache, wish: FailoverWish) -> frozenset[str]:
    """Return the dearer facts that what is seen calls for, so that they are part of the pin and cost no second look.

    Of what is already as it is wanted, only how the nodes are is said. Whether a failover has just ended shows in events,
    whether a primary is sick in its node; and only for a sick one, or when forced, a replica is chosen.
    """
    group, shard = seen.group, seen.group.shard(wish.shard)
    if shard is None:
        return frozenset()
    if shard.primary and shard.primary.name == wish.target:
        return frozenset({NODES})
    if not group.is_steady:
        return frozenset({EVENTS})
    if tests_only(seen, wish):
        return frozenset({EVENTS, LAG} if wish.force else {EVENTS})
    if wish.force:
        return frozenset({EVENTS, LAG, NODES})
    return _called_for_by_the_sick(seen, shard, wish)


def _called_for_by_the_sick(seen: Cache, shard: Shard, wish: FailoverWish) -> frozenset[str]:
    if not wish.to and seen.recent is None:
        return frozenset({EVENTS})
    if just_moved(seen, shard, wish):
        return frozenset({EVENTS})
    sick = shard.primary and seen.nodes and seen.nodes.standing(shard.primary.name) is Standing.DOWN
    return frozenset({EVENTS, NODES, LAG} if sick else {NODES} | ({EVENTS} if seen.recent else set()))


def just_moved(seen: Cache, shard: Shard, wish: FailoverWish) -> Event | None:
    """Return the failover within the cooldown that made the primary what it is, where none is named."""
    told = last_completed(seen.recent, shard)
    if wish.to or wish.force or seen.recent is None or told is None or told.at < seen.recent.at - wish.cooldown:
        return None
    return told if not shard.primary or shard.primary.name == told.to else None
