"""Secrets of a run that goes on: its journal masks them, so they are taken from the inventory as it is now."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from msgspec.structs import replace

from crashcart.cli.house import House
from crashcart.errors import BadInput, Refused
from crashcart.inventory import Inventory, select
from crashcart.plan import Plan, TargetPlan
from crashcart.secrets import MASK, Secret
from crashcart.targets import Target

LOGIN = ("ansible_", "aws_")
"""What variables are called that a target is reached with."""


def reveal(house: House, plan: Plan) -> Plan:
    """Return a plan of a journal with the secrets of its targets' variables.

    Raises ``Refused`` where a target is reached with one that the inventory does not hold any more.
    """
    if not any(MASK in target.target.variables.values() for target in (*plan.targets, *plan.peers)):
        return plan
    inventory = _inventory(house)
    targets, peers = (tuple(_reveal(plan, target, inventory) for target in some) for some in (plan.targets, plan.peers))
    return replace(plan, targets=targets, peers=peers)


def _inventory(house: House) -> Inventory | None:
    """Load what is there now; without it, only what needs no secret can be reached."""
    with suppress(BadInput, Refused):
        return house.inventory(None)
    return None


def _reveal(plan: Plan, target: TargetPlan, inventory: Inventory | None) -> TargetPlan:
    masked = [name for name, value in target.target.variables.items() if value == MASK]
    if not masked:
        return target
    known = _secrets(target.target, inventory)
    missing = [name for name in masked if name.startswith(LOGIN) and name not in known]
    if missing:
        why = f"{target.target.name} is reached with {missing[0]}, which neither the journal nor the inventory holds"
        hint = f"run inv {plan.playbook} --hosts {plan.pattern!r} again: it starts by looking"
        raise Refused(why, hint=hint)
    variables = {**target.target.variables, **{name: known[name] for name in masked if name in known}}
    return replace(target, target=replace(target.target, variables=variables))


def _secrets(target: Target, inventory: Inventory | None) -> Mapping[str, Any]:
    """Return the secret variables that the inventory has for a target of that name."""
    if inventory is None:
        return {}
    with suppress(BadInput, Refused):
        (found,) = select(inventory, target.name).targets
        return {name: value for name, value in found.variables.items() if isinstance(value, Secret)}
    return {}
