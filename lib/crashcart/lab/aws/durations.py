"""How long transitions take: on AWS, by its documents, and in the lab, where waiting teaches nothing.

The lab's numbers keep AWS's proportions roughly; each can be changed while the emulator runs.
"""

from __future__ import annotations

import msgspec


class Duration(msgspec.Struct, frozen=True):
    """Seconds in the lab and typically on AWS, and who says so."""

    lab: float
    aws: float
    source: str


DURATIONS = {
    "rds.accepted": Duration(0.0, 5, "how long a cluster stays available after a failover was accepted: unverified"),
    "rds.failover": Duration(2.0, 30, "Aurora user guide, High availability: less than 60 s, often less than 30 s"),
    "rds.restart": Duration(1.0, 10, "Aurora user guide: old and new writer restart; how long is unverified"),
    "rds.reboot": Duration(2.0, 60, "RDS user guide, Failover process: typically 60 to 120 s"),
    "rds.zone": Duration(1.0, 180, "RDS user guide, Reboot: the console shows the new zone after several minutes"),
    "rds.modify": Duration(6.0, 900, "RDS user guide, Modifying: several minutes; a published log shows 20"),
    "rds.start": Duration(4.0, 600, "RDS user guide, Starting: minutes to hours"),
    "rds.recently": Duration(60.0, 600, "RDS-EVENT-0034 says 'recently'; how long that is, is unverified"),
    "elasticache.failover": Duration(1.5, 20, "ElastiCache user guide, Multi-AZ: promotion takes a few seconds"),
    "elasticache.recovery": Duration(3.0, 300, "ElastiCache user guide: replacing the old primary takes minutes"),
    "elasticache.modify": Duration(1.0, 60, "unverified"),
    "elasticache.reboot": Duration(1.5, 120, "unverified"),
    "asg.launch": Duration(2.0, 90, "Auto Scaling user guide: one to five minutes with health checks"),
    "asg.terminate": Duration(1.0, 30, "unverified"),
    "asg.retry": Duration(5.0, 60, "unverified: how soon a failed launch is tried again"),
    "asg.health-check": Duration(2.0, 30, "Auto Scaling user guide: health checks are periodic"),
    "asg.refresh-step": Duration(1.0, 60, "unverified"),
    "elbv2.registration": Duration(0.5, 5, "unverified"),
    "elbv2.first-checks": Duration(1.0, 30, "ELB user guide: one passed check after registration, interval 30 s by default"),
    "ec2.status-checks": Duration(2.0, 120, "EC2 user guide: checks run every minute"),
}
