"""What is kept of a database before it is failed over: answers that arrive in time, and what did not arrive."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from crashcart.facts.rds_lag import query
from crashcart.operations.aws_evidence import Answers
from crashcart.operations.base import EVIDENCE_TIME
from crashcart.transports.base import ApiCall, CloudTransport

MINUTES = 60


def gather(transport: CloudTransport, act: ApiCall, within: float = EVIDENCE_TIME) -> bytes:
    """Ask about what ``act`` would change, all at once, then for what the answers name. Returns a JSON object per call."""
    until = time.monotonic() + within
    first = Answers(transport, _descriptions(act))
    first.wait(until)
    second = Answers(transport, _details(first.arrived))
    second.wait(until)
    return b"\n".join([*first.shown(), *second.shown()])


def _descriptions(act: ApiCall) -> list[ApiCall]:
    if "DBInstanceIdentifier" in act.params:
        name = act.params["DBInstanceIdentifier"]
        return [ApiCall("rds", "DescribeDBInstances", {"DBInstanceIdentifier": name}), _events("db-instance", name)]
    name = act.params["DBClusterIdentifier"]
    members = {"Filters": [{"Name": "db-cluster-id", "Values": [name]}]}
    clusters = ApiCall("rds", "DescribeDBClusters", {"DBClusterIdentifier": name})
    return [clusters, ApiCall("rds", "DescribeDBInstances", members), _events("db-cluster", name)]


def _events(kind: str, name: str) -> ApiCall:
    return ApiCall("rds", "DescribeEvents", {"SourceType": kind, "SourceIdentifier": name, "Duration": MINUTES})


def _details(answers: Mapping[str, Any]) -> list[ApiCall]:
    """Name the calls for parameters that are not defaults, and for the readers' lag."""
    clusters = answers.get("DescribeDBClusters", {}).get("DBClusters", [])
    calls = [_lag(cluster) for cluster in clusters if len(cluster.get("DBClusterMembers", [])) > 1]
    groups = {cluster["DBClusterParameterGroup"] for cluster in clusters if cluster.get("DBClusterParameterGroup")}
    calls += [_parameters("DescribeDBClusterParameters", "DBClusterParameterGroupName", group) for group in sorted(groups)]
    instances = answers.get("DescribeDBInstances", {}).get("DBInstances", [])
    own = {group["DBParameterGroupName"] for instance in instances for group in instance.get("DBParameterGroups", [])}
    return [*calls, *(_parameters("DescribeDBParameters", "DBParameterGroupName", group) for group in sorted(own))]


def _parameters(operation: str, parameter: str, group: str) -> ApiCall:
    return ApiCall("rds", operation, {parameter: group, "Source": "user"})


def _lag(cluster: dict[str, Any]) -> ApiCall:
    readers = [member["DBInstanceIdentifier"] for member in cluster["DBClusterMembers"] if not member.get("IsClusterWriter")]
    return query(str(cluster.get("Engine", "")), readers, time.time())
