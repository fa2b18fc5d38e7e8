"""Instance refresh, which moto lacks: the members of a group are replaced one after another.

States follow the API reference of ``InstanceRefresh``. Simplified: one at a time; no warm-up, checkpoints, rollback, baking.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import msgspec

from crashcart.lab.aws.scaling_group import LabGroup, Member
from crashcart.lab.aws.world import World

ACTIVE = frozenset({"Pending", "InProgress"})
STALLED = timedelta(hours=1)  # user guide: a refresh that makes no progress fails after one hour


class Refresh(msgspec.Struct, kw_only=True, eq=False):
    """One refresh, with the fields of DescribeInstanceRefreshes and the members that it still has to replace."""

    instance_refresh_id: str
    auto_scaling_group_name: str
    start_time: datetime
    progressed: datetime
    old: list[Member]
    preferences: dict[str, Any]
    instances_to_update: int
    percentage_complete: int = 0
    status: str = "Pending"
    status_reason: str | None = None
    strategy: str = "Rolling"
    end_time: datetime | None = None

    def count(self, left: int, when: datetime) -> None:
        """Record how many members are left."""
        if left < self.instances_to_update:
            self.progressed = when
        self.instances_to_update = left
        self.percentage_complete = 100 * (len(self.old) - left) // len(self.old) if self.old else 100

    def end(self, status: str, when: datetime, reason: str | None = None) -> None:
        """Close the refresh."""
        self.status, self.end_time, self.status_reason = status, when, reason


class Refresher:
    """Starts refreshes and takes them forward; a group's refreshes live as long as the group."""

    def __init__(self, world: World) -> None:
        self._world = world

    def refreshes(self, group: LabGroup) -> list[Refresh]:
        """The refreshes of a group, the newest first."""
        known: list[Refresh] = group.__dict__.setdefault("refreshes", [])
        return known

    def running(self, group: LabGroup) -> Refresh | None:
        """The refresh that has not ended."""
        return next((refresh for refresh in self.refreshes(group) if refresh.end_time is None), None)

    def start(self, group: LabGroup, preferences: dict[str, Any]) -> Refresh:
        """Begin to replace every member that is there now."""
        old, now = group.active(), self._world.now()
        refresh = Refresh(
            instance_refresh_id=str(uuid4()),
            auto_scaling_group_name=group.name,
            start_time=now,
            progressed=now,
            old=old,
            preferences=preferences,
            instances_to_update=len(old),
        )
        self.refreshes(group).insert(0, refresh)
        self._later(group, refresh)
        return refresh

    def _later(self, group: LabGroup, refresh: Refresh) -> None:
        self._world.after(self._world.seconds("asg.refresh-step"), lambda: self._step(group, refresh))

    def _step(self, group: LabGroup, refresh: Refresh) -> None:
        now, left = self._world.now(), [member for member in refresh.old if member in group.active()]
        serving = [member for member in group.active() if member.lifecycle_state == "InService"]
        complete = len(serving) >= group.desired_capacity
        if refresh.status == "Cancelling":
            refresh.end("Cancelled", now, "Cancelled due to user request.")
            return
        refresh.status = "InProgress"
        refresh.count(len(left) if complete else refresh.instances_to_update, now)
        if complete and not left:
            refresh.end("Successful", now)
        elif now - refresh.progressed >= STALLED:
            refresh.end("Failed", now, "Instances were not replaced within the time allowed.")  # unverified text
        else:
            self._go_on(group, refresh, left if complete else [])

    def _go_on(self, group: LabGroup, refresh: Refresh, left: list[Member]) -> None:
        if left:
            stamp = f"{self._world.now():%Y-%m-%dT%H:%M:%SZ}"
            group.because = ""
            group.retire(left[0], f"At {stamp} an instance was taken out of service in response to an instance refresh.")
            group.reconcile()
        self._later(group, refresh)
