"""RDS events, worded as the user guide lists them (Amazon RDS event categories and event messages)."""

from __future__ import annotations

from typing import Any, ClassVar

from moto.rds.models import DBCluster, DBInstance, Event

from crashcart.lab.aws.world import World

# Number: (category, text). The API does not tell the number.
TEXTS = {
    "RDS-EVENT-0006": ("availability", "DB instance restarted"),
    "RDS-EVENT-0004": ("availability", "DB instance shutdown"),
    "RDS-EVENT-0012": ("configuration change", "Applying modification to database instance class"),
    "RDS-EVENT-0013": ("failover", "Multi-AZ instance failover started."),
    "RDS-EVENT-0014": ("configuration change", "Finished applying modification to DB instance class"),
    "RDS-EVENT-0015": (
        "failover",
        "Multi-AZ failover to standby complete - DNS propagation may take a few minutes.",
    ),
    "RDS-EVENT-0034": (
        "failover",
        "Abandoning user requested failover since a failover recently occurred on the database instance.",
    ),
    "RDS-EVENT-0049": ("failover", "Multi-AZ instance failover completed"),
    "RDS-EVENT-0069": ("failover", "Cluster failover failed, check the health of your cluster instances and try again."),
    "RDS-EVENT-0070": ("failover", "Promoting previous primary again: {name}."),
    "RDS-EVENT-0071": ("failover", "Completed failover to DB instance: {name}."),
    "RDS-EVENT-0072": ("failover", "Started same AZ failover to DB instance: {name}."),
    "RDS-EVENT-0073": ("failover", "Started cross AZ failover to DB instance: {name}."),
    "RDS-EVENT-0150": ("notification", "DB cluster stopped."),
    "RDS-EVENT-0151": ("notification", "DB cluster started."),
}


class LabEvent(Event):
    """An event at a moment of the lab's time; moto's own events are made of this class too."""

    world: ClassVar[World]

    def __init__(self, event_type: str, resource: Any) -> None:
        super().__init__(event_type, resource)
        self.date = self.world.now()


def tell(resource: DBCluster | DBInstance, number: str, name: str = "") -> None:
    """Write down an event of a cluster or an instance; ``name`` is whom it names."""
    category, text = TEXTS[number]
    event = LabEvent.__new__(LabEvent)
    event.source_identifier = resource.resource_id
    event.source_type = "db-cluster" if isinstance(resource, DBCluster) else "db-instance"
    event.message = text.format(name=name)
    event.event_categories = [category]
    event.source_arn = resource.arn
    event.date = LabEvent.world.now()
    resource.backend.events.append(event)
