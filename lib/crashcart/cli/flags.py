"""The flags of every playbook command. Invoke hands over text; the types and their errors are ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from crashcart.engine.limits import parse_amount
from crashcart.errors import BadInput
from crashcart.plan import Options, Rollout
from crashcart.results import Mode
from crashcart.values import Duration

T = TypeVar("T")
Value = Literal["text", "list", "path", "hosts", "run", "fault"]
"""What a flag's value is: a text, texts with commas, or the name of something."""

OUTPUTS = ("text", "json")


class Flag(msgspec.Struct, frozen=True):
    """A flag as Invoke sees it: an optional string, or a switch. ``value`` and ``values`` are what completion offers."""

    name: str
    help: str
    switch: bool = False
    value: Value = "text"
    values: tuple[str, ...] = ()


INVENTORY = Flag("inventory", "inventory file or folder, several with commas (default: inventories/)", value="path")
OUTPUT = Flag("output", "text or json; with json, stdout is exactly one document (default: text)", values=OUTPUTS)

COMMON = (
    Flag("hosts", "targets: groups, names, globs, a:&b, a:!b (required)", value="hosts"),
    INVENTORY,
    Flag("check", "look and say what would change; change nothing", switch=True),
    Flag("diff", "show each change, before and after", switch=True),
    Flag("forks", "how many targets at a time (default: 32; for a playbook that only looks: up to 64)"),
    Flag("serial", "batch sizes such as 1,25%,100%; the last one repeats"),
    Flag("max_failures", "stop when more targets than this fail: a count or a percentage"),
    Flag("deadline", "time for the whole run (default: the playbook's own, else 15m)"),
    OUTPUT,
    Flag("report", "folder to write report.html, junit.xml and summary.md to", value="path"),
    Flag("reason", "why this is done; required for protected groups"),
    Flag("incident", "incident that this belongs to"),
    Flag("yes", "confirm without being asked", switch=True),
    Flag("break_glass", "skip confirmations and waits; never the journal", switch=True),
    Flag("accept_new_host_keys", "add unknown host keys to known_hosts; changed ones are still refused", switch=True),
    Flag("ask_become_pass", "ask for the sudo password on the terminal", switch=True),
    Flag("plan", "look only, and write what would be done to this file, to be approved", value="path"),
    Flag("approved", "run only what this approved plan file says, if the world still matches it", value="path"),
)

UNDO_FLAGS = (
    Flag("check", "look and say what would be taken back; change nothing", switch=True),
    Flag("reason", "why this is done; required for protected groups"),
    Flag("incident", "incident that this belongs to"),
    Flag("yes", "confirm without being asked", switch=True),
    Flag("break_glass", "skip confirmations and waits; never the journal", switch=True),
)


class Request(msgspec.Struct, frozen=True):
    """What was asked for on the command line, typed."""

    hosts: str
    options: Options
    inventory: str | None = None
    json: bool = False
    report: Path | None = None
    plan: Path | None = None
    approved: Path | None = None
    serial: tuple[str, ...] | None = None
    max_failures: str | None = None
    accept_new_host_keys: bool = False
    ask_become_pass: bool = False
    forks_given: bool = False

    def rollout(self, default: Rollout) -> Rollout:
        """Return the playbook's rollout with what the flags override."""
        return Rollout(
            batches=self.serial or default.batches,
            max_failures=self.max_failures if self.max_failures is not None else default.max_failures,
            min_healthy=default.min_healthy,
            soak=default.soak,
        )


def parse_request(values: Mapping[str, Any], *, dry: bool, deadline: str = "") -> Request:
    """Type the common flags. Raises ``BadInput`` naming the flag. ``deadline`` is the playbook's own, if it has one."""
    if deadline and values.get("deadline") is None:
        values = {**values, "deadline": deadline}
    _require_hosts(values)
    if values.get("plan") and values.get("approved"):
        raise BadInput("--plan writes a plan and --approved runs one", hint="leave one of them out")
    return Request(
        hosts=values["hosts"],
        options=options_of(values, dry=dry or bool(values.get("plan"))),
        report=_path(values, "report"),
        plan=_path(values, "plan"),
        approved=_path(values, "approved"),
        inventory=values.get("inventory"),
        json=wants_json(values),
        serial=_typed(values, "serial", _batches, None),
        max_failures=_typed(values, "max_failures", _amount, None),
        accept_new_host_keys=bool(values.get("accept_new_host_keys")),
        ask_become_pass=bool(values.get("ask_become_pass")),
        forks_given=values.get("forks") is not None,
    )


def options_of(values: Mapping[str, Any], *, dry: bool) -> Options:
    """Type the flags that say how to run. Raises ``BadInput`` naming the flag."""
    return Options(
        mode=Mode.CHECK if values.get("check") or dry else Mode.APPLY,
        diff=bool(values.get("diff")),
        forks=_typed(values, "forks", _forks, 32),
        deadline=float(_typed(values, "deadline", Duration.parse, Duration(900))),
        reason=values.get("reason") or "",
        incident=values.get("incident") or "",
        yes=bool(values.get("yes")),
        break_glass=bool(values.get("break_glass")),
    )


def wants_json(values: Mapping[str, Any]) -> bool:
    """Read ``--output``. Raises ``BadInput`` for anything but text and json."""
    output = values.get("output") or "text"
    if output not in OUTPUTS:
        raise BadInput(f"--output: expected text or json, got {output!r}")
    return bool(output == "json")


def _path(values: Mapping[str, Any], name: str) -> Path | None:
    """Read a file's or folder's name. Raises ``BadInput`` for an empty one, which a script's unset variable gives."""
    raw = values.get(name)
    if raw == "":
        raise BadInput(f"--{name}: expected a path, got nothing")
    return Path(raw).absolute() if raw else None


def _require_hosts(values: Mapping[str, Any]) -> None:
    if values.get("hosts") is None:
        raise BadInput("--hosts is required", hint="--hosts GROUP; 'inv inventory.show' lists groups and targets")


def _typed(values: Mapping[str, Any], name: str, parse: Callable[[str], T], default: T) -> T:
    raw = values.get(name)
    if raw is None:
        return default
    try:
        return parse(raw)
    except BadInput as error:
        raise BadInput(f"--{name.replace('_', '-')}: {error.message}") from error
    except ValueError as error:
        raise BadInput(f"--{name.replace('_', '-')}: {error}") from error


def _forks(text: str) -> int:
    if text.isascii() and text.isdecimal() and 1 <= int(text) <= 1024:
        return int(text)
    raise ValueError(f"expected a whole number from 1 to 1024, got {text!r}")


def _amount(text: str) -> str:
    parse_amount(text.strip())
    return text.strip()


def _batches(text: str) -> tuple[str, ...]:
    batches = tuple(_amount(part) for part in text.split(",") if part.strip())
    if not batches or any(parse_amount(batch)[0] == 0 for batch in batches):
        raise ValueError(f"expected batch sizes above zero such as 1,25%,100%, got {text!r}")
    return batches
