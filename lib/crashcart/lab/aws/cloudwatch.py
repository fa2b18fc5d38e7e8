"""CloudWatch with what is asked of it: how far replicas are behind, what load balancers answer, what storage databases have.

Metrics and dimensions: "Amazon CloudWatch metrics for Amazon Aurora" (AuroraReplicaLag in milliseconds, of readers),
"... for Amazon RDS" (ReplicaLag in seconds, of read replicas), "Metrics for Redis OSS and Valkey" (ReplicationLag in
seconds, of replicas), "CloudWatch metrics for your Application Load Balancer" (RequestCount, HTTPCode_Target_5XX_Count,
HTTPCode_ELB_5XX_Count: sums of a minute, none where there is nothing to count). Storage, in bytes, is in
``cloudwatch_storage.py``. Values that somebody put there win.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, ClassVar

from moto.cloudwatch import urls
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult
from moto.elasticache.models import elasticache_backends
from moto.rds.models import rds_backends

from crashcart.lab.aws.cloudwatch_storage import STORAGE, measure_storage
from crashcart.lab.aws.elasticache_group import LabReplicationGroup
from crashcart.lab.aws.history import aware
from crashcart.lab.aws.world import World

AURORA_LAG, REPLICA_LAG = 0.02, 0.5
"""Seconds that healthy replicas are behind."""

_UNITS = {"AuroraReplicaLag": "Milliseconds", **dict.fromkeys(STORAGE, "Bytes")}

REQUESTS = 600.0
"""What a load balancer of the lab is asked in a minute, and each of its target groups."""

MOST = 1440
_BALANCING = ("TargetGroup", "LoadBalancer")

Measure = Callable[[datetime], float]
"""What a metric measures at a moment."""


class LabCloudWatch(CloudWatchResponse):
    """The API's actions that differ from moto's."""

    world: ClassVar[World]

    def get_metric_data(self) -> ActionResult:
        """GetMetricData: where nothing was put, the lab measures."""
        answered: Any = super().get_metric_data().result
        params = self._get_params()
        queries = {query["Id"]: query for query in params.get("MetricDataQueries", [])}
        newest_first = (params.get("ScanBy") or "TimestampDescending") == "TimestampDescending"
        results = [_as_dict(result) for result in answered["MetricDataResults"]]
        for result in results:
            stat = queries.get(result["Id"], {}).get("MetricStat")
            if not result["Values"] and stat:
                self._fill(result, stat, params, newest_first=newest_first)
        return ActionResult({"MetricDataResults": results})

    def get_metric_statistics(self) -> ActionResult:
        """GetMetricStatistics: likewise."""
        answered: Any = super().get_metric_statistics().result
        params = self._get_params()
        measure = self._measure(params.get("Namespace", ""), params.get("MetricName", ""), params.get("Dimensions", []))
        if answered["Datapoints"] or measure is None:
            return ActionResult(answered)
        unit = _UNITS.get(params["MetricName"], "Seconds")
        wanted = params.get("Statistics") or []
        moments = _moments(params["StartTime"], params["EndTime"], int(params["Period"]))
        points = [{"Timestamp": moment, "Unit": unit, **dict.fromkeys(wanted, measure(moment))} for moment in moments]
        return ActionResult({"Label": params["MetricName"], "Datapoints": points})

    def _fill(self, result: dict[str, Any], stat: dict[str, Any], params: dict[str, Any], *, newest_first: bool) -> None:
        metric = stat["Metric"]
        measure = self._measure(metric.get("Namespace", ""), metric.get("MetricName", ""), metric.get("Dimensions", []))
        if measure is None:
            return
        moments = list(_moments(params["StartTime"], params["EndTime"], int(stat["Period"])))
        result["Timestamps"] = moments[::-1] if newest_first else moments
        result["Values"] = [measure(moment) for moment in result["Timestamps"]]

    def _measure(self, namespace: str, metric: str, dimensions: list[dict[str, str]]) -> Measure | None:
        """What a metric measures, in its unit; None for anything that is not measured."""
        named = {one["Name"]: one["Value"] for one in dimensions}
        if namespace == "AWS/RDS" and metric in STORAGE:
            return measure_storage(self.world, rds_backends[self.current_account][self.region], metric, named)
        value = self._measured(namespace, metric, named)
        return None if value is None else lambda _: value

    def _measured(self, namespace: str, metric: str, named: dict[str, str]) -> float | None:
        """What a metric that is steady measures."""
        if namespace == "AWS/RDS":
            return self._database_lag(metric, named.get("DBInstanceIdentifier", "").lower())
        if (namespace, metric) == ("AWS/ElastiCache", "ReplicationLag"):
            return self._cache_lag(named.get("CacheClusterId", "").lower())
        if namespace == "AWS/ApplicationELB" and "LoadBalancer" in named:
            return self._answered(metric, *(named[name].split("/")[1] for name in _BALANCING if name in named))
        return None

    def _answered(self, metric: str, *names: str) -> float | None:
        """What a load balancer counts in a minute; of several names the first is the narrower one."""
        if any(self.world.condition("elbv2.no-metrics", name) for name in names):
            return None
        if metric == "RequestCount":
            return REQUESTS
        counted = "HTTPCode_Target_5XX_Count" if len(names) > 1 else "HTTPCode_ELB_5XX_Count"
        told = self.world.condition("elbv2.5xx", names[0]) if metric == counted else None
        return float(told) if told else None

    def _database_lag(self, metric: str, name: str) -> float | None:
        database = rds_backends[self.current_account][self.region].databases.get(name)
        is_reader = database is not None and getattr(database, "is_cluster_writer", None) is False
        if metric == "AuroraReplicaLag" and is_reader:
            seconds = self._told(name, AURORA_LAG)
            return None if seconds is None else seconds * 1000
        if metric == "ReplicaLag" and (is_reader or (database is not None and database.is_replica)):
            return self._told(name, REPLICA_LAG)
        return None

    def _cache_lag(self, name: str) -> float | None:
        for group in elasticache_backends[self.current_account][self.region].replication_groups.values():
            if isinstance(group, LabReplicationGroup):
                for shard in group.node_groups:
                    if name in group.replicas(shard):
                        return group.lag(name)
        return None

    def _told(self, name: str, healthy: float) -> float | None:
        told = self.world.condition("replica.lag", name)
        return healthy if told is None else None if told == "unknown" else float(told)


def _moments(start: Any, end: Any, period: int) -> Iterator[datetime]:
    """The moments of measurement in a span of time, oldest first; the last minute is not measured yet."""
    since, until = _moment(start), _moment(end)
    at = datetime.fromtimestamp(-(-since.timestamp() // period) * period, since.tzinfo)
    for _ in range(MOST):
        if at >= until:
            return
        yield at
        at += timedelta(seconds=period)


def _moment(value: Any) -> datetime:
    return aware(value if isinstance(value, datetime) else datetime.fromisoformat(str(value)))


def _as_dict(result: Any) -> dict[str, Any]:
    """Moto answers with dictionaries of its own spelling; AWS's is what the rest of this file writes."""
    given = result if isinstance(result, dict) else vars(result)
    spelled = {str(name).replace("_", "").lower(): value for name, value in given.items()}
    return {
        "Id": spelled["id"],
        "Label": spelled.get("label"),
        "Timestamps": list(spelled.get("timestamps") or []),
        "Values": list(spelled.get("values") or spelled.get("vals") or []),
        "StatusCode": "Complete",
    }


def install(world: World) -> None:
    """Put this behaviour into moto: the class that answers."""
    LabCloudWatch.world = world
    urls.url_paths["{0}/$"] = LabCloudWatch.dispatch
