"""The rules by which automatic failover and Multi-AZ are put where they shall be; also how a failover takes back its off."""

from __future__ import annotations

from crashcart.facts.elasticache import Cache
from crashcart.operations.base import Act, Decision, Done, Memory, NoGoal, Refuse, Wait
from crashcart.operations.elasticache_acts import switch_on
from crashcart.operations.elasticache_assess import verdict_of
from crashcart.operations.elasticache_scene import CHECK, POLL
from crashcart.operations.elasticache_wish import SettingsWish

HOLD = 10.0
"""Seconds that the settings have to stay as they were set."""


def decide_settings(state: Cache, memory: Memory[Cache, NoGoal], wish: SettingsWish) -> Decision:
    """Judge the settings as they are now."""
    group = state.group
    if not group.is_steady:
        return Wait(f"{group.name} is {group.status}; {group.settings}", POLL, CHECK)
    if group.has(automatic_failover=wish.automatic_failover, multi_az=wish.multi_az):
        if not memory.acted and state.at - memory.pin.at < wish.settle:
            return Wait(f"{group.name}: {group.settings}; a change that was asked for just now may not show yet", POLL)
        return Done(f"{group.name}: {group.settings}", verdict_of(state), hold=HOLD)
    if memory.acted:
        return Wait(f"the change was accepted, and {group.name} still shows {group.settings}", POLL, CHECK)
    return _cannot(state, wish) or Act(switch_on(state, automatic_failover=wish.automatic_failover, multi_az=wish.multi_az))


def _cannot(state: Cache, wish: SettingsWish) -> Decision | None:
    group = state.group
    if group.is_clustered and not wish.automatic_failover:
        return Refuse(f"{group.name} has cluster mode enabled, where automatic failover cannot be switched off")
    if wish.automatic_failover and any(len(shard.nodes) < 2 for shard in group.shards):
        return Refuse(f"automatic failover of {group.name} needs a replica in each node group", "add one first")
    return None
