"""What to say when a database is not found: the nearest name, the other kind, or the region it lies in."""

from __future__ import annotations

from typing import Any

from crashcart.errors import CrashcartError, NoSuchResource, nearest
from crashcart.transports.base import ApiCall, CloudTransport


def named_better(transport: CloudTransport, name: str, kind: str, error: NoSuchResource) -> NoSuchResource:
    """Return the same error with what the region's databases tell about it, in one more read."""
    region = _region_of(name)
    if region and region != transport.region:
        hint = f"{name} lies in {region}, and the calls go to {transport.region}: set aws_region to {region}"
    else:
        hint = _hint(transport, name, kind) or error.hint
    return NoSuchResource(error.message, action=error.action, code=error.code, hint=hint)


def _region_of(name: str) -> str:
    """Return the region that an ARN names."""
    return name.split(":")[3] if name.startswith("arn:") and name.count(":") >= 5 else ""


def _hint(transport: CloudTransport, name: str, kind: str) -> str:
    try:
        answer = transport.read(ApiCall("rds", "DescribeDBInstances", {}))
    except CrashcartError:
        return ""
    clusters, instances = _names(answer)
    known = {"rds_cluster": clusters, "rds_instance": instances}
    others = {other for other, names in known.items() if other != kind and name.lower() in names}
    if others:
        return f"{name} is there, but as another kind: set kind to {others.pop()}"
    close = nearest(name.lower(), known.get(kind, clusters | instances))
    return f"{transport.region} has no {name!r}; {close or 'is aws_region right?'}"


def _names(answer: dict[str, Any]) -> tuple[set[str], set[str]]:
    """Return the names of the clusters and of the instances in an answer of ``DescribeDBInstances``."""
    instances = [found for found in answer.get("DBInstances", []) if isinstance(found, dict)]
    clusters = {str(found["DBClusterIdentifier"]) for found in instances if found.get("DBClusterIdentifier")}
    return clusters, {str(found["DBInstanceIdentifier"]) for found in instances if "DBInstanceIdentifier" in found}
