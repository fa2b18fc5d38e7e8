"""The acts on a replication group: each is one absolute call, and says from what state it was decided."""

from __future__ import annotations

import msgspec

from crashcart.facts.elasticache import Cache, Group, Shard
from crashcart.facts.elasticache_events import DAY
from crashcart.facts.elasticache_status import MODIFYING
from crashcart.operations.base import Action, Effect, Quota
from crashcart.plan import Undo
from crashcart.results import Change
from crashcart.transports.base import ApiCall

OFF, PROMOTE, ON, TEST = "switch off automatic failover", "promote", "switch on again", "test failover"
"""How the keys of the acts begin."""

BUDGET = "failover"

LINGERS = 30.0
"""Seconds for which the old settings may still be shown after a change was accepted."""


class Before(msgspec.Struct, frozen=True):
    """What an act was decided from, as its token tells."""

    status: str
    automatic_failover: str
    multi_az: str
    primaries: str
    newest: str

    @classmethod
    def of(cls, token: str) -> Before:
        """Read a token."""
        return cls(*token.split(" "))


def token_of(seen: Cache) -> str:
    """Name what an act is decided from: status, settings, primaries, and where these are not told the newest event."""
    group = seen.group
    primaries = ",".join("+".join(node.name for node in shard.primaries) or "-" for shard in group.shards) or "-"
    newest = seen.recent.newest if seen.recent and group.is_clustered else None
    return f"{group.status} {group.automatic_failover} {group.multi_az} {primaries} {'-' if newest is None else newest}"


def act_seen(seen: Cache, action: Action) -> bool:
    """See a change under way, or what it led to."""
    group, before, now = seen.group, Before.of(action.only_if), Before.of(token_of(seen))
    if group.next_primary or group.next_automatic_failover or now.status == MODIFYING != before.status:
        return True
    if action.key.startswith((OFF, ON)):
        return (now.automatic_failover, now.multi_az) != (before.automatic_failover, before.multi_az)
    told = "-" not in {now.newest, before.newest} and float(now.newest) > float(before.newest)
    return now.primaries != before.primaries or told


def has_applied(applied: tuple[str, ...], act: str) -> bool:
    """Tell whether an act whose key begins like this was applied."""
    return any(key.startswith(act) for key in applied)


def switch_off(seen: Cache, why: str) -> Action:
    """Return the act that allows a promotion. It carries how the settings become what they were, whatever happens."""
    group = seen.group
    automatic, multi_az = group.automatic_failover == "enabled", group.multi_az == "enabled"
    undo = Undo(
        "elasticache.settings",
        {"automatic_failover": automatic, "multi_az": multi_az, "settle": LINGERS},
        f"{group.name}: automatic failover {_word(automatic)}, Multi-AZ {_word(multi_az)}, as they were",
    )
    return Action(
        key=f"{OFF} of {group.name}",
        effect=Effect.ONCE,
        summary=why,
        only_if=token_of(seen),
        call=settings_call(group.name, automatic_failover=False, multi_az=False),
        changes=_settings_changes(group, automatic_failover=False, multi_az=False),
        undo=undo,
        budget=BUDGET,
    )


def switch_on(seen: Cache, *, automatic_failover: bool, multi_az: bool) -> Action:
    """Return the act that puts both settings where they shall be."""
    group = seen.group
    said = f"automatic failover {_word(automatic_failover)}, Multi-AZ {_word(multi_az)}"
    return Action(
        key=f"{ON} {group.name}: {said}",
        effect=Effect.ONCE,
        summary=f"set {group.name} to {said}",
        only_if=token_of(seen),
        call=settings_call(group.name, automatic_failover=automatic_failover, multi_az=multi_az),
        changes=_settings_changes(group, automatic_failover=automatic_failover, multi_az=multi_az),
    )


def promote(seen: Cache, shard: Shard, target: str, why: str, *, is_first: bool) -> Action:
    """Return the act that makes a replica the primary. Only a run's first act is counted by budgets and has evidence."""
    group, old = seen.group, shard.primary.name if shard.primary else ""
    params = {"ReplicationGroupId": group.name, "PrimaryClusterId": target, "ApplyImmediately": True}
    return Action(
        key=f"{PROMOTE} {target} in {group.name}",
        effect=Effect.ONCE,
        summary=why,
        only_if=token_of(seen),
        call=ApiCall("elasticache", "ModifyReplicationGroup", params),
        changes=(Change(f"primary of {group.name}", old, target),),
        # Replicas serve on, and no other group takes over this one's work: there is no capacity to count.
        disturbs=False,
        budget=BUDGET if is_first else "",
    )


def test_failover(seen: Cache, shard: Shard, old: str, why: str, quota: int) -> Action:
    """Return the act that lets AWS fail a node group over to a replica of its choice, of ``quota`` a day."""
    params = {"ReplicationGroupId": seen.name, "NodeGroupId": shard.name}
    return Action(
        key=f"{TEST} of {seen.name} {shard.name}",
        effect=Effect.ONCE,
        summary=why,
        only_if=token_of(seen),
        call=ApiCall("elasticache", "TestFailover", params),
        changes=(Change(f"primary of {seen.name} {shard.name}", old or "not told", "another node"),),
        disturbs=False,
        budget=BUDGET,
        quota=Quota(
            "TestFailover",
            seen.group.place,
            quota,
            DAY,
            used=seen.tests.used if seen.tests else 0,
            flag="--test-quota",
        ),
    )


def settings_call(name: str, *, automatic_failover: bool, multi_az: bool) -> ApiCall:
    """Return the call that puts both settings where they shall be, now."""
    settings = {"AutomaticFailoverEnabled": automatic_failover, "MultiAZEnabled": multi_az, "ApplyImmediately": True}
    return ApiCall("elasticache", "ModifyReplicationGroup", {"ReplicationGroupId": name, **settings})


def _settings_changes(group: Group, *, automatic_failover: bool, multi_az: bool) -> tuple[Change, ...]:
    both = (
        Change(f"automatic failover of {group.name}", group.automatic_failover, _word(automatic_failover)),
        Change(f"Multi-AZ of {group.name}", group.multi_az, _word(multi_az)),
    )
    return tuple(change for change in both if change.before != change.after)


def _word(on: bool) -> str:
    return "enabled" if on else "disabled"
