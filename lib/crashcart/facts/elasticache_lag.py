"""How far the replicas of a node group are behind its primary, as CloudWatch measured it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from crashcart.decoding import convert
from crashcart.errors import Cancelled, CrashcartError, FactUnreadable
from crashcart.facts.elasticache_events import SHOWN
from crashcart.transports.base import ApiCall, CloudTransport

FRESH = 300.0
"""Seconds after which a measurement says nothing about now."""

METRIC = "ReplicationLag"
"""In seconds; CloudWatch has it of replicas only."""


class Lag(msgspec.Struct, frozen=True):
    """Seconds behind the primary, by node; one that is missing is unknown. ``unreadable`` says why nothing is known."""

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


def query(nodes: Sequence[tuple[str, str]], now: float) -> ApiCall:
    """Return the one call that asks for the lag of these (cache cluster, node id), newest value first."""
    return ApiCall(
        "cloudwatch",
        "GetMetricData",
        {
            "MetricDataQueries": [_measured(f"m{number}", *node) for number, node in enumerate(nodes)],
            "StartTime": datetime.fromtimestamp(now - FRESH, UTC).isoformat(timespec="seconds"),
            "EndTime": datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds"),
            "ScanBy": "TimestampDescending",
        },
    )


def observe(transport: CloudTransport, nodes: Sequence[tuple[str, str]]) -> Lag:
    """Ask for the lag of these nodes. What cannot be had is unknown, and ``unreadable`` says why."""
    if not nodes:
        return Lag()
    try:
        return read(transport.read(query(nodes, time.time())), [cluster for cluster, _ in nodes])
    except Cancelled:
        raise
    except CrashcartError as error:
        return Lag(unreadable=error.message[:SHOWN])


def read(answer: Mapping[str, Any], names: Sequence[str]) -> Lag:
    """Read an answer of ``GetMetricData``. Raises ``FactUnreadable``."""
    try:
        results = convert(answer, _Answer, strict=False).metric_data_results
    except msgspec.ValidationError as error:
        raise FactUnreadable(f"the answer of GetMetricData lacks what is needed: {error}") from error
    by_id = {f"m{number}": name for number, name in enumerate(names)}
    # A query's values may come on several pages, newest first.
    newest: dict[str, float] = {}
    for result in results:
        if result.values and result.id in by_id:
            newest.setdefault(by_id[result.id], round(result.values[0], 3))
    return Lag(newest)


def _measured(number: str, cluster: str, node: str) -> dict[str, Any]:
    dimensions = [{"Name": "CacheClusterId", "Value": cluster}, {"Name": "CacheNodeId", "Value": node}]
    measured = {"Namespace": "AWS/ElastiCache", "MetricName": METRIC, "Dimensions": dimensions}
    return {"Id": number, "MetricStat": {"Metric": measured, "Period": 60, "Stat": "Maximum"}, "ReturnData": True}
