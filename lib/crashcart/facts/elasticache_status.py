"""What ElastiCache's status words mean for who needs the cache; a word that is not listed here is unknown, never healthy.

Sources: ``Status`` of ReplicationGroup, ``CacheClusterStatus`` and ``CacheNodeStatus`` in the API reference.
"""

from __future__ import annotations

from crashcart.facts.rds_status import Standing

AVAILABLE, MODIFYING = "available", "modifying"
REBOOTING = ("rebooting cluster nodes", "rebooting")
"""A cluster's word for it, and a node's."""

ENABLED, DISABLED = "enabled", "disabled"

_GROUP = {
    AVAILABLE: Standing.SERVING,
    "snapshotting": Standing.SERVING,
    "creating": Standing.MOVING,
    MODIFYING: Standing.MOVING,
    "deleting": Standing.DOWN,
    "create-failed": Standing.DOWN,
}

_NODE = {
    AVAILABLE: Standing.SERVING,
    "snapshotting": Standing.SERVING,
    "creating": Standing.MOVING,
    MODIFYING: Standing.MOVING,
    **dict.fromkeys(REBOOTING, Standing.MOVING),
    "deleted": Standing.DOWN,
    "deleting": Standing.DOWN,
    "incompatible-network": Standing.DOWN,
    "restore-failed": Standing.DOWN,
}


def group_standing(status: str) -> Standing:
    """Say how a replication group or a node group in this status is."""
    return _GROUP.get(status, Standing.UNKNOWN)


def node_standing(status: str) -> Standing:
    """Say how a node in this status is."""
    return _NODE.get(status, Standing.UNKNOWN)
