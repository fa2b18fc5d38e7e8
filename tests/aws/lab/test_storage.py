"""Contract test of the emulator's CloudWatch: what storage databases have, and what a fault makes of it."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest

from tests.emulator import Emulator


@pytest.mark.parametrize(
    ("metric", "dimension", "name", "steady"),
    [
        ("FreeStorageSpace", "DBInstanceIdentifier", "lab-db", 12.0),
        ("VolumeBytesUsed", "DBClusterIdentifier", "lab-aurora", 10.0),
        ("FreeLocalStorage", "DBInstanceIdentifier", "lab-aurora-1", 32.0),
        ("FreeStorageSpace", "DBInstanceIdentifier", "lab-aurora-1", None),
        ("FreeLocalStorage", "DBInstanceIdentifier", "lab-db", None),
        ("FreeStorageSpace", "DBInstanceIdentifier", "lab-nothing", None),
    ],
)
def test_storage_is_measured_each_hour_and_falls_when_a_fault_says_so(
    databases: Emulator, metric: str, dimension: str, name: str, steady: float | None
) -> None:
    cloudwatch = databases.client("cloudwatch")
    asked = {"Namespace": "AWS/RDS", "MetricName": metric, "Dimensions": [{"Name": dimension, "Value": name}]}
    query = {"Id": "q", "MetricStat": {"Metric": asked, "Period": 3600, "Stat": "Minimum"}}
    end = databases.now().replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    span = {"StartTime": end - timedelta(hours=24), "EndTime": end}

    def gibibytes() -> list[float]:
        answer = cloudwatch.get_metric_data(MetricDataQueries=[query], ScanBy="TimestampAscending", **span)
        return [value / 1024**3 for value in answer["MetricDataResults"][0]["Values"]]

    assert gibibytes() == ([] if steady is None else [steady] * 24)
    databases.fault("aws.storage-filling", resource=name, value="6")
    found = gibibytes()
    if steady is None or metric == "VolumeBytesUsed":
        assert found == ([] if steady is None else [steady] * 24)
    else:
        steps = [earlier - later for earlier, later in pairwise(found)]
        assert steps == pytest.approx([steady / 30] * 23)
        assert steady * 6 / 30 <= found[-1] <= steady * 7 / 30
        points = cloudwatch.get_metric_statistics(**asked, **span, Period=3600, Statistics=["Minimum"])["Datapoints"]
        assert [(point["Unit"], point["Minimum"] / 1024**3) for point in points] == [("Bytes", value) for value in found]
