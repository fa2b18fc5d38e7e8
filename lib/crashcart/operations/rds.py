"""``rds.failover`` moves a database to another writer, once; ``rds.assess`` says how it is.

Seed rows S0-R3, S1-R3, S4-2C, defects 1, 2 and 21: the topology decides which call it is, the target is named in it, and
only the writer proves that it worked. The rules are in ``rds_cluster`` and ``rds_instance``. An endpoint follows its
writer, so no configuration is ever changed.
"""

from __future__ import annotations

from crashcart.facts import rds
from crashcart.facts.rds import Database
from crashcart.operations.aws_calls import Condition, reads, writes
from crashcart.operations.base import Action, CloudOperation, Decision, Memory, NoGoal
from crashcart.operations.rds_assess import assess, verdict_of
from crashcart.operations.rds_cluster import cluster_effect_seen, cluster_token, decide_cluster
from crashcart.operations.rds_evidence import gather
from crashcart.operations.rds_instance import decide_instance, instance_effect_seen, instance_token
from crashcart.operations.rds_scene import Scene
from crashcart.operations.rds_wish import KINDS, AssessWish, FailoverGoal, FailoverWish, chosen_from, make_goal
from crashcart.results import Verdict
from crashcart.transports.base import CloudTransport

_LOOKING = (reads("rds:DescribeDBClusters", "cluster:*"), reads("rds:DescribeDBInstances", "db:*"))


class FailOver(CloudOperation[FailoverWish, Database, FailoverGoal]):
    """Moves a cluster to another writer, or a Multi-AZ instance to its standby, at most once.

    Refuses while the writer works, unless forced; within the cooldown of the last failover; without an available reader
    or standby; when the reader is further behind than allowed, or nobody knows how far; while RDS calls it anything but
    available, since it fails over nothing else; a member that is none, a read replica, and engines that are not known
    here. A failover cannot be taken back: failing over again is one more outage.
    """

    name = "rds.failover"
    kinds = KINDS
    settle = 20.0
    calls = (
        *_LOOKING,
        reads("rds:DescribeEvents"),
        reads("rds:DescribePendingMaintenanceActions", "cluster:{names}", "db:{names}"),
        reads("rds:DescribeDBClusterParameters", "cluster-pg:*"),
        reads("rds:DescribeDBParameters", "pg:*"),
        reads("cloudwatch:GetMetricData"),
        writes("rds:FailoverDBCluster", "cluster:{names}"),
        writes("rds:RebootDBInstance", "db:{names}", only_if=Condition("Bool", "rds:MultiAz", "true")),
    )
    wish, state, goal_type = FailoverWish, Database, FailoverGoal

    def observe(self, transport: CloudTransport, wish: FailoverWish, looks: frozenset[str]) -> Database:
        """Describe the database, with the dearer facts that are asked for or that what is seen calls for.

        Raises ``FactUnreadable``, ``NoSuchResource`` and the transport's errors.
        """
        seen = rds.observe(transport, wish.kind)
        return rds.add(transport, seen, looks | chosen_from(seen, wish), window=wish.cooldown)

    def goal(self, pin: Database, wish: FailoverWish) -> FailoverGoal:
        """Pin the writer that is not wanted any more, and the one that is."""
        return make_goal(pin, wish)

    def decide(self, state: Database, memory: Memory[Database, FailoverGoal], wish: FailoverWish) -> Decision:
        """Judge by the rules of the topology."""
        scene = Scene(state, memory, wish)
        return decide_cluster(scene) if state.cluster else decide_instance(scene)

    def token(self, state: Database) -> str:
        """Name the state that a failover is decided from."""
        if state.cluster:
            return cluster_token(state.cluster)
        return instance_token(state, state.instance) if state.instance else ""

    def effect_seen(self, state: Database, action: Action) -> bool:
        """See a failover under way, or what it led to."""
        if state.cluster:
            return cluster_effect_seen(state.cluster, action.only_if)
        return state.instance is not None and instance_effect_seen(state, state.instance, action.only_if)

    def acts_on(self, state: Database) -> str:
        """Name the cluster, of its members too: whichever is selected, it is failed over as a whole."""
        return state.cluster_arn

    def health(self, state: Database, wish: FailoverWish) -> Verdict:
        """Say how the database is."""
        return verdict_of(state)

    def gather(self, transport: CloudTransport, action: Action, wish: FailoverWish) -> bytes:
        """Keep the descriptions, the events of an hour, changed parameters and lag."""
        return gather(transport, action.api)


class AssessDatabase(CloudOperation[AssessWish, Database, NoGoal]):
    """Says whether a database is healthy, degraded or down; changes nothing."""

    name = "rds.assess"
    kinds = KINDS
    reads_only = True
    calls = _LOOKING
    wish, state, goal_type = AssessWish, Database, NoGoal

    def observe(self, transport: CloudTransport, wish: AssessWish, looks: frozenset[str]) -> Database:
        """Describe the database. Raises ``FactUnreadable``, ``NoSuchResource`` and the transport's errors."""
        return rds.observe(transport, wish.kind)

    def goal(self, pin: Database, wish: AssessWish) -> NoGoal:
        """There is none."""
        return NoGoal()

    def decide(self, state: Database, memory: Memory[Database, NoGoal], wish: AssessWish) -> Decision:
        """Judge the state as it is now."""
        return assess(state)

    def health(self, state: Database, wish: AssessWish) -> Verdict:
        """Say how the database is."""
        return verdict_of(state)
