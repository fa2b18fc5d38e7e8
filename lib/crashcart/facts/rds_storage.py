"""How much storage a database has left, and where that is going, as CloudWatch measured it in a day: one more call.

Seed rows S0-D10 ("size trend") and S0-D11 ("storage free"). The seeds ask the database itself for its size
(``pg_database_size``, S0 lines 115-121), which looks at every file of it: nothing to be done on a primary that is dying.
CloudWatch has measured all the time, and asking it costs the database nothing.

- ``FreeStorageSpace`` of an instance, and of the members of a Multi-AZ DB cluster: the least of each hour, in bytes.
- ``VolumeBytesUsed`` of an Aurora cluster: its volume grows by itself, up to 128 TiB, so that only the trend says something.
- ``FreeLocalStorage`` of an Aurora member: temporary files and logs, on storage that comes with the instance's class.

Metrics and their dimensions: "Amazon CloudWatch metrics for Amazon RDS" and "... for Amazon Aurora" in the user guides.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from crashcart.decoding import convert, from_json
from crashcart.errors import Cancelled, CrashcartError, FactUnreadable
from crashcart.facts import rds
from crashcart.facts.rds import Database
from crashcart.facts.rds_events import SHOWN
from crashcart.facts.trend import Value, per_day, until_empty
from crashcart.transports.base import ApiCall, CloudTransport

HOUR = 3600
WINDOW = 24 * HOUR
"""Seconds that are looked back on, the current hour included."""

FRESH = 3 * HOUR
"""Seconds after which a value says nothing of now."""

GIB = 1024**3

FREE, USED, LOCAL = "FreeStorageSpace", "VolumeBytesUsed", "FreeLocalStorage"
"""The metrics; all are in bytes."""

_FAILED = frozenset({"InternalError", "Forbidden"})


class Volume(msgspec.Struct, frozen=True):
    """One metric of one resource: an hourly value in bytes each, oldest first; none where CloudWatch has none of now.

    ``allocated`` is its size and ``grows_to`` where autoscaling ends, in bytes (0: not known, or none). ``cluster`` is the
    Multi-AZ DB cluster that the storage of a member is changed with.
    """

    name: str
    metric: str = FREE
    allocated: int = 0
    grows_to: int = 0
    cluster: str = ""
    values: tuple[Value, ...] = ()

    @property
    def last(self) -> float | None:
        """The newest value in bytes, if there is any."""
        return self.values[-1].amount if self.values else None

    @property
    def percent(self) -> float | None:
        """What is free of what is allocated."""
        return None if self.last is None or not self.allocated else 100 * self.last / self.allocated

    @property
    def daily(self) -> float | None:
        """By how many bytes it changes in a day; None: not known."""
        return per_day(self.values)

    @property
    def full_in(self) -> float | None:
        """Seconds until nothing is free at the rate of the day; None: never, or not known."""
        return None if self.metric == USED or self.last is None else until_empty(self.last, self.daily)


class Storage(msgspec.Struct, frozen=True):
    """The storage of a database; ``unreadable`` says why nothing is known of it."""

    name: str
    volumes: tuple[Volume, ...] = ()
    unreadable: str = ""


class _Result(msgspec.Struct, rename="pascal"):
    id: str
    timestamps: list[datetime] = []
    values: list[float] = []
    status_code: str = "Complete"


class _Answer(msgspec.Struct, rename="pascal"):
    metric_data_results: list[_Result]


def observe(transport: CloudTransport, kind: str) -> Storage:
    """Describe the database, and ask CloudWatch once. Raises as ``rds.observe`` does; what is not told is unknown."""
    seen = rds.observe(transport, kind)
    volumes, now = tuple(volumes_of(seen)), time.time()
    try:
        return Storage(seen.name, read(transport.read(query(volumes, now)), volumes, now))
    except Cancelled:
        raise
    except CrashcartError as error:
        return Storage(seen.name, unreadable=error.message[:SHOWN])


def volumes_of(seen: Database) -> Iterator[Volume]:
    """Name what has storage of its own in a database, without values."""
    one, cluster = seen.instance, seen.cluster
    if one:
        yield _volume(one, one.engine, one.cluster)
    if cluster:
        if _is_aurora(cluster.engine):
            yield Volume(cluster.name, USED)
        yield from (_volume(member, cluster.engine, cluster.name) for member in cluster.members)


def query(volumes: Sequence[Volume], now: float) -> ApiCall:
    """Return the one call that asks for a day of these, in whole hours, the current one included."""
    end = now // HOUR * HOUR + HOUR
    queries = [_measured(f"m{number}", volume) for number, volume in enumerate(volumes)]
    span = {"StartTime": _iso(end - WINDOW), "EndTime": _iso(end)}
    return ApiCall("cloudwatch", "GetMetricData", {"MetricDataQueries": queries, **span, "ScanBy": "TimestampAscending"})


def parse(stdout: bytes) -> tuple[Volume, ...]:
    """Read one answer of ``GetMetricData`` from JSON, about an instance with 100 GiB, at the newest value's moment.

    Raises ``FactUnreadable``.
    """
    return read(from_json(stdout), (Volume("db-1", allocated=100 * GIB),), now=None)


def read(answer: Any, volumes: Sequence[Volume], now: float | None) -> tuple[Volume, ...]:
    """Add to the volumes what an answer of ``GetMetricData`` says of them, unless too old. Raises ``FactUnreadable``."""
    try:
        results = convert(answer, _Answer, strict=False).metric_data_results
    except msgspec.ValidationError as error:
        raise FactUnreadable(f"the answer of GetMetricData lacks what is needed: {error}") from error
    found: dict[str, dict[float, float]] = {}
    for result in results:  # a query's values may come on several pages
        if result.status_code in _FAILED or len(result.timestamps) != len(result.values):
            raise FactUnreadable(f"the answer of GetMetricData is not whole: {result.id} is {result.status_code}")
        moments = (_seconds(moment) for moment in result.timestamps)
        found.setdefault(result.id, {}).update(zip(moments, result.values, strict=True))
    return tuple(_with(volume, found.get(f"m{number}", {}), now) for number, volume in enumerate(volumes))


def _with(volume: Volume, found: dict[float, float], now: float | None) -> Volume:
    values = tuple(Value(at, found[at]) for at in sorted(found))
    if not values or (now is not None and now - values[-1].at > FRESH):
        return volume
    return msgspec.structs.replace(volume, values=values)


def _volume(one: rds.Instance | rds.Member, engine: str, cluster: str) -> Volume:
    if _is_aurora(engine):
        return Volume(one.name, LOCAL)
    return Volume(one.name, FREE, one.allocated * GIB, one.grows_to * GIB, cluster)


def _is_aurora(engine: str) -> bool:
    return engine.startswith("aurora")


def _measured(number: str, volume: Volume) -> dict[str, Any]:
    used = volume.metric == USED
    named = {"Name": "DBClusterIdentifier" if used else "DBInstanceIdentifier", "Value": volume.name}
    metric = {"Namespace": "AWS/RDS", "MetricName": volume.metric, "Dimensions": [named]}
    stat = {"Metric": metric, "Period": HOUR, "Stat": "Maximum" if used else "Minimum"}
    return {"Id": number, "MetricStat": stat, "ReturnData": True}


def _seconds(moment: datetime) -> float:
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")
