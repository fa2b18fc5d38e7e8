"""What a drill may find wrong in the emulated AWS, by name. The emulator sets a scene up by itself: ``stage.py``.

A scene changes what is there; a fault on the way (``faults.py``) spoils the calls of whoever repairs it.
"""

from __future__ import annotations

SCENES = {
    "rds.writer-down": "the writer has no storage left and is out of service",
    "rds.readers-stopped": "the writer is out of service, and so is every reader",
    "rds.failover-under-way": "somebody has started a failover a moment ago",
    "elasticache.primary-down": "the primary is out of service",
    "elasticache.primary-alone": "the primary is out of service, and there is no replica",
    "elasticache.failover-under-way": "somebody has started to promote a replica a moment ago",
    "elasticache.pending-reboot": "a replica waits for a reboot, so that its parameters take effect",
    "elasticache.tests-used-up": "the primary is out of service, and AWS's test failovers of the day are used up",
    "asg.member-lost": "an instance was terminated; its replacement takes its time",
    "asg.launch-suspended": "an instance was terminated, and the group may not launch another one",
    "asg.raise-under-way": "somebody has raised the group to its max a moment ago",
    "asg.raised": "the group was raised to its max, and its instances serve",
    "asg.set-since": "the group was raised, and somebody has set another size since",
    "elbv2.target-out": "the first target is not registered",
    "elbv2.target-stopped": "the first target is not registered, and its instance is stopped",
    "elbv2.target-sick": "the first target fails its health checks",
    "elbv2.target-alone": "the first target is the only one",
    "elbv2.target-leaving": "every target is well, and the first one shall leave",
}
"""Scenes, and what is true in them, around one resource."""
