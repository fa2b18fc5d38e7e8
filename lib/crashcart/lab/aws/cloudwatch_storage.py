"""What storage the lab's databases have, as CloudWatch measures it: steady, unless a fault fills it.

Metrics and dimensions: "Amazon CloudWatch metrics for Amazon RDS" (FreeStorageSpace by DBInstanceIdentifier), "... for
Amazon Aurora" (VolumeBytesUsed by DBClusterIdentifier, FreeLocalStorage by DBInstanceIdentifier); all of them in bytes. An
Aurora member has no FreeStorageSpace, and nothing else has the other two. There are values of the time before the lab began,
too: what a fault says of a database has been going on for a day.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from crashcart.lab.aws.world import World

GIB = 1024**3
STORAGE = frozenset({"FreeStorageSpace", "VolumeBytesUsed", "FreeLocalStorage"})

FREE = 0.6
"""The share of what is allocated that is free while nothing fills it."""

VOLUME, LOCAL = 10.0 * GIB, 32.0 * GIB
"""What an Aurora volume holds, and what is free of a member's local storage."""

DAY = 24.0
"""Hours for which storage has been filling."""


def measure_storage(world: World, databases: Any, metric: str, named: dict[str, str]) -> Callable[[datetime], float] | None:
    """Return what a metric of the databases (moto's, of a region) measures at a moment; None where there is none."""
    if metric == "VolumeBytesUsed":
        cluster = databases.clusters.get(named.get("DBClusterIdentifier", "").lower())
        return (lambda _: VOLUME) if cluster is not None and _is_aurora(cluster) else None
    name = named.get("DBInstanceIdentifier", "").lower()
    database = databases.databases.get(name)
    if database is None or _is_aurora(database) != (metric == "FreeLocalStorage"):
        return None
    steady = LOCAL if metric == "FreeLocalStorage" else FREE * database.allocated_storage * GIB
    hours = world.condition("rds.storage", name)
    return (lambda _: steady) if hours is None else _falling(steady, float(hours), world.now())


def _falling(steady: float, hours: float, now: datetime) -> Callable[[datetime], float]:
    """Fall in a line from the steady level of a day ago, to nothing so many hours from this one.

    From hour to hour, so that who asks twice in an hour is told the same.
    """
    hour = now.replace(minute=0, second=0, microsecond=0)

    def measure(moment: datetime) -> float:
        left = hours + (hour - moment).total_seconds() / 3600
        return max(0.0, min(steady, steady * left / (hours + DAY)))

    return measure


def _is_aurora(database: Any) -> bool:
    return str(database.engine).startswith("aurora")
