"""The inventory as a JSON document, for ``inventory.show`` and for scripts."""

from __future__ import annotations

from typing import Any

from crashcart.inventory.model import DEFAULT_KIND, Inventory
from crashcart.inventory.secrecy import map_secrets
from crashcart.targets import Selection, Target

SCHEMA = 1


def show(inventory: Inventory, selection: Selection | None = None) -> dict[str, Any]:
    """Return an inventory, or what a selection takes from it, as plain JSON values. Secrets are masked."""
    targets = inventory.targets if selection is None else selection.targets
    names = {target.name for target in targets}
    members = {name: [member for member in group.members if member in names] for name, group in inventory.groups.items()}
    return {
        "schema": SCHEMA,
        "targets": [_target(target) for target in targets],
        "groups": {name: shown for name, shown in members.items() if shown or (selection is None and name != "ungrouped")},
        "notes": list(inventory.notes),
    }


def _target(target: Target) -> dict[str, Any]:
    variables: dict[str, Any] = map_secrets(target.variables, str)
    is_host = target.kind == DEFAULT_KIND
    return {
        "name": target.name,
        "kind": target.kind,
        "groups": list(target.groups),
        "address": variables.get("ansible_host") or (target.name if is_host else None),
        "port": _number(variables.get("ansible_port")),
        "user": variables.get("ansible_user"),
        "key_file": variables.get("ansible_ssh_private_key_file"),
        "endpoint": variables.get("aws_endpoint_url"),
        "variables": variables,
    }


def _number(port: Any) -> Any:
    """A port is often quoted in YAML; one that is no number is shown as it is."""
    return int(port) if isinstance(port, str) and port.isascii() and port.isdigit() else port
