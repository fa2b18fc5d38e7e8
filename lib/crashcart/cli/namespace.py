"""The command tree: every playbook and drill by its name, and the fixed commands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from invoke import Collection, Task

from crashcart.cli.approvals import approve_task, sign_off_task
from crashcart.cli.development import development_tasks
from crashcart.cli.drills import drill_tasks
from crashcart.cli.faults import fault_tasks
from crashcart.cli.house import House
from crashcart.cli.inventory import inventory_tasks
from crashcart.cli.lab import lab_tasks
from crashcart.cli.playbook import playbook_task
from crashcart.cli.runs import runs_tasks
from crashcart.cli.taming import tame_invoke


def build_namespace(playbooks: Path | None, checkout: Path | None = None) -> Collection:
    """Return all commands. ``playbooks`` is a checkout's own folder; ``checkout`` is where its tasks.py stands."""
    tame_invoke()
    house = House(playbooks, checkout)
    root = Collection()
    groups: dict[str, list[Task[Any]]] = {
        "drill": drill_tasks(house),
        "lab": [*lab_tasks(), *fault_tasks()],
        "inventory": inventory_tasks(house),
        "runs": [*runs_tasks(house), approve_task(house), sign_off_task(house)],
    }
    for name in house.library.entries:
        groups.setdefault(name.partition(".")[0], []).append(playbook_task(house, name))
    for name, tasks in sorted(groups.items()):
        root.add_collection(Collection(name, *tasks))
    for task in development_tasks(checkout) if checkout else []:
        root.add_task(task)
    return root
