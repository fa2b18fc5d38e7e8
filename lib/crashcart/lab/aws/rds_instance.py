"""How a single instance reboots, changes to its standby, and is modified.

RDS user guide: "Rebooting a DB instance" (the new zone shows after several minutes), "Failover process for Amazon RDS",
"Modifying an Amazon RDS DB instance" (what waits, and that ApplyImmediately takes everything that waits).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from moto.rds.models import DBInstance

from crashcart.lab.aws.rds_events import tell
from crashcart.lab.aws.world import World

STUCK_LOOK = 0.5


class Instances:
    """Takes instances through their states."""

    # What takes time, and the attribute of moto's model that it becomes.
    SLOW = {
        "DBInstanceClass": "db_instance_class",
        "EngineVersion": "engine_version",
        "AllocatedStorage": "allocated_storage",
        "MultiAZ": "multi_az",
    }

    def __init__(self, world: World) -> None:
        self._world = world

    def reboot(self, instance: DBInstance) -> None:
        """Restart the instance where it is."""
        instance.status = "rebooting"
        self._world.after(self._world.seconds("rds.reboot"), lambda: self._restarted(instance))

    def fail_over(self, instance: Any) -> None:
        """Change to the standby, unless that has just been done: then it is accepted and abandoned (RDS-EVENT-0034)."""
        name, before = instance.db_instance_identifier, getattr(instance, "lab_failed_over", None)
        recently = before and self._world.now() - before < timedelta(seconds=self._world.seconds("rds.recently"))
        if recently or self._world.condition("failover.abandoned", name):
            tell(instance, "RDS-EVENT-0034")
            return
        instance.status = "rebooting"
        tell(instance, "RDS-EVENT-0013")
        self._world.after(self._world.seconds("rds.reboot"), lambda: self._failed_over(instance))

    def modify(self, instance: Any, changes: dict[str, Any], *, at_once: bool) -> None:
        """Note changes that take time; with ``at_once``, begin with all that were noted, a moment later."""
        current = {name: getattr(instance, attribute) for name, attribute in self.SLOW.items()}
        waiting = dict(getattr(instance, "pending_modified_values", None) or {})
        waiting |= {name: value for name, value in changes.items() if current[name] != value}
        instance.pending_modified_values = waiting
        if at_once and waiting:
            # The status stays available for a moment: whoever waits for it believes too early that all is done.
            self._world.after(self._world.seconds("rds.modify") / 6, lambda: self._begin(instance))

    def _failed_over(self, instance: Any) -> None:
        if self._world.condition("failover.stuck", instance.db_instance_identifier):
            self._world.after(STUCK_LOOK, lambda: self._failed_over(instance))
            return
        instance.lab_failed_over = self._world.now()
        tell(instance, "RDS-EVENT-0049")
        tell(instance, "RDS-EVENT-0015")
        self._restarted(instance)
        self._world.after(self._world.seconds("rds.zone"), lambda: self._swap_zones(instance))

    def _swap_zones(self, instance: Any) -> None:
        instance.availability_zone, instance.secondary_availability_zone = (
            instance.secondary_availability_zone,
            instance.availability_zone,
        )

    def _restarted(self, instance: DBInstance) -> None:
        instance.status = "available"
        tell(instance, "RDS-EVENT-0006")

    def _begin(self, instance: Any) -> None:
        if instance.pending_modified_values:
            instance.status = "modifying"
            tell(instance, "RDS-EVENT-0012")
            self._world.after(self._world.seconds("rds.modify") * 5 / 6, lambda: self._finish(instance))

    def _finish(self, instance: Any) -> None:
        for name, value in instance.pending_modified_values.items():
            setattr(instance, self.SLOW[name], value)
        instance.secondary_availability_zone = other_zone(instance.availability_zone) if instance.multi_az else None
        instance.pending_modified_values, instance.status = {}, "available"
        tell(instance, "RDS-EVENT-0014")


def other_zone(zone: str) -> str:
    """Return another zone of the same region."""
    return zone[:-1] + ("b" if zone.endswith("a") else "a")
