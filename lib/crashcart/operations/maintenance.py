"""``rds.maintenance`` says what AWS and others plan for a database, and whether it failed over lately (seed row S0-D11)."""

from __future__ import annotations

from collections.abc import Iterator

from crashcart.facts import rds
from crashcart.facts.rds import EVENTS, MAINTENANCE, Database
from crashcart.operations.aws_calls import reads
from crashcart.operations.base import CloudOperation, Decision, Memory, NoGoal
from crashcart.operations.findings import Finding, judge
from crashcart.operations.rds_scene import shown_pending
from crashcart.operations.rds_wish import KINDS, AssessWish
from crashcart.results import Evidence, Verdict
from crashcart.transports.base import CloudTransport

WINDOW = 3600.0
"""Seconds back in which a failover is told."""


class AssessMaintenance(CloudOperation[AssessWish, Database, NoGoal]):
    """Tells pending maintenance, pending changes and the failovers of an hour; changes nothing.

    What is planned is no trouble yet, so it makes no database degraded; that it could not be asked is unknown.
    """

    name = "rds.maintenance"
    kinds = KINDS
    reads_only = True
    calls = (
        reads("rds:DescribeDBClusters", "cluster:*"),
        reads("rds:DescribeDBInstances", "db:*"),
        reads("rds:DescribeEvents"),
        reads("rds:DescribePendingMaintenanceActions", "cluster:{names}", "db:{names}"),
    )
    wish, state, goal_type = AssessWish, Database, NoGoal

    def observe(self, transport: CloudTransport, wish: AssessWish, looks: frozenset[str]) -> Database:
        """Describe the database, and what is planned. Raises as ``rds.assess`` does."""
        seen = rds.observe(transport, wish.kind)
        return rds.add(transport, seen, frozenset({MAINTENANCE, EVENTS}), WINDOW)

    def goal(self, pin: Database, wish: AssessWish) -> NoGoal:
        """There is none."""
        return NoGoal()

    def decide(self, state: Database, memory: Memory[Database, NoGoal], wish: AssessWish) -> Decision:
        """Tell what there is to tell."""
        planned = shown_pending(state).removeprefix("; ")
        events = tuple(event.line for event in state.recent.events) if state.recent else ()
        evidence = (Evidence("planned", lines=(planned,) if planned else ()), Evidence("changed lately", lines=events))
        return judge(_findings(state), f"{state.name}: {planned or 'nothing is pending'}", evidence)


def _findings(state: Database) -> Iterator[Finding]:
    if state.maintenance and state.maintenance.unreadable:
        yield Finding(Verdict.UNKNOWN, f"whether maintenance is pending is not known: {state.maintenance.unreadable}")
    if state.recent and state.recent.unreadable:
        yield Finding(Verdict.UNKNOWN, f"whether it failed over lately is not known: {state.recent.unreadable}")
