"""Peers: the targets outside a selection that serve in the same groups as those inside."""

from __future__ import annotations

from crashcart.inventory.model import Inventory
from crashcart.targets import Selection, Target


def peers_of(selection: Selection, inventory: Inventory) -> tuple[Target, ...]:
    """Return the targets that share a capacity group with a selected one and are not selected, in inventory order."""
    chosen = {target.name for target in selection.targets}
    groups = {target.capacity_group for target in selection.targets}
    return tuple(target for target in inventory.targets if target.capacity_group in groups and target.name not in chosen)
