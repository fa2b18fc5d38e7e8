"""What RDS's status words mean for who needs the database; a word that is not listed here is unknown, never healthy.

Sources: "Viewing Amazon RDS DB instance status" and "Viewing DB cluster status" in the RDS and Aurora user guides.
"""

from __future__ import annotations

from enum import StrEnum


class Standing(StrEnum):
    """How something in a given status is."""

    SERVING = "serving"
    MOVING = "moving"
    """On its way to another status by itself; may not serve meanwhile."""
    DOWN = "down"
    """Does not serve, and does not come back by itself."""
    UNKNOWN = "unknown"


AVAILABLE = "available"
FAILING_OVER = "failing-over"
REBOOTING = "rebooting"


def _table(serving: str, moving: str, down: str) -> dict[str, Standing]:
    listed = {Standing.SERVING: serving, Standing.MOVING: moving, Standing.DOWN: down}
    return {word: standing for standing, words in listed.items() for word in words.split()}


_INSTANCE = _table(
    serving="""
        available backing-up configuring-activity-stream configuring-enhanced-monitoring configuring-iam-database-auth
        configuring-log-exports delete-precheck resetting-master-credentials storage-config-upgrade storage-initialization
        storage-optimization""",
    moving="converting-to-vpc creating maintenance modifying moving-to-vpc rebooting renaming starting upgrading",
    down="""
        deleting failed inaccessible-encryption-credentials inaccessible-encryption-credentials-recoverable
        incompatible-create incompatible-network incompatible-option-group incompatible-parameters incompatible-restore
        insufficient-capacity restore-error stopped stopping storage-full""",
)

_CLUSTER = _table(
    serving="""
        available backing-up configuring-iam-database-auth resetting-master-credentials storage-optimization
        update-iam-db-auth""",
    moving="""
        backtracking creating failing-over maintenance migrating modifying preparing-data-migration promoting renaming
        scaling-capacity scaling-compute scaling-storage starting upgrading""",
    down="""
        cloning-failed deleting failed inaccessible-encryption-credentials inaccessible-encryption-credentials-recoverable
        migration-failed stopped stopping""",
)


def instance_standing(status: str) -> Standing:
    """Say how an instance in this status is."""
    return _INSTANCE.get(status, Standing.UNKNOWN)


def cluster_standing(status: str) -> Standing:
    """Say how a cluster in this status is."""
    return _CLUSTER.get(status, Standing.UNKNOWN)
