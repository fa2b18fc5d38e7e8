"""EC2 instances whose status checks take time to pass, and fail when a fault says so.

Statuses follow the API reference of ``InstanceStatus`` and the user guide's "Status checks for your instances". Stop, start
and reboot stay as instant as moto makes them.
"""

from __future__ import annotations

import os
import re
from datetime import datetime
from typing import Any, ClassVar

from moto.core.responses import ActionResult
from moto.ec2 import urls
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import instances
from moto.ec2.responses import EC2Response

from crashcart.lab.aws.world import World

INSTANCE_ID = re.compile(r"i-(?:[0-9a-f]{8}|[0-9a-f]{17})")


class Instance(instances.Instance):
    """An instance that was launched at a moment of the lab's time; moto's serialiser goes by the name of this class."""

    world: ClassVar[World]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.launch_time = self.world.now()
        self.impaired_since: datetime | None = None

    @property
    def instance_status(self) -> dict[str, Any]:
        """The check of the instance itself; the fault ``ec2.impaired`` of this instance fails it."""
        return self._status(impaired=self.world.condition("ec2.impaired", self.id) is not None)

    @property
    def system_status(self) -> dict[str, Any]:
        """The check of the host below; the fault fails it too when its value is ``system``."""
        return self._status(impaired=self.world.condition("ec2.impaired", self.id) == "system")

    def _status(self, *, impaired: bool) -> dict[str, Any]:
        if self.state != "running":
            return {"Status": "not-applicable"}
        if impaired:
            self.impaired_since = self.impaired_since or self.world.now()
            failed = {"Name": "reachability", "Status": "failed", "ImpairedSince": self.impaired_since}
            return {"Status": "impaired", "Details": [failed]}
        age = (self.world.now() - self.launch_time).total_seconds()
        status, check = (
            ("initializing", "initializing") if age < self.world.seconds("ec2.status-checks") else ("ok", "passed")
        )
        return {"Status": status, "Details": [{"Name": "reachability", "Status": check}]}


class LabEc2(EC2Response):
    """The API's actions that differ from moto's."""

    def describe_instance_status(self) -> ActionResult:
        """DescribeInstanceStatus: an id that cannot be one is malformed, not unknown (EC2 API: client error codes)."""
        for name in self._get_param("InstanceIds", []):
            if not INSTANCE_ID.fullmatch(name):
                raise EC2ClientError("InvalidInstanceID.Malformed", f'Invalid id: "{name}"')
        return super().describe_instance_status()


def install(world: World) -> None:
    """Put this behaviour into moto: the model of a new instance, and the class that answers the API."""
    # moto would make 1,300 public images of each region, at every reset; the lab has one of its own.
    os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"
    Instance.world = world
    instances.Instance = Instance  # type: ignore[misc]
    urls.url_paths["{0}/"] = LabEc2.dispatch
