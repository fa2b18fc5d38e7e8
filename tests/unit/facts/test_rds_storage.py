"""What is asked of CloudWatch for which database, and the arithmetic of trends. tests/cases has the parsing."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crashcart.errors import AccessDenied, Cancelled, NoSuchResource
from crashcart.facts import rds, rds_storage
from crashcart.facts.rds_storage import FREE, FRESH, GIB, HOUR, LOCAL, USED, Volume
from crashcart.facts.trend import DAY, FEWEST, SHORTEST, Value, per_day, until_empty
from tests.unit.facts.test_rds import BILLING, CLUSTERS, MEMBERS, Cloud, absent, instance

AMOUNTS = st.integers(0, 2**47)
RATES = st.integers(-(2**40), 2**40)


def hourly(amounts: list[float]) -> list[Value]:
    return [Value(place * HOUR, amount) for place, amount in enumerate(amounts)]


def answer(**values: list[float]) -> dict[str, Any]:
    """An answer of CloudWatch whose newest value is of the current hour."""
    begin = time.time() // HOUR * HOUR
    return {
        "MetricDataResults": [
            {
                "Id": name,
                "Timestamps": [datetime.fromtimestamp(begin - HOUR * back, UTC) for back in range(len(given))][::-1],
                "Values": given,
            }
            for name, given in values.items()
        ]
    }


@settings(max_examples=60)
@given(first=AMOUNTS, rate=RATES, count=st.integers(7, 24))
def test_a_line_has_its_own_slope(first: int, rate: int, count: int) -> None:
    assert per_day(hourly([first + rate * place for place in range(count)])) == pytest.approx(24 * rate, abs=1)


@settings(max_examples=60)
@given(first=AMOUNTS, rate=RATES, odd=st.lists(AMOUNTS, min_size=1, max_size=3), places=st.data())
def test_a_few_that_stand_out_do_not_make_a_trend(first: int, rate: int, odd: list[int], places: st.DataObject) -> None:
    amounts: list[float] = [first + rate * place for place in range(24)]
    for amount in odd:
        amounts[places.draw(st.integers(0, 23))] = amount
    assert per_day(hourly(amounts)) == pytest.approx(24 * rate, abs=1)


@settings(max_examples=60)
@given(amounts=st.lists(AMOUNTS, min_size=7, max_size=24), more=RATES)
def test_a_trend_lies_between_the_steepest_steps_and_follows_what_is_added(amounts: list[float], more: int) -> None:
    found, steps = per_day(hourly(amounts)), [b - a for a, b in pairwise(amounts)]
    assert found is not None
    assert 24 * min(steps) - 1 <= found <= 24 * max(steps) + 1
    steeper = per_day(hourly([amount + more * place for place, amount in enumerate(amounts)]))
    assert steeper == pytest.approx(found + 24 * more, rel=1e-9, abs=1)


@settings(max_examples=40)
@given(left=AMOUNTS, daily=RATES)
def test_it_is_full_when_nothing_is_left_at_that_rate(left: int, daily: int) -> None:
    seconds = until_empty(left, daily)
    assert (seconds is None) == (daily >= 0)
    if seconds is not None:
        assert seconds >= 0
        assert left + daily * seconds / DAY == pytest.approx(0, abs=1)


@pytest.mark.parametrize(
    "values",
    [
        [],
        hourly([9, 8, 7, 6, 5, 4]),
        [Value(place * 60, 100 - place) for place in range(24)],
        [Value(0, 9), Value(SHORTEST, 8)],
    ],
    ids=["none", "five hours", "minutes", f"less than {FEWEST}"],
)
def test_too_little_makes_no_trend(values: list[Value]) -> None:
    assert per_day(values) is None
    assert until_empty(5, None) is None


@pytest.mark.parametrize(
    ("engine", "asked"),
    [
        ("aurora-mysql", [(USED, "orders"), (LOCAL, "orders-1"), (LOCAL, "orders-2")]),
        ("postgres", [(FREE, "orders-1"), (FREE, "orders-2")]),
    ],
)
def test_a_cluster_is_asked_for_what_its_engine_has(engine: str, asked: list[tuple[str, str]]) -> None:
    found = {"DBClusters": [{**CLUSTERS["DBClusters"][0], "Engine": engine}]}
    cloud = Cloud(DescribeDBClusters=found, DescribeDBInstances=MEMBERS, GetMetricData=answer())
    rds_storage.observe(cloud, rds.CLUSTER)
    stats = [query["MetricStat"] for query in cloud.asked[-1].params["MetricDataQueries"]]
    measured = [(stat["Metric"]["MetricName"], stat["Metric"]["Dimensions"][0]) for stat in stats]
    assert [(name, dimension["Value"]) for name, dimension in measured] == asked
    by = {name: dimension["Name"] for name, dimension in measured}
    assert by.get(USED, "DBClusterIdentifier") == "DBClusterIdentifier"
    assert {by[name] for name in by.keys() - {USED}} == {"DBInstanceIdentifier"}
    assert {stat["Stat"] for stat in stats if stat["Metric"]["MetricName"] == FREE} <= {"Minimum"}
    assert len(cloud.asked) == 3


def test_an_instance_is_asked_in_whole_hours_of_a_day_with_its_size() -> None:
    billing = {"DBInstances": [instance("billing", Engine="postgres", AllocatedStorage=100, MaxAllocatedStorage=500)]}
    cloud = Cloud("billing", DescribeDBInstances=billing, GetMetricData=answer(m0=[50.0 * GIB] * 24))
    (volume,) = rds_storage.observe(cloud, rds.INSTANCE).volumes
    params = cloud.asked[-1].params
    begin, end = (datetime.fromisoformat(params[name]).timestamp() for name in ("StartTime", "EndTime"))
    assert (begin % HOUR, end - begin, 0 < end - time.time() <= HOUR) == (0, 24 * HOUR, True)
    assert params["MetricDataQueries"][0]["MetricStat"]["Period"] == HOUR
    assert (volume.allocated, volume.grows_to, volume.percent, volume.daily) == (100 * GIB, 500 * GIB, 50.0, 0.0)
    assert volume.full_in is None
    assert [call.operation for call in cloud.asked] == ["DescribeDBInstances", "GetMetricData"]


@pytest.mark.parametrize(("engine", "metric", "cluster"), [("aurora-postgresql", LOCAL, ""), ("mysql", FREE, "orders")])
def test_a_member_named_alone_has_the_storage_of_its_cluster(engine: str, metric: str, cluster: str) -> None:
    member = {"DBInstances": [instance("orders-1", Engine=engine, DBClusterIdentifier="orders")]}
    cloud = Cloud("orders-1", DescribeDBInstances=member, GetMetricData=answer())
    (volume,) = rds_storage.observe(cloud, rds.INSTANCE).volumes
    assert (volume.metric, volume.cluster, volume.last) == (metric, cluster, None)


def test_values_of_long_ago_say_nothing_of_now() -> None:
    begin = datetime(2030, 1, 1, tzinfo=UTC)
    found = {"MetricDataResults": [{"Id": "m0", "Timestamps": [begin], "Values": [5.0]}]}
    for later, last in ((FRESH, 5.0), (FRESH + 1, None)):
        (volume,) = rds_storage.read(found, (Volume("db-1"),), begin.timestamp() + later)
        assert volume.last == last


def test_what_cloudwatch_does_not_tell_is_unknown_and_a_cancelled_look_is_no_answer() -> None:
    denied = AccessDenied("no", action="cloudwatch:GetMetricData", code="AccessDenied")
    cloud = Cloud("billing", DescribeDBInstances=BILLING, GetMetricData=denied)
    assert rds_storage.observe(cloud, rds.INSTANCE).unreadable == "no"
    cloud = Cloud("billing", DescribeDBInstances=BILLING, GetMetricData=Cancelled("ended"))
    with pytest.raises(Cancelled):
        rds_storage.observe(cloud, rds.INSTANCE)


def test_a_database_that_is_not_there_is_an_error_and_cloudwatch_is_not_asked() -> None:
    cloud = Cloud("billing", DescribeDBClusters=absent(), DescribeDBInstances=BILLING)
    with pytest.raises(NoSuchResource):
        rds_storage.observe(cloud, rds.CLUSTER)
    assert "GetMetricData" not in [call.operation for call in cloud.asked]
