"""CloudTrail with what moto lacks: LookupEvents, over the calls that changed something in the emulator itself.

API reference, LookupEvents: one attribute at most, newest first, 50 a page at most; events take some minutes to appear,
which this leaves out. Only the attribute ResourceName is emulated.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar

from moto.cloudtrail import urls
from moto.cloudtrail.responses import CloudTrailResponse

from crashcart.lab.aws.world import Trailed, World

USER = "lab-user"
MOST = 50


class LabCloudTrail(CloudTrailResponse):
    """The API's actions that differ from moto's."""

    world: ClassVar[World]

    def lookup_events(self) -> str:
        """LookupEvents: who changed a resource."""
        names = {one["AttributeValue"] for one in self._get_param("LookupAttributes") or []}
        since = float(self._get_param("StartTime") or 0)
        found = [one for one in reversed(self.world.trail) if one.at.timestamp() >= since and names & set(one.concerned)]
        return json.dumps({"Events": [_event(one) for one in found[: int(self._get_param("MaxResults") or MOST)]]})


def _event(one: Trailed) -> dict[str, Any]:
    return {
        "EventName": one.action,
        "EventSource": f"{one.service}.amazonaws.com",
        "EventTime": one.at.timestamp(),
        "ReadOnly": "false",
        "Username": USER,
        "Resources": [{"ResourceName": name} for name in one.concerned],
    }


def install(world: World) -> None:
    """Put this behaviour into moto: the class that answers."""
    LabCloudTrail.world = world
    urls.url_paths["{0}/$"] = LabCloudTrail.dispatch
