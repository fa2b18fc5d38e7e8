"""What CloudTrail would have: the calls that changed something. Needs no moto."""

from __future__ import annotations

import re

from crashcart.lab.aws.calls import Call
from crashcart.lab.aws.world import Trailed, World

KEPT = 500
_RESOURCE = re.compile(r"(sg|acl|i|subnet|vpc)-[0-9a-f]{8,17}")


def note_call(world: World, call: Call, status: int) -> None:
    """Keep a call that changed something, with the resources that its parameters name."""
    if call.writes and status < 400:
        named = tuple(sorted({value for value in call.values.values() if _RESOURCE.fullmatch(value)}))
        world.trail.append(Trailed(world.now(), call.service, call.action, named, call.agent))
        del world.trail[:-KEPT]
