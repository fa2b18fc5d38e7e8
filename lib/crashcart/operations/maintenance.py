"""What AWS and others plan (seed row S0-D11): ``rds.maintenance`` for a database, ``elasticache.maintenance`` for a cache.

Of a database, it is told too whether it failed over lately.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from crashcart.facts import elasticache_updates, rds
from crashcart.facts.elasticache_updates import UNDER_WAY, Update, Updates
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


class CacheWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing to say: the target is the question."""


class AssessCacheMaintenance(CloudOperation[CacheWish, Updates, NoGoal]):
    """Tells the service updates that wait for a cache; changes nothing.

    One that waits is no trouble yet; one that is under way replaces nodes, so the cache is degraded meanwhile.
    """

    name = "elasticache.maintenance"
    kinds = (elasticache_updates.KIND,)
    reads_only = True
    calls = (reads("elasticache:DescribeUpdateActions"),)
    wish, state, goal_type = CacheWish, Updates, NoGoal

    def observe(self, transport: CloudTransport, wish: CacheWish, looks: frozenset[str]) -> Updates:
        """Ask for the updates. Raises ``Cancelled`` only."""
        return elasticache_updates.observe(transport)

    def goal(self, pin: Updates, wish: CacheWish) -> NoGoal:
        """There is none."""
        return NoGoal()

    def decide(self, state: Updates, memory: Memory[Updates, NoGoal], wish: CacheWish) -> Decision:
        """Tell what there is to tell."""
        lines = tuple(map(_update_words, state.updates))
        planned = f"pending service updates: {'; '.join(lines)}" if lines else "nothing is pending"
        return judge(_update_findings(state), f"{state.group}: {planned}", (Evidence("planned", lines=lines),))


def _update_findings(state: Updates) -> Iterator[Finding]:
    if state.unreadable:
        yield Finding(Verdict.UNKNOWN, f"whether service updates are pending is not known: {state.unreadable}")
    for update in state.updates:
        if update.status in UNDER_WAY:
            yield Finding(Verdict.DEGRADED, f"{state.group}: a service update is under way: {_update_words(update)}")


def _update_words(update: Update) -> str:
    due = f", recommended by {update.due}" if update.due else ""
    kind = f" {update.kind}" if update.kind else ""
    return f"{update.name} ({update.severity or 'no'} severity{kind}, {update.status}{due})"
