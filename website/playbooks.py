"""A page per playbook, made from its file, its operations, its drill and its policy."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from crashcart.operations import find_operation
from crashcart.plan import OnFailure, Rollout
from crashcart.playbooks.heads import ParamHead
from crashcart.playbooks.library import Library
from crashcart.playbooks.schema import Drill, ParamSpec, Playbook, StepSpec
from website import policies
from website.cases import behaviour
from website.drills import Drills
from website.markdown import code, escape, fenced, folded, page, prose, section, table
from website.operations import calls, operation_page, rules, summary
from website.uses import Anything, operation_names, operations_of, when

FOLDER = "reference/playbooks"


class Reference:
    """The shipped playbooks and drills, read strictly, and the pages about them."""

    def __init__(self) -> None:
        library = Library(None)
        found = [library.get(name) for name in library.entries]
        self.playbooks = {one.name: one for one in found if isinstance(one, Playbook)}
        self.drills = {one.name: one for one in found if isinstance(one, Drill)}
        self._rehearsed = Drills(self.playbooks, self.drills.values())

    def used_by(self, operation: str) -> tuple[str, ...]:
        """Return the playbooks that have a step, or a condition, of this operation."""
        return tuple(name for name, playbook in self.playbooks.items() if operation in operation_names(playbook))

    def index(self) -> str:
        """Return the page that lists all playbooks."""
        rows = [
            (f"[`{name}`]({name}.md)", ", ".join(map(code, playbook.kinds)), playbook.summary)
            for name, playbook in self.playbooks.items()
        ]
        intro = "Each is one command. The same lists and pages are `inv --list` and `inv --help NAME`."
        return page("Playbooks", intro, table(("Playbook", "Acts on", "What it does"), rows))

    def page(self, name: str) -> str:
        """Return the page of one playbook."""
        playbook = self.playbooks[name]
        operations = operations_of(playbook)
        return page(
            code(name),
            escape(playbook.summary) + ".",
            _usage(playbook, operations),
            _head(playbook, operations),
            section("Parameters", _parameters(playbook.params), _common_flags()),
            section("Steps", _steps(playbook.steps), folded("The file", fenced("yaml", Path(playbook.file).read_text()))),
            section("Verification", _steps(playbook.verify)),
            section("How far it goes at a time", "" if _reads_only(operations) else _rollout(playbook)),
            section("Facts it reads", _facts(operations)),
            section("Calls it makes", calls(*operations)),
            section("What it refuses", _refusals(operations)),
            section("Undo", "" if _reads_only(operations) else _undo(playbook, operations)),
            section("Drill", self._rehearsed.of_playbook(name)),
            section("Least-privilege policy", policies.of_playbook(playbook)),
        )

    def operation_page(self, name: str) -> str:
        """Return the page of one operation."""
        drill = self._rehearsed.of_operation(name)
        return operation_page(name, self.used_by(name), drill, policies.of_operation(name, self.playbooks.values()))


def _usage(playbook: Playbook, operations: Sequence[Anything]) -> str:
    command = " ".join(["inv", playbook.name, "--hosts", "GROUP", *_required(playbook.params)])
    look = [] if _reads_only(operations) else [f"{command} --check --diff"]
    return fenced("sh", "\n".join([*look, command]))


def _required(params: dict[str, ParamSpec]) -> list[str]:
    names = [name for name, spec in params.items() if spec.default is msgspec.UNSET]
    return [word for name in names for word in (_flag(name), shlex.quote(name.upper()))]


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _head(playbook: Playbook, operations: Sequence[Anything]) -> str:
    effects = dict.fromkeys(effect.value for one in operations for effect in behaviour(one.name).effects)
    acts = [code(effect) for effect in effects if effect != "read"]
    rows = {
        "Acts on" if acts else "Looks at": ", ".join(map(code, playbook.kinds)),
        "Effect": ", ".join(acts) or f"{code('read')}: changes nothing",
        "Source": escape(playbook.source),
    }
    return table(("", ""), rows.items())


def _parameters(params: dict[str, ParamSpec]) -> str:
    rows = [(code(_flag(name)), code(spec.type), _default(spec), escape(spec.help)) for name, spec in params.items()]
    return table(("Flag", "Type", "Default", "Meaning"), rows) or "It has none of its own."


def _default(spec: ParamSpec) -> str:
    if spec.default is msgspec.UNSET:
        return "required"
    if ParamHead(spec.type, default=spec.default).is_switch:
        return "off"
    text = spec.default if isinstance(spec.default, str) else msgspec.json.encode(spec.default).decode()
    return code(text) or "none"


def _common_flags() -> str:
    return "And [the flags of every playbook](../commands.md#flags-of-every-playbook)."


def _steps(steps: Sequence[StepSpec]) -> str:
    rows = [
        (str(number), _link(step.operation), summary(find_operation(step.operation)), when(step), _patience(step))
        for number, step in enumerate(steps, 1)
    ]
    return table(("", "Operation", "What it does", "When", "Limits"), rows)


def _link(operation: str, anchor: str = "") -> str:
    return f"[`{operation}`](../operations/{operation}.md{anchor})"


def _patience(step: StepSpec) -> str:
    tries = "" if find_operation(step.operation).reads_only else f"{step.retry.attempts} tries of an act, "
    return f"{tries}{step.retry.deadline} in all"


def _rollout(playbook: Playbook) -> str:
    rollout = playbook.rollout
    lines = [
        f"- batches of {', '.join(rollout.batches)}",
        f"- stops when more than {rollout.max_failures} failed, were unreachable or unknown",
        f"- of each group at least {rollout.min_healthy} stay healthy" if rollout.guards_capacity else "",
        f"- each batch is left alone for {rollout.soak} and verified again" if rollout.soak != Rollout().soak else "",
        f"- ends after {playbook.deadline}" if playbook.deadline else "",
    ]
    return "\n".join(filter(None, lines))


def _facts(operations: Sequence[Anything]) -> str:
    states = dict.fromkeys(one.state for one in operations)
    rows = [(code(state.__name__), prose(state.__doc__), _readers(state, operations)) for state in states]
    return table(("Record", "What it is", "Read by"), rows)


def _readers(state: type[Any], operations: Sequence[Anything]) -> str:
    return ", ".join(_link(one.name, "#what-it-observes") for one in operations if one.state is state)


def _refusals(operations: Sequence[Anything]) -> str:
    guards = "Before its steps do, [the guards of every run](../../safety.md#guards) refuse."
    told = [f"{_link(one.name, '#what-it-refuses')}: {rules(one) or _few(one.name)}" for one in operations if _few(one.name)]
    acts = any(not one.reads_only for one in operations)
    return "\n\n".join([*told, guards if acts else ""]) or "Nothing: it only looks."


def _few(operation: str) -> str:
    """Quote what an operation refuses, for one whose docstring does not say it."""
    return "; ".join(f"“{escape(refusal.why)}”" for refusal in behaviour(operation).refusals)


def _undo(playbook: Playbook, operations: Sequence[Anything]) -> str:
    undone = [
        f"- {_link(one.name)} is taken back by {_link(name)}, such as: {escape(text)}"
        for one in operations
        for name, text in behaviour(one.name).undos.items()
    ]
    if not undone:
        return "There is none: what it does is not taken back."
    kept = playbook.on_failure is OnFailure.KEEP
    when = (
        "Only by `inv runs.undo RUN`:" if kept else "When a target fails, is interrupted or runs out of time, newest first:"
    )
    return "\n".join([when, "", *undone])


def _reads_only(operations: Iterable[Anything]) -> bool:
    return all(operation.reads_only for operation in operations)
