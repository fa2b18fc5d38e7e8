"""What a load balancer answered in the last minutes, as CloudWatch counted it: requests and 5xx, in one call.

Seed row S0-D12. CloudWatch keeps no value of a minute in which nothing was counted. So 5xx without values are none where
requests have values; and where requests have none either, nothing is known: an idle group and one that nobody measures
look the same.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from crashcart.decoding import convert, from_json
from crashcart.errors import Cancelled, CrashcartError, FactUnreadable
from crashcart.facts import elbv2
from crashcart.transports.base import ApiCall, CloudTransport

WINDOW = 900.0
"""Seconds that are counted."""

MINUTE = 60
SHOWN = 300
"""Characters that are kept of why a fact could not be had."""

_METRICS = ("HTTPCode_Target_5XX_Count", "RequestCount")
_BALANCER_METRICS = ("HTTPCode_ELB_5XX_Count", "RequestCount")


class Count(msgspec.Struct, frozen=True):
    """Answers in the window, of a target group behind one load balancer, or of the load balancer itself.

    ``requests`` is None where CloudWatch has no value of them.
    """

    name: str
    requests: int | None = None
    errors: int = 0

    @property
    def percent(self) -> float:
        """The share of 5xx."""
        return 100 * self.errors / self.requests if self.requests else 0.0


class Traffic(msgspec.Struct, frozen=True):
    """What was counted for a target group (``group``) and by its load balancers (``balancers``).

    ``counted`` says whether there is an application load balancer at all: others count no HTTP. ``unreadable`` says why
    nothing is known.
    """

    name: str
    window: float = WINDOW
    counted: bool = True
    group: tuple[Count, ...] = ()
    balancers: tuple[Count, ...] = ()
    unreadable: str = ""


class _Result(msgspec.Struct, rename="pascal"):
    id: str
    values: list[float] = []


class _Answer(msgspec.Struct, rename="pascal"):
    metric_data_results: list[_Result]


def observe(transport: CloudTransport) -> Traffic:
    """Describe the group, and ask for its counts. Raises ``FactUnreadable``, ``NoSuchResource``, the transport's errors."""
    group = elbv2.describe(transport)
    balancers = tuple(_after(arn, "loadbalancer/") for arn in group.balancers if "loadbalancer/app/" in arn)
    if not balancers:
        return Traffic(group.name, counted=False)
    call = query(_after(group.arn, ":"), balancers, time.time())
    try:
        return read(transport.read(call), group.name, balancers)
    except Cancelled:
        raise
    except CrashcartError as error:
        return Traffic(group.name, unreadable=error.message[:SHOWN])


def query(group: str, balancers: Sequence[str], now: float) -> ApiCall:
    """Return the one call that asks for the counts of a target group behind these load balancers."""
    end = now // MINUTE * MINUTE
    queries = [
        _sum(f"{kind}{place}{number}", metric, dimensions)
        for place, balancer in enumerate(balancers)
        for kind, metrics, dimensions in (
            ("g", _METRICS, {"TargetGroup": group, "LoadBalancer": balancer}),
            ("b", _BALANCER_METRICS, {"LoadBalancer": balancer}),
        )
        for number, metric in zip("er", metrics, strict=True)
    ]
    span = {"StartTime": _iso(end - WINDOW + MINUTE), "EndTime": _iso(end + MINUTE)}
    return ApiCall("cloudwatch", "GetMetricData", {"MetricDataQueries": queries, **span, "ScanBy": "TimestampDescending"})


def parse(stdout: bytes) -> Traffic:
    """Read one answer of ``GetMetricData`` from JSON, about the load balancer ``app/web/1``. Raises ``FactUnreadable``."""
    return read(from_json(stdout), "web", ("app/web/1",))


def read(answer: Any, name: str, balancers: Sequence[str]) -> Traffic:
    """Add up the minutes of an answer of ``GetMetricData``. Raises ``FactUnreadable``."""
    try:
        results = convert(answer, _Answer, strict=False).metric_data_results
    except msgspec.ValidationError as error:
        raise FactUnreadable(f"the answer of GetMetricData lacks what is needed: {error}") from error
    sums: dict[str, float] = {}
    for result in results:  # a query's values may come on several pages
        if result.values:
            sums[result.id] = sums.get(result.id, 0.0) + sum(result.values)
    behind = tuple(_counts(sums, "g", [f"{name} behind {_short(one)}" for one in balancers]))
    return Traffic(name, group=behind, balancers=tuple(_counts(sums, "b", [_short(one) for one in balancers])))


def _counts(sums: dict[str, float], kind: str, names: Sequence[str]) -> Iterator[Count]:
    for place, name in enumerate(names):
        requests = sums.get(f"{kind}{place}r")
        yield Count(name, None if requests is None else round(requests), round(sums.get(f"{kind}{place}e", 0.0)))


def _sum(number: str, metric: str, dimensions: dict[str, str]) -> dict[str, Any]:
    named = [{"Name": name, "Value": value} for name, value in dimensions.items()]
    measured = {"Namespace": "AWS/ApplicationELB", "MetricName": metric, "Dimensions": named}
    return {"Id": number, "MetricStat": {"Metric": measured, "Period": MINUTE, "Stat": "Sum"}, "ReturnData": True}


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")


def _after(arn: str, mark: str) -> str:
    return arn.rpartition(mark)[2]


def _short(balancer: str) -> str:
    """Return a load balancer's name from ``app/name/id``."""
    return balancer.split("/")[1] if "/" in balancer else balancer
