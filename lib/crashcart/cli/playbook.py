"""A playbook as a command: its flags, and the way from the command line to the exit code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from invoke import Context, Task

from crashcart.cli.ending import ended
from crashcart.cli.flags import COMMON, Flag, parse_request
from crashcart.cli.house import House
from crashcart.cli.tasks import make_task
from crashcart.errors import BadInput
from crashcart.playbooks.schema import Drill, ParamSpec, Playbook

if TYPE_CHECKING:
    from collections.abc import Sequence

_DRILL_FLAGS = (Flag("variant", "which faults to inject, with commas (default: all)"),)


def playbook_task(house: House, name: str) -> Task[Any]:
    """Return the command of a playbook or drill. A broken file still has one: running it says what is wrong."""
    try:
        found = house.library.get(name)
    except BadInput as error:
        return make_task(name.partition(".")[2], _broken(error), COMMON, f"(cannot be read) {error.message}")
    flags = (*_own_flags(found), *COMMON)
    return make_task(name.partition(".")[2], _body(house, found), flags, found.summary)


def _broken(error: BadInput) -> Any:
    def body(context: Context, values: dict[str, Any]) -> None:  # noqa: ARG001
        def fail() -> int:
            raise error

        ended(fail, as_json=values.get("output") == "json")

    body.__module__ = __name__
    return body


def _body(house: House, found: Playbook | Drill) -> Any:
    def body(context: Context, values: dict[str, Any]) -> None:
        dry = bool(context.config.run.dry)

        def command() -> int:
            if isinstance(found, Drill):
                from crashcart.cli.drill import run_drill  # noqa: PLC0415 -- only a drill pays for it

                return run_drill(house, found, values, dry=dry)
            from crashcart.cli.execution import Execution  # noqa: PLC0415 -- keeps --list fast

            request = parse_request(values, dry=dry)
            return Execution(house, request).run(found, given_parameters(found, values)).exit_code

        ended(command, as_json=values.get("output") == "json", playbook=found.name)

    body.__module__ = __name__
    return body


def _own_flags(found: Playbook | Drill) -> Sequence[Flag]:
    if isinstance(found, Drill):
        return _DRILL_FLAGS
    return [_flag(name, spec) for name, spec in found.params.items()]


def _flag(name: str, spec: ParamSpec) -> Flag:
    if spec.default is msgspec.UNSET:
        return Flag(name, f"{spec.help} ({spec.type}, required)")
    default = spec.default if isinstance(spec.default, str) else msgspec.json.encode(spec.default).decode()
    return Flag(name, f"{spec.help} ({spec.type}, default: {default or 'none'})", switch=is_switch(spec))


def is_switch(spec: ParamSpec) -> bool:
    """Tell whether a parameter is a switch: a bool that is off unless given."""
    return spec.type == "bool" and spec.default is False


def given_parameters(playbook: Playbook, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that were given on the command line."""
    return {name: values[name] for name in playbook.params if values.get(name) not in {None, False}}


