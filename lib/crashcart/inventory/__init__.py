"""What can be acted on: Ansible's YAML inventories, loaded, shown, and selected from with ``--hosts``."""

from crashcart.inventory.find import find_inventory
from crashcart.inventory.loading import load
from crashcart.inventory.model import KINDS, Group, Inventory
from crashcart.inventory.patterns import select
from crashcart.inventory.shown import show

__all__ = ["KINDS", "Group", "Inventory", "find_inventory", "load", "select", "show"]
