"""``lab.fault-*``: put faults into the lab's AWS, list and clear them. Faults of hosts are put in by drills."""

from __future__ import annotations

from typing import Any

from invoke import Context, Task

from crashcart.cli.ending import ended
from crashcart.cli.flags import OUTPUT, Flag, wants_json
from crashcart.cli.house import to_json
from crashcart.cli.tasks import make_task
from crashcart.errors import BadInput, LabError, nearest

_ADD = (
    Flag("name", "which fault; lab.fault-list names them", value="fault"),
    Flag("service", "only calls of this service, as boto3 calls it: rds, elasticache, autoscaling, elbv2, ec2"),
    Flag("action", "only calls of this action, or of those that this pattern matches: FailoverDBCluster, Describe.*"),
    Flag("resource", "only what is about this resource"),
    Flag("times", "how many calls it takes"),
    Flag("seconds", "how long it lasts or takes"),
    Flag("value", "what the fault wants to know: an error code, seconds of lag"),
)


def fault_tasks() -> list[Task[Any]]:
    """Return the commands for faults of the lab's AWS."""
    return [
        make_task("fault-add", _add, [*_ADD, OUTPUT], "Put a fault into the lab's AWS", positional=("name",)),
        make_task("fault-list", _list, [OUTPUT], "Show which faults there are, and which are in the lab's AWS"),
        make_task("fault-clear", _clear, [OUTPUT], "Take all faults out of the lab's AWS"),
    ]


def check_name(name: str | None) -> str:
    """Return the name of a fault of AWS. Raises ``BadInput`` with the nearest, or with who puts a host's fault in."""
    from crashcart.lab.aws.faults import AWS_FAULTS
    from crashcart.lab.aws.scenes import SCENES
    from crashcart.lab.faults import FAULTS

    if not name:
        raise BadInput("lab.fault-add needs the name of a fault", hint="inv lab.fault-list")
    if name in AWS_FAULTS:
        return name
    if name in SCENES:
        raise BadInput(f"{name} is a scene: {SCENES[name]}", hint="drills set it up: inv --list drill")
    if name in FAULTS:
        raise BadInput(f"{name} is a fault of hosts: {FAULTS[name].summary}", hint="drills put it in: inv --list drill")
    hint = nearest(name, AWS_FAULTS) or nearest(f"aws.{name}", AWS_FAULTS) or "inv lab.fault-list"
    raise BadInput(f"there is no fault {name!r}", hint=hint)


def parse_times(raw: str | None) -> int | None:
    """Read ``--times``. Raises ``BadInput``."""
    if raw is None:
        return None
    if raw.isascii() and raw.isdecimal() and 1 <= int(raw) <= 1_000_000:
        return int(raw)
    raise BadInput(f"--times: expected a whole number of 1 or more, got {raw!r}")


def parse_seconds(raw: str | None) -> float | None:
    """Read ``--seconds``: a number, or a duration such as 2m. Raises ``BadInput``."""
    from crashcart.values import Duration

    if raw is None:
        return None
    try:
        return float(Duration.parse(f"{raw}s" if raw.replace(".", "", 1).isdecimal() else raw))
    except ValueError as error:
        raise BadInput(f"--seconds: {error}") from error


def _add(context: Context, values: dict[str, Any]) -> None:
    def command() -> int:
        as_json = wants_json(values)
        name = check_name(values["name"])
        given = {"times": parse_times(values["times"]), "seconds": parse_seconds(values["seconds"])}
        named = {flag: values[flag] or "" for flag in ("service", "action", "resource", "value")}
        armed = _emulator().admin("POST", "faults", {"name": name, **named, **given})
        print(to_json({"schema": 1, "fault": armed}) if as_json else f"{name} is in the lab's AWS; inv lab.fault-clear")
        return 0

    ended(command, as_json=values.get("output") == "json")


def _list(context: Context, values: dict[str, Any]) -> None:
    def command() -> int:
        as_json = wants_json(values)
        armed = _armed()
        known = {"aws": _known(), "scenes": _scenes(), "hosts": _of_hosts()}
        print(to_json({"schema": 1, **known, "in": armed}) if as_json else _as_text(armed))
        return 0

    ended(command, as_json=values.get("output") == "json")


def _clear(context: Context, values: dict[str, Any]) -> None:
    def command() -> int:
        as_json = wants_json(values)
        _emulator().admin("DELETE", "faults")
        print(to_json({"schema": 1}) if as_json else "no faults are in the lab's AWS")
        return 0

    ended(command, as_json=values.get("output") == "json")


def _emulator() -> Any:
    from crashcart.lab.lab import Lab

    return Lab.open().aws


def _armed() -> dict[str, Any] | None:
    """What is in the emulator now; None when it does not answer."""
    try:
        told: dict[str, Any] = _emulator().admin("GET", "faults")
    except LabError:
        return None
    return told


def _known() -> dict[str, str]:
    from crashcart.lab.aws.faults import AWS_FAULTS

    return {name: fault.summary for name, fault in AWS_FAULTS.items()}


def _scenes() -> dict[str, str]:
    from crashcart.lab.aws.scenes import SCENES

    return SCENES


def _of_hosts() -> dict[str, str]:
    from crashcart.lab.faults import FAULTS

    return {name: fault.summary for name, fault in FAULTS.items()}


def _as_text(armed: dict[str, Any] | None) -> str:
    from crashcart.reports.text import columns

    parts = {"of AWS, put in with inv lab.fault-add": _known(), "of hosts, put in by drills": _of_hosts()}
    parts["scenes of AWS, set up by drills"] = _scenes()
    known = "\n".join(f"{head}:\n{columns([('', *row) for row in faults.items()])}\n" for head, faults in parts.items())
    if armed is None:
        return f"{known}\nthe lab's AWS is down: inv lab.up"
    rows = [*map(_wire_row, armed["armed"]), *map(_standing_row, armed["conditions"])]
    return f"{known}\nin the lab's AWS now:\n{columns(rows)}" if rows else f"{known}\nnone is in the lab's AWS now"


def _wire_row(one: dict[str, Any]) -> tuple[str, str, str, str]:
    about = ".".join(part for part in (one["service"] or "any service", one["action"]) if part)
    left = "no limit" if one["left"] is None else f"{one['left']} more calls"
    return "", one["name"], f"{about} {one['resource']}".strip(), f"{left}, {one['hits']} so far"


def _standing_row(one: dict[str, Any]) -> tuple[str, str, str, str]:
    left = "until it is cleared" if one["times"] is None else f"{one['times']} times"
    return "", one["kind"], one["resource"], f"{one['value']}, {left}"
