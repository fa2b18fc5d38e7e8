"""How tests make calls that must be refused, and read a metric."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.emulator import Emulator


def refused(call: Callable[..., object], **params: Any) -> tuple[str, int]:
    """Make a call that must be refused; tell code and HTTP status."""
    with pytest.raises(ClientError) as raised:
        call(**params)
    response = raised.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def measured(emulator: Emulator, namespace: str, metric: str, **dimensions: str) -> list[float]:
    """Ask CloudWatch for the last five minutes of a metric, newest first."""
    now = datetime.now(UTC)
    named = [{"Name": name, "Value": value} for name, value in dimensions.items()]
    stat = {"Metric": {"Namespace": namespace, "MetricName": metric, "Dimensions": named}, "Period": 60, "Stat": "Maximum"}
    answer = emulator.client("cloudwatch").get_metric_data(
        MetricDataQueries=[{"Id": "m0", "MetricStat": stat}], StartTime=now - timedelta(minutes=5), EndTime=now
    )
    (result,) = answer["MetricDataResults"]
    assert len(result["Timestamps"]) == len(result["Values"])
    return [float(value) for value in result["Values"]]
