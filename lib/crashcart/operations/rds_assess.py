"""How a database is, by the one fact that decides, and the command that would help."""

from __future__ import annotations

from crashcart.facts.rds import Cluster, Database, Instance, Member
from crashcart.facts.rds_status import Standing
from crashcart.operations.base import Decision, Done, Fail, Unknown
from crashcart.operations.rds_scene import shown_pending
from crashcart.operations.rds_wish import named
from crashcart.results import Verdict

RECOVER = "inv recover.rds-failover --hosts ..."
PROGRESS = "wait, then look again: inv check.rds --hosts ..."

_HINTS = {
    "stopped": "aws rds start-db-instance, or start-db-cluster for a cluster",
    "storage-full": "aws rds modify-db-instance --allocated-storage ... --apply-immediately",
    "inaccessible-encryption-credentials-recoverable": "enable its KMS key again, then start it",
}
"""What helps against a status that no failover cures."""


def assess(state: Database) -> Decision:
    """Judge the state as it is now; nothing is waited for."""
    if state.cluster:
        return _assess_cluster(state, state.cluster)
    assert state.instance  # noqa: S101 -- a database is one or the other
    return _assess_instance(state, state.instance)


def verdict_of(state: Database) -> Verdict:
    """Return how the database is, in one word."""
    decision = assess(state)
    verdict = getattr(decision, "verdict", None)
    return verdict if isinstance(verdict, Verdict) else Verdict.UNKNOWN


def _assess_cluster(state: Database, cluster: Cluster) -> Decision:
    if cluster.standing is Standing.UNKNOWN:
        return Unknown(f"RDS calls {cluster.name} {cluster.status!r}, which is not known here")
    if cluster.standing is Standing.DOWN:
        return Fail(f"{cluster.name} is {cluster.status}", _HINTS.get(cluster.status, ""), Verdict.DOWN)
    if cluster.standing is Standing.MOVING:
        return Fail(f"{cluster.name} is {cluster.status}; members: {named(cluster.members)}", PROGRESS, Verdict.DEGRADED)
    writer = cluster.writer
    if writer is None:
        shown = f"{len(cluster.writers)} writers" if cluster.writers else "no writer"
        return Unknown(f"RDS shows {shown} in {cluster.name}; members: {named(cluster.members)}")
    return _assess_writer(cluster, writer) or _assess_readers(state, cluster, writer)


def _assess_writer(cluster: Cluster, writer: Member) -> Decision | None:
    if writer.standing is Standing.SERVING:
        return None
    why = f"the writer of {cluster.name}, {writer.name}, is {writer.status}; readers: {named(cluster.readers)}"
    if writer.standing is Standing.UNKNOWN:
        return Unknown(f"{why}, which is not known here")
    if writer.standing is Standing.MOVING:
        return Fail(why, PROGRESS, Verdict.DEGRADED)
    return Fail(why, RECOVER if cluster.available_readers else _HINTS.get(writer.status, ""), Verdict.DOWN)


def _assess_readers(state: Database, cluster: Cluster, writer: Member) -> Decision:
    head = f"{cluster.name}: writer {writer.line}{_in(writer.zone)}"
    sick = [reader for reader in cluster.readers if reader.standing is not Standing.SERVING]
    if sick:
        return Fail(f"{head}; not serving: {named(sick)}", "", Verdict.DEGRADED)
    readers = f"readers {named(cluster.readers)}" if cluster.readers else "no reader to fail over to"
    return Done(f"{head}, {readers}{shown_pending(state)}", Verdict.HEALTHY)


def _assess_instance(state: Database, instance: Instance) -> Decision:
    shown = f"{instance.name} is {instance.status}{_in(instance.zone)}"
    if instance.standing is Standing.UNKNOWN:
        return Unknown(f"{shown}, a status that is not known here")
    if instance.standing is Standing.DOWN:
        return Fail(shown, _HINTS.get(instance.status, ""), Verdict.DOWN)
    if instance.standing is Standing.MOVING:
        return Fail(shown, PROGRESS, Verdict.DEGRADED)
    if instance.troubles:
        return Fail(f"{shown}, but {'; '.join(instance.troubles)}", "", Verdict.DEGRADED)
    return Done(f"{shown}, {_standby(instance)}{shown_pending(state)}", Verdict.HEALTHY)


def _standby(instance: Instance) -> str:
    if instance.cluster:
        return f"a member of the cluster {instance.cluster}"
    if instance.replica_of:
        return f"a replica of {instance.replica_of}"
    return f"standby{_in(instance.secondary_zone)}" if instance.multi_az else "without a standby (single-AZ)"


def _in(zone: str) -> str:
    return f" in {zone}" if zone else ""
