"""``inventory.show`` and ``inventory.ping``."""

from __future__ import annotations

from typing import Any

from invoke import Context, Task

from crashcart.cli.ending import ended
from crashcart.cli.flags import COMMON, INVENTORY, OUTPUT, Flag, parse_request, wants_json
from crashcart.cli.house import House, to_json
from crashcart.cli.tasks import make_task

PING = "inventory.ping"
HOSTS = Flag("hosts", "targets to show (default: all)", value="hosts")


def inventory_tasks(house: House) -> list[Task[Any]]:
    """Return the commands of the inventory."""

    def show(context: Context, values: dict[str, Any]) -> None:
        ended(lambda: _show(house, values), as_json=values.get("output") == "json")

    def ping(context: Context, values: dict[str, Any]) -> None:
        dry = bool(context.config.run.dry)
        ended(lambda: _ping(house, values, dry=dry), as_json=values.get("output") == "json", playbook=PING)

    return [
        make_task("show", show, [HOSTS, INVENTORY, OUTPUT], "Show groups, targets and their resolved variables"),
        make_task("ping", ping, COMMON, "Log in to each target and run one command as root; changes nothing"),
    ]


def _ping(house: House, values: dict[str, Any], *, dry: bool) -> int:
    """Run a playbook like any other, so that ping sees exactly what a recovery would."""
    from crashcart.cli.execution import Execution
    from crashcart.playbooks.schema import Playbook, StepSpec

    step = StepSpec("host.ping", {}, "host.ping")
    ping = Playbook(name=PING, file=PING, summary="Log in and become root", kinds=("linux",), steps=(step,))
    return Execution(house, parse_request(values, dry=dry)).run(ping, {}).exit_code


def _show(house: House, values: dict[str, Any]) -> int:
    from crashcart.inventory import select, show

    as_json = wants_json(values)
    inventory = house.inventory(values["inventory"])
    pattern = values["hosts"]
    shown = show(inventory, None if pattern is None else select(inventory, pattern))
    print(to_json(shown) if as_json else _as_text(shown))
    return 0


def _as_text(shown: dict[str, Any]) -> str:
    lines = []
    for name, members in shown["groups"].items():
        lines.append(f"{name}: {', '.join(members) if members else '(empty)'}")
    for target in shown["targets"]:
        place = f"{target['user'] or ''}@{target['address']}:{target['port'] or 22}" if target["kind"] == "linux" else ""
        lines.append(f"  {target['name']:<24} {target['kind']:<12} {place}")
    return "\n".join([*lines, *(f"note: {note}" for note in shown["notes"])])
