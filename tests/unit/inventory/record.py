"""Record what Ansible itself makes of the cases in tests/cases/inventory, beside each as ``NAME.ansible.yml``.

Run it with the Python of an environment that has ansible-core and PyYAML: ``python tests/unit/inventory/record.py``.
"""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from ansible import constants  # type: ignore[import-not-found]
from ansible.errors import AnsibleError  # type: ignore[import-not-found]
from ansible.inventory.manager import InventoryManager  # type: ignore[import-not-found]
from ansible.parsing.dataloader import DataLoader  # type: ignore[import-not-found]
from ansible.template import Templar  # type: ignore[import-not-found]
from ansible.vars.manager import VariableManager  # type: ignore[import-not-found]

CASES = Path(__file__).parents[2] / "cases" / "inventory"
MAGIC = {"group_names", "groups", "inventory_hostname_short", "omit", "playbook_dir"}
HEADER = "# Recorded from ansible-core by tests/unit/inventory/record.py.\n"


def main() -> None:
    for path in sorted(CASES.glob("*.yml")):
        if not path.name.endswith(".ansible.yml"):
            answer = record(yaml.safe_load(path.read_text()))
            path.with_suffix(".ansible.yml").write_text(HEADER + yaml.safe_dump(answer, sort_keys=False, width=120))


def record(case: dict[str, Any]) -> dict[str, Any]:
    with TemporaryDirectory() as name:
        folder = Path(name)
        for file, text in case["files"].items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_text(text)
        loader = DataLoader()
        loader.set_basedir(str(folder / "nowhere"))
        inventory = InventoryManager(loader, [str(folder / path) for path in case["inventory"]])
        return answers(case, inventory, VariableManager(loader, inventory, version_info={}))


def answers(case: dict[str, Any], inventory: Any, manager: Any) -> dict[str, Any]:
    hosts = inventory.get_hosts("all")
    answer = {
        "order": [host.name for host in hosts],
        "groups": {name: sorted(host.name for host in group.get_hosts()) for name, group in inventory.groups.items()},
        "variables": {host.name: variables(host, manager) for host in hosts},
        "patterns": {pattern: matched(inventory, pattern) for pattern in case["patterns"]},
    }
    plain: dict[str, Any] = json.loads(json.dumps(answer, default=str))
    return plain


def variables(host: Any, manager: Any) -> dict[str, Any]:
    values = manager.get_vars(host=host, include_hostvars=False, stage="all")
    templar = Templar(None, values)
    own = {name: value for name, value in values.items() if name not in constants.INTERNAL_STATIC_VARS and name not in MAGIC}
    return {name: templar.template(value) for name, value in own.items()}


def matched(inventory: Any, pattern: str) -> list[str] | None:
    try:
        return [host.name for host in inventory.get_hosts(pattern)]
    except AnsibleError:
        return None


if __name__ == "__main__":
    main()
