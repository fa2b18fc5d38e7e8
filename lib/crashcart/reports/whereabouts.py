"""Hints that mean other targets than their own: whom they mean, as far as the inventory of the run's targets knows."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from crashcart.plan import Plan
from crashcart.results import TargetResult
from crashcart.targets import Target

GROUP = "--hosts GROUP"
"""Stands in a hint for a host and its like."""

THEIR_HOSTS = "on their hosts"
"""Stands in a hint for the hosts behind a target group."""

MOST_HOSTS = 20
"""Hosts that a hint names; of more, its own words say enough."""

_WIDEST = frozenset({"all", "ungrouped"})


class Whereabouts:
    """Knows the targets of one plan, and from their variables which host is which instance."""

    def __init__(self, plan: Plan) -> None:
        self._targets = {one.target.name: one.target for one in (*plan.peers, *plan.targets)}

    def located(self, result: TargetResult) -> TargetResult:
        """Return a result whose hints, and those of its steps, name whom they mean; what is not known keeps its words."""
        target = self._targets.get(result.name)
        if target is None:
            return result
        steps = tuple(
            msgspec.structs.replace(step, hint=hint) if (hint := self._hint(step.hint, target, step.message)) else step
            for step in result.steps
        )
        return msgspec.structs.replace(result, hint=self._hint(result.hint, target, result.message), steps=steps)

    def _hint(self, hint: str, target: Target, message: str) -> str:
        if GROUP in hint and target.groups and target.groups[-1] not in _WIDEST:
            return hint.replace(GROUP, f"--hosts {shlex.quote(target.groups[-1])}")
        hosts = self._behind(target, message) if THEIR_HOSTS in hint else []
        return hint.replace(THEIR_HOSTS, f"--hosts {shlex.quote(','.join(hosts))}") if hosts else hint

    def _behind(self, target: Target, message: str) -> Sequence[str]:
        """Return the hosts of the instances that a message about their target group names."""
        told = {name: None for name, instance in self._instances(target) if instance in message}
        return list(told) if len(told) <= MOST_HOSTS else []

    def _instances(self, group: Target) -> Iterator[tuple[str, str]]:
        """Yield hosts with their instances: the group's own members, and the hosts among the targets."""
        members = group.variable("members")
        pairs = list(members.items()) if isinstance(members, Mapping) else []
        pairs += [(host.name, host.variable("instance_id")) for host in self._targets.values() if host.kind == "linux"]
        yield from ((str(name), instance) for name, instance in pairs if isinstance(instance, str) and instance)
