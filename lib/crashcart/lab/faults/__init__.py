"""Faults for drills: pairs of scripts that break a practice host in a known way, and mend it.

They are commands for a transport and know nothing of containers: they work on any host that a drill may be held on.
``CANARY`` prints what no recovery may touch, to be compared before and after.
"""

from __future__ import annotations

from crashcart.lab.faults.fault import Fault, disk_fault, script, service_fault

__all__ = ["CANARY", "FAULTS", "Fault"]

CANARY = script("disk", "canary")

_ALL = (
    service_fault("service.crash", "the service is killed and stays failed; a restart cures it"),
    service_fault("service.hang", "the service is active and accepts connections, but never answers; a restart cures it"),
    service_fault("service.leak", "the service grows until the kernel kills it for memory; a restart cures it"),
    service_fault("service.start-limit", "the service was restarted too often; only reset-failed and a start cure it"),
    service_fault("service.squeezed", "the service may use hardly more memory than it does; a higher limit cures it"),
    disk_fault("disk.full", "/var has no byte free: old rotated logs and cached packages"),
    disk_fault("disk.inodes", "/var has no inode free: thousands of small old rotated logs"),
    disk_fault("disk.open-deleted", "/var has no byte free: a service holds a deleted log open, nothing can be deleted"),
    disk_fault("disk.hostile-names", "/var has no byte free: old logs with hostile names, amid links that lead elsewhere"),
)

FAULTS: dict[str, Fault] = {fault.name: fault for fault in _ALL}
