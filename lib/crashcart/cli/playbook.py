"""A playbook as a command: its flags, and the way from the command line to the exit code."""

from __future__ import annotations

from typing import Any

from invoke import Context, Task

from crashcart.cli.ending import ended
from crashcart.cli.flags import parse_request
from crashcart.cli.house import House
from crashcart.cli.playbookflags import playbook_flags
from crashcart.cli.tasks import make_task


def playbook_task(house: House, name: str) -> Task[Any]:
    """Return the command of a playbook or drill; the file is read strictly when it is run."""
    head = house.library.head(name)

    def body(context: Context, values: dict[str, Any]) -> None:
        dry = bool(context.config.run.dry)
        ended(lambda: _run(house, name, values, dry=dry), as_json=values.get("output") == "json", playbook=name)

    return make_task(name.partition(".")[2], body, playbook_flags(head), head.summary, library=house.library)


def _run(house: House, name: str, values: dict[str, Any], *, dry: bool) -> int:
    from crashcart.cli.execution import Execution, say_notes
    from crashcart.playbooks.schema import Drill

    found = house.library.get(name)
    note = house.library.entries[name].note
    say_notes([note] if note else [])
    if isinstance(found, Drill):
        from crashcart.cli.drill import run_drill

        return run_drill(house, found, values, dry=dry)
    request = parse_request(values, dry=dry, deadline=found.deadline)
    given = {param: values[param] for param in found.params if values.get(param) not in {None, False}}
    return Execution(house, request).run(found, given).exit_code
