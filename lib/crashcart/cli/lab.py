"""``lab.*``: the practice fleet."""

from __future__ import annotations

import sys
from typing import Any

from invoke import Context, Task

from crashcart.cli.ending import ended
from crashcart.cli.flags import OUTPUT, Flag, wants_json
from crashcart.cli.house import to_json
from crashcart.cli.tasks import make_task
from crashcart.errors import BadInput

DEFAULT_COUNT = 3
MAX_COUNT = 50


def lab_tasks() -> list[Task[Any]]:
    """Return the commands of the lab."""
    count = Flag("count", f"how many hosts (default: {DEFAULT_COUNT})")
    return [
        make_task("up", _up, [count, OUTPUT], "Start the practice fleet, or complete it; a second time changes nothing"),
        make_task("down", _down, [], "Remove the practice fleet"),
        make_task("status", _status, [OUTPUT], "Show the practice fleet"),
        make_task("reset", _reset, [], "Make every host of the practice fleet anew"),
    ]


def parse_count(raw: str | None) -> int:
    """Read ``--count``. Raises ``BadInput``."""
    if raw is None:
        return DEFAULT_COUNT
    if raw.isascii() and raw.isdecimal() and 1 <= int(raw) <= MAX_COUNT:
        return int(raw)
    raise BadInput(f"--count: expected a whole number from 1 to {MAX_COUNT}, got {raw!r}")


def progress(text: str) -> None:
    """Show a line of progress; stdout is for results."""
    print(text, file=sys.stderr, flush=True)


def _up(context: Context, values: dict[str, Any]) -> None:
    def command() -> int:
        from crashcart.lab.lab import Lab

        as_json = wants_json(values)
        status = Lab.open().up(parse_count(values["count"]), progress)
        print(to_json(status) if as_json else status.text)
        return 0

    ended(command, as_json=values.get("output") == "json")


def _down(context: Context, values: dict[str, Any]) -> None:
    def command() -> int:
        from crashcart.lab.lab import Lab

        Lab.open().down()
        print("the lab is down")
        return 0

    ended(command)


def _status(context: Context, values: dict[str, Any]) -> None:
    def command() -> int:
        from crashcart.lab.lab import Lab

        as_json = wants_json(values)
        status = Lab.open().status()
        print(to_json(status) if as_json else status.text)
        return 0

    ended(command, as_json=values.get("output") == "json")


def _reset(context: Context, values: dict[str, Any]) -> None:
    def command() -> int:
        from crashcart.lab.lab import Lab

        print(Lab.open().reset(progress).text)
        return 0

    ended(command)
