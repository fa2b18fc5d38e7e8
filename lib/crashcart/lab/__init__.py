"""The lab: a practice fleet of containers that run real systemd, sshd and journald, and faults to put into it."""

from crashcart.lab.folder import inventory_path
from crashcart.lab.lab import Lab
from crashcart.lab.status import HostStatus, LabStatus

__all__ = ["HostStatus", "Lab", "LabStatus", "inventory_path"]
