"""What the rules of a failover of a replication group decide from."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from crashcart.facts.elasticache import EVENTS, Cache, Shard
from crashcart.facts.elasticache_events import Event, EventKind, Recent
from crashcart.operations.base import Decision, Look, Memory
from crashcart.operations.elasticache_acts import has_applied
from crashcart.operations.elasticache_wish import FailoverGoal, FailoverWish, tests_only

FORCE = "--force fails over all the same"
CHECK = "inv check.elasticache --hosts ..."
POLL = 5.0
"""Seconds between looks at a change, which takes from seconds to minutes."""


class Scene(msgspec.Struct, frozen=True):
    """The state, the run's memory and the wish."""

    state: Cache
    memory: Memory[Cache, FailoverGoal]
    wish: FailoverWish

    @property
    def goal(self) -> FailoverGoal:
        """What was pinned."""
        return self.memory.goal

    @property
    def shard(self) -> Shard:
        """The node group that it is about."""
        shard = self.state.group.shard(self.goal.shard)
        assert shard  # noqa: S101 -- an earlier rule has seen that there is one
        return shard

    @property
    def is_test(self) -> bool:
        """Whether AWS's test call is what fails over."""
        return tests_only(self.state, self.wish)

    @property
    def recent(self) -> Recent:
        """The events, if any were asked for."""
        return self.state.recent or Recent(0.0)

    @property
    def told(self) -> tuple[Event, ...]:
        """What ElastiCache said about failovers of this node group."""
        return self.recent.of_shard(self.shard.name, self.shard.members)

    @property
    def new_completed(self) -> Event | None:
        """The newest failover of this node group that was completed after the first look."""
        after = self.goal.after
        done = [event for event in self.told if event.kind is EventKind.COMPLETED and after is not None and event.at > after]
        return done[-1] if done else None

    @property
    def last_failover(self) -> Event | None:
        """The last failover of this node group within the cooldown, asked for or completed."""
        since = self.recent.at - self.wish.cooldown
        within = [event for event in self.told if event.at >= since]
        return within[-1] if within else None

    def did(self, act: str) -> bool:
        """Whether an act of this kind was applied by this run."""
        return has_applied(self.memory.applied, act)


Rule = Callable[[Scene], Decision | None]


def first_of(rules: tuple[Rule, ...], scene: Scene) -> Decision | None:
    """Return the decision of the first rule that has something to say."""
    return next((decision for decision in (rule(scene) for rule in rules) if decision), None)


def need_events(scene: Scene) -> Decision | None:
    """Ask for events, once."""
    return Look(EVENTS) if scene.state.recent is None else None


def shown(scene: Scene) -> str:
    """Say who is what in the node group, and what would take over."""
    shard = scene.shard
    roles = [node for node in shard.nodes if node.role]
    who = ", ".join(f"{node.name} {node.role}" for node in roles) or f"nodes {', '.join(shard.members)}, roles not told"
    return f"{who}; {scene.state.group.settings}"


def corroborated(scene: Scene) -> str:
    """Say what ElastiCache's events add, or that they add nothing."""
    if scene.recent.unreadable:
        return "; ElastiCache's events could not be read"
    return f"; ElastiCache says {scene.new_completed.line}" if scene.new_completed else ""
