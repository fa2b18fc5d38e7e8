"""How far the readers of a cluster are behind its writer, as CloudWatch measured it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from crashcart.decoding import convert
from crashcart.errors import Cancelled, CrashcartError, FactUnreadable
from crashcart.facts.rds_events import SHOWN
from crashcart.transports.base import ApiCall, CloudTransport

FRESH = 300.0
"""Seconds after which a measurement says nothing about now."""

_AURORA = ("AuroraReplicaLag", 0.001)
_MULTI_AZ = ("ReplicaLag", 1.0)
"""Metric and seconds in one of its units: Aurora counts milliseconds, a Multi-AZ cluster seconds."""


class Lag(msgspec.Struct, frozen=True):
    """Seconds behind the writer, by instance; one that is missing is unknown. ``unreadable`` says why nothing is known."""

    seconds: dict[str, float] = {}
    unreadable: str = ""

    def of(self, name: str) -> float | None:
        """Return how far this one is behind, or None when that is not known."""
        return self.seconds.get(name)


class _Result(msgspec.Struct, rename="pascal"):
    id: str
    values: list[float] = []


class _Answer(msgspec.Struct, rename="pascal"):
    metric_data_results: list[_Result]


def query(engine: str, names: Sequence[str], now: float) -> ApiCall:
    """Return the one call that asks for the lag of these instances, newest value first."""
    metric, _ = _metric(engine)
    return ApiCall(
        "cloudwatch",
        "GetMetricData",
        {
            "MetricDataQueries": [_measured(f"m{number}", metric, name) for number, name in enumerate(names)],
            "StartTime": datetime.fromtimestamp(now - FRESH, UTC).isoformat(timespec="seconds"),
            "EndTime": datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds"),
            "ScanBy": "TimestampDescending",
        },
    )


def observe(transport: CloudTransport, engine: str, names: Sequence[str]) -> Lag:
    """Ask for the lag of these instances. What cannot be had is unknown, and ``unreadable`` says why."""
    if not names:
        return Lag()
    try:
        return read(transport.read(query(engine, names, time.time())), engine, names)
    except Cancelled:
        raise
    except CrashcartError as error:
        return Lag(unreadable=error.message[:SHOWN])


def read(answer: Mapping[str, Any], engine: str, names: Sequence[str]) -> Lag:
    """Read an answer of ``GetMetricData``. Raises ``FactUnreadable``."""
    try:
        results = convert(answer, _Answer, strict=False).metric_data_results
    except msgspec.ValidationError as error:
        raise FactUnreadable(f"the answer of GetMetricData lacks what is needed: {error}") from error
    _, unit = _metric(engine)
    by_id = {f"m{number}": name for number, name in enumerate(names)}
    # A query's values may come on several pages, newest first.
    newest: dict[str, float] = {}
    for result in results:
        if result.values and result.id in by_id:
            newest.setdefault(by_id[result.id], round(result.values[0] * unit, 4))
    return Lag(newest)


def _metric(engine: str) -> tuple[str, float]:
    return _AURORA if engine.startswith("aurora") else _MULTI_AZ


def _measured(number: str, metric: str, name: str) -> dict[str, Any]:
    measured = {
        "Namespace": "AWS/RDS",
        "MetricName": metric,
        "Dimensions": [{"Name": "DBInstanceIdentifier", "Value": name}],
    }
    return {"Id": number, "MetricStat": {"Metric": measured, "Period": 60, "Stat": "Maximum"}, "ReturnData": True}
