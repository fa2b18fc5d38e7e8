"""``rds.storage`` says how much storage a database has left, and when it will be full (seed rows S0-D10, S0-D11)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from crashcart.facts import rds_storage
from crashcart.facts.rds_storage import GIB, LOCAL, USED, Storage, Volume
from crashcart.operations.aws_calls import reads
from crashcart.operations.base import CloudOperation, Decision, Done, Memory, NoGoal, Unknown
from crashcart.operations.findings import Finding, judge
from crashcart.operations.rds_wish import KINDS, AssessWish
from crashcart.results import Evidence, Verdict
from crashcart.transports.base import CloudTransport
from crashcart.values import Duration, Percent, format_size, format_span

STEADY = 1024.0**2
"""Bytes a day below which nothing is said of a change."""

FAR = 365 * 86400.0
"""Seconds beyond which it is not told when something will be full."""


class StorageWish(AssessWish, frozen=True, forbid_unknown_fields=True):
    """Degraded when less than ``free_below`` per cent is free, or nothing will be within ``full_within`` (seconds)."""

    free_below: Percent = Percent(10)
    full_within: Duration = Duration(86400)


class AssessStorage(CloudOperation[StorageWish, Storage, NoGoal]):
    """Tells what is free, how it changed in a day and when it ends; changes nothing, and asks the database nothing.

    Little storage makes a database degraded, never down: whether it has stopped for want of it is what its status says. The
    volume of an Aurora cluster grows by itself, so it is only told. Where CloudWatch has no values, nothing is claimed.
    """

    name = "rds.storage"
    kinds = KINDS
    reads_only = True
    calls = (
        reads("rds:DescribeDBClusters", "cluster:*"),
        reads("rds:DescribeDBInstances", "db:*"),
        reads("cloudwatch:GetMetricData"),
    )
    wish, state, goal_type = StorageWish, Storage, NoGoal

    def observe(self, transport: CloudTransport, wish: StorageWish, looks: frozenset[str]) -> Storage:
        """Describe the database, and ask CloudWatch in one call. Raises as ``rds.assess`` does."""
        return rds_storage.observe(transport, wish.kind)

    def goal(self, pin: Storage, wish: StorageWish) -> NoGoal:
        """There is none."""
        return NoGoal()

    def decide(self, state: Storage, memory: Memory[Storage, NoGoal], wish: StorageWish) -> Decision:
        """Judge what is free; nothing is waited for."""
        if state.unreadable:
            return Unknown(f"how much storage {state.name} has left is not known: {state.unreadable}")
        if all(volume.last is None for volume in state.volumes):
            return Done(f"how much storage {state.name} has left is unknown: CloudWatch has no values of the last hours")
        words = "; ".join(_words(volume) for volume in state.volumes)
        kept = (Evidence("storage in 24 h", lines=tuple(_line(volume) for volume in state.volumes)),)
        return judge(_findings(state, wish), words, kept)


def _findings(state: Storage, wish: StorageWish) -> Iterator[Finding]:
    for volume in state.volumes:
        percent, full_in = volume.percent, volume.full_in
        little = percent is not None and percent < wish.free_below
        soon = full_in is not None and full_in <= wish.full_within
        if little or soon:
            yield Finding(Verdict.DEGRADED, _words(volume), _hint(volume))


def _hint(volume: Volume) -> str:
    if volume.metric == LOCAL:
        who = f"--db-instance-identifier {volume.name}"
        return f"end what writes temporary files, or give it more: aws rds modify-db-instance {who} --db-instance-class ..."
    what = f"instance --db-instance-identifier {volume.name}"
    if volume.cluster:
        what = f"cluster --db-cluster-identifier {volume.cluster}"
    command = f"aws rds modify-db-{what} --allocated-storage ... --apply-immediately"
    if volume.grows_to > volume.allocated:
        return f"storage autoscaling lets it grow by itself up to {volume.grows_to // GIB} GiB; at once: {command}"
    return command


def _words(volume: Volume) -> str:
    """Say what is free, or of an Aurora volume what is used, and where it is going."""
    if volume.last is None:
        return f"{volume.name}: unknown"
    size = format_size(volume.last)
    if volume.metric == USED:
        return f"{volume.name}: the volume has {size}, {_trend(volume)}"
    if volume.metric == LOCAL:
        return f"{volume.name}: {size} of local storage free, {_trend(volume)}"
    share = f" of {format_size(volume.allocated)} free ({volume.percent:.0f} %)" if volume.allocated else " free"
    return f"{volume.name}: {size}{share}, {_trend(volume)}"


def _trend(volume: Volume) -> str:
    daily, full_in = volume.daily, volume.full_in
    if daily is None:
        return "trend unknown"
    change = "steady" if abs(daily) < STEADY else f"{'+' if daily > 0 else '-'}{format_size(abs(daily))} a day"
    return change if full_in is None or full_in > FAR else f"{change}, full in {format_span(full_in)}"


def _line(volume: Volume) -> str:
    if not volume.values:
        return f"{volume.metric} of {volume.name}: no values"
    first, last = (
        f"{format_size(one.amount)} at {datetime.fromtimestamp(one.at, UTC):%m-%d %H:%M} UTC"
        for one in (volume.values[0], volume.values[-1])
    )
    return f"{volume.metric} of {volume.name}: {first}, {last}; {_trend(volume)} ({len(volume.values)} hourly values)"
