"""RDS with its states, refusals and events: here is what the API accepts.

What a failover does is in ``rds_cluster.py``, what a reboot does in ``rds_instance.py``. Codes and refusals follow the API
reference of the action and the error lists of botocore's model; what neither says is marked unverified.
"""

from __future__ import annotations

from typing import Any, ClassVar

from moto.core.responses import ActionResult
from moto.rds import models, urls
from moto.rds.exceptions import DBClusterNotFoundError, DBInstanceAlreadyExists, DBInstanceNotFoundError, RDSClientError
from moto.rds.models import DBCluster, DBInstance
from moto.rds.responses import RDSResponse

from crashcart.lab.aws.history import chosen, page
from crashcart.lab.aws.rds_cluster import Clusters
from crashcart.lab.aws.rds_events import LabEvent
from crashcart.lab.aws.rds_instance import Instances, other_zone
from crashcart.lab.aws.world import World

NOT_CHANGES = frozenset({"db_instance_identifier", "apply_immediately"})


class LabRds(RDSResponse):
    """The API's actions that differ from moto's."""

    world: ClassVar[World]
    clusters: ClassVar[Clusters]
    instances: ClassVar[Instances]

    def create_db_instance(self) -> ActionResult:
        """CreateDBInstance: a Multi-AZ instance has a standby in another zone."""
        result = super().create_db_instance()
        instance = self._instance()
        if instance.multi_az:
            instance.secondary_availability_zone = other_zone(instance.availability_zone)
        return result

    def failover_db_cluster(self) -> ActionResult:
        """FailoverDBCluster: accepted or refused at once, done later."""
        cluster = self._cluster()
        target = self._target(cluster)
        self.clusters.check(cluster, target)
        self.clusters.fail_over(cluster, target or self.clusters.best(cluster))
        return ActionResult({"DBCluster": cluster})

    def reboot_db_instance(self) -> ActionResult:
        """RebootDBInstance; with ForceFailover a Multi-AZ instance changes to its standby."""
        instance, forced = self._instance(), bool(self.params.get("ForceFailover"))
        if forced and not instance.multi_az:  # the code is unverified, the rule is the API reference's
            text = "Cannot reboot with failover: the DB instance is not a Multi-AZ DB instance."
            raise RDSClientError("InvalidParameterCombination", text)
        self._need_available(instance)
        if forced:
            self.instances.fail_over(instance)
        else:
            self.instances.reboot(instance)
        return ActionResult({"DBInstance": instance})

    def modify_db_instance(self) -> ActionResult:
        """ModifyDBInstance: what takes time waits in PendingModifiedValues; ApplyImmediately takes all that waits there."""
        instance = self._instance()
        if not set(self._named()) - NOT_CHANGES:
            raise RDSClientError("InvalidParameterCombination", "No modifications were requested")
        self._need_available(instance)
        slow = {name: self.params.pop(name) for name in self.instances.SLOW if self.params.get(name) is not None}
        if set(self._named()) - NOT_CHANGES:
            super().modify_db_instance()
        self.instances.modify(instance, slow, at_once=bool(self.params.get("ApplyImmediately")))
        return ActionResult({"DBInstance": instance})

    def create_db_instance_read_replica(self) -> ActionResult:
        """CreateDBInstanceReadReplica: a name of its own, from a source that is available and backed up (user guide)."""
        if str(self.params["DBInstanceIdentifier"]).lower() in self.backend.databases:
            raise DBInstanceAlreadyExists
        source = self._instance("SourceDBInstanceIdentifier")
        self._need_available(source)
        if not source.backup_retention_period:  # the code is unverified
            raise RDSClientError("InvalidDBInstanceState", "Automated backups are not enabled for this database instance.")
        result = super().create_db_instance_read_replica()
        replica = self._instance()
        replica.multi_az, replica.secondary_availability_zone = bool(self.params.get("MultiAZ")), None
        replica.source_db_instance_identifier, replica.tags = source.db_instance_identifier, list(replica.tags)
        return result

    def promote_read_replica(self) -> ActionResult:
        """PromoteReadReplica: it stops being a replica, for good."""
        replica = self._instance()
        if not replica.is_replica:  # the text is unverified
            raise RDSClientError("InvalidDBInstanceState", "DB Instance is not a read replica.")
        self._need_available(replica)
        source = self.backend.databases.get(replica.source_db_instance_identifier)
        super().promote_read_replica()
        if source is not None and replica.db_instance_identifier in source.replicas:
            source.remove_replica(replica)
        replica.source_db_instance_identifier = None
        return ActionResult({"DBInstance": replica})

    def stop_db_cluster(self) -> ActionResult:
        """StopDBCluster: stopping, then stopped; only an available cluster."""
        cluster = self._cluster()
        self.clusters.stop(cluster)
        return ActionResult({"DBCluster": cluster})

    def start_db_cluster(self) -> ActionResult:
        """StartDBCluster: starting, then available; only a stopped cluster."""
        cluster = self._cluster()
        self.clusters.start(cluster)
        return ActionResult({"DBCluster": cluster})

    def describe_events(self) -> ActionResult:
        """DescribeEvents: of a source or a type, for a span of time, in some categories."""
        kind, name = self.params.get("SourceType"), self.params.get("SourceIdentifier")
        if name and not kind:
            raise RDSClientError("InvalidParameterCombination", "Cannot specify source identifier without source type")
        categories = set(self.params.get("EventCategories") or [])
        events = [
            event
            for event in self.backend.events
            if kind in {None, event.source_type}
            and (not name or name.lower() == event.source_identifier)
            and (not categories or categories & set(event.event_categories))
        ]
        told = chosen(events, self.params, self.world.now(), RDSClientError)
        found, marker = page(told, self.params, RDSClientError)
        return ActionResult({"Events": found, "Marker": marker})

    def describe_pending_maintenance_actions(self) -> ActionResult:
        """DescribePendingMaintenanceActions: nothing is pending, unless a fault says so."""
        arn = self.params.get("ResourceIdentifier") or ""
        action = self.world.condition("rds.maintenance", arn.rpartition(":")[2]) if arn else None
        details = {"Action": action, "Description": "planned by a fault of the lab", "OptInStatus": "pending"}
        pending = {"ResourceIdentifier": arn, "PendingMaintenanceActionDetails": [details]}
        return ActionResult({"PendingMaintenanceActions": [pending] if action else []})

    def _named(self) -> list[str]:
        """The parameters that are given, spelt as moto spells them."""
        return [name for name, value in self.params.items() if value is not None]

    def _cluster(self) -> DBCluster:
        name = str(self.params["DBClusterIdentifier"]).rpartition(":")[2].lower()
        if name not in self.backend.clusters:
            raise DBClusterNotFoundError(name)
        return self.backend.clusters[name]

    def _instance(self, parameter: str = "DBInstanceIdentifier") -> Any:
        name = str(self.params[parameter]).rpartition(":")[2].lower()
        if name not in self.backend.databases:
            raise DBInstanceNotFoundError(name)
        return self.backend.databases[name]

    def _target(self, cluster: DBCluster) -> Any:
        """The member to fail over to, or None. The codes are unverified: the API reference names no case."""
        given = self.params.get("TargetDBInstanceIdentifier")
        if not given:
            return None
        target = self.backend.databases.get(str(given).lower())
        if target is None:
            raise DBInstanceNotFoundError(str(given))
        if target not in cluster.members:
            text = f"Instance {given} is not a member of the DB cluster {cluster.db_cluster_identifier}."
            raise RDSClientError("InvalidDBInstanceState", text)
        return target

    def _need_available(self, instance: DBInstance) -> None:
        if instance.status != "available":
            text = f"Database instance {instance.db_instance_identifier} is not in available state."
            raise RDSClientError("InvalidDBInstanceState", text)


def install(world: World) -> None:
    """Put this behaviour into moto: events that know the lab's time, and the class that answers."""
    LabEvent.world = world
    LabRds.world, LabRds.clusters, LabRds.instances = world, Clusters(world), Instances(world)
    models.Event = LabEvent  # type: ignore[misc]
    urls.url_paths["{0}/$"] = LabRds.dispatch
