"""How a cluster fails over: available, failing-over, the writer moves, available.

Aurora user guide, "High availability for Amazon Aurora": the reader with the lowest promotion tier is chosen; among equals
the largest, which the lab does not tell apart. Old and new writer restart. How the time is divided is the lab's own.
"""

from __future__ import annotations

from typing import Any

from moto.rds.exceptions import RDSClientError
from moto.rds.models import DBCluster

from crashcart.lab.aws.rds_events import tell
from crashcart.lab.aws.world import World

STUCK_LOOK = 0.5


class Clusters:
    """Takes clusters through their states."""

    def __init__(self, world: World) -> None:
        self._world = world

    def check(self, cluster: DBCluster, target: Any) -> None:
        """Refuse what cannot be done now. API reference: InvalidDBClusterStateFault, InvalidDBInstanceState."""
        name = cluster.db_cluster_identifier
        if cluster.status != "available" or _is_pending(cluster):
            raise _cluster_state(f"The DB cluster {name} is not in the available state.")
        if len(cluster.members) < 2:
            text = f"Database cluster:{name} should have at least two database instances for failover"
            raise _cluster_state(text)
        if target is None:
            if self.best(cluster) is None:
                raise _cluster_state(f"Database cluster:{name} has no available reader to fail over to")
            return
        if cluster.engine == "mysql":  # API reference: not supported for RDS for MySQL; the code is unverified
            text = "TargetDBInstanceIdentifier isn't supported for RDS for MySQL Multi-AZ DB clusters."
            raise RDSClientError("InvalidParameterCombination", text)
        if target.is_cluster_writer:  # unverified
            raise _instance_state(f"Instance {target.db_instance_identifier} is already the writer of the DB cluster.")
        if target.status != "available":
            raise _instance_state(f"Instance {target.db_instance_identifier} is not in the available state.")

    def best(self, cluster: DBCluster) -> Any:
        """The reader that RDS would promote, or None."""
        ready = [one for one in cluster.members if not one.is_cluster_writer and one.status == "available"]
        return min(ready, key=lambda one: one.promotion_tier, default=None)

    def fail_over(self, cluster: DBCluster, target: Any) -> None:
        """Begin a failover. A fault may have it abandoned, although it was accepted (documented for instances only)."""
        if self._world.condition("failover.abandoned", cluster.db_cluster_identifier):
            tell(cluster, "RDS-EVENT-0034")
            return
        _set_pending(cluster, True)
        self._world.after(self._world.seconds("rds.accepted"), lambda: self._start(cluster, target))

    def stop(self, cluster: DBCluster) -> None:
        """Stop the cluster and its instances. Raises the service's error unless it is available."""
        self._change(cluster, "available", "stopping", "stopped", "RDS-EVENT-0150")

    def start(self, cluster: DBCluster) -> None:
        """Start the cluster and its instances. Raises the service's error unless it is stopped."""
        self._change(cluster, "stopped", "starting", "available", "RDS-EVENT-0151")

    def _start(self, cluster: DBCluster, target: Any) -> None:
        cluster.status, old = "failing-over", cluster.writer
        same = old is not None and old.availability_zone == target.availability_zone
        tell(cluster, "RDS-EVENT-0072" if same else "RDS-EVENT-0073", target.db_instance_identifier)
        for member in (old, target):
            if member is not None:
                member.status = "rebooting"
        self._world.after(self._world.seconds("rds.failover") / 2, lambda: self._move(cluster, old, target))

    def _move(self, cluster: DBCluster, old: Any, target: Any) -> None:
        name = cluster.db_cluster_identifier
        if self._world.condition("failover.stuck", name):
            self._world.after(STUCK_LOOK, lambda: self._move(cluster, old, target))
            return
        number, writer = "RDS-EVENT-0071", target
        if self._world.condition("failover.fails", name):
            number, writer = "RDS-EVENT-0069", old
        elif self._world.condition("failover.reverts", name):
            number, writer = "RDS-EVENT-0070", old
        cluster.failover(writer)
        half, restart = self._world.seconds("rds.failover") / 2, self._world.seconds("rds.restart")
        self._world.after(min(half, restart), lambda: self._restarted(target))
        self._world.after(half, lambda: self._end(cluster, number, writer))
        if old is not None:
            self._world.after(half + restart, lambda: self._restarted(old))

    def _end(self, cluster: DBCluster, number: str, writer: Any) -> None:
        cluster.status = "available"
        _set_pending(cluster, False)
        tell(cluster, number, writer.db_instance_identifier)

    def _restarted(self, member: Any) -> None:
        member.status = "available"
        tell(member, "RDS-EVENT-0006")

    def _change(self, cluster: DBCluster, before: str, meanwhile: str, after: str, number: str) -> None:
        if cluster.status != before or _is_pending(cluster):
            raise _cluster_state(f"DbCluster {cluster.db_cluster_identifier} is in {cluster.status} state")
        self._all(cluster, meanwhile)

        def end() -> None:
            self._all(cluster, after)
            tell(cluster, number)

        self._world.after(self._world.seconds("rds.start"), end)

    def _all(self, cluster: DBCluster, status: str) -> None:
        cluster.status = status
        for member in cluster.members:
            member.status = status


def _is_pending(cluster: DBCluster) -> bool:
    """Tell whether a failover was accepted that has not ended."""
    return "lab_pending" in vars(cluster)


def _set_pending(cluster: DBCluster, pending: bool) -> None:
    if pending:
        vars(cluster)["lab_pending"] = True
    else:
        vars(cluster).pop("lab_pending", None)


def _cluster_state(text: str) -> RDSClientError:
    return RDSClientError("InvalidDBClusterStateFault", text)


def _instance_state(text: str) -> RDSClientError:
    return RDSClientError("InvalidDBInstanceState", text)
