"""A page per playbook, made from its file, its operations, its drill and its policy."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import yaml

from crashcart.lab.aws.scenes import SCENES
from crashcart.lab.faults import FAULTS
from crashcart.operations import find_operation
from crashcart.operations.base import CloudOperation, Operation
from crashcart.plan import OnFailure, Rollout
from crashcart.playbooks.heads import ParamHead
from crashcart.playbooks.library import Library
from crashcart.playbooks.schema import Drill, ParamSpec, Playbook, StepSpec, VariantSpec
from website.cases import Behaviour
from website.markdown import cell, code, escape, fenced, folded, page, prose, section, table
from website.operations import CHECKOUT, calls, rules, summary

FOLDER = "reference/playbooks"
POLICIES = CHECKOUT / "docs/aws/policies"

NO_POLICY = "It calls no cloud API: the login on the host and its sudo are all that it needs."
POLICY_MISSING = "There is no policy file for this playbook yet; the calls above are what a policy has to allow."
NO_DRILL = "It has none: it only looks, and is part of the drills of the recoveries."
NOT_DRILLED = "There is no drill for it."

Anything = Operation[Any, Any, Any]


class Reference:
    """The shipped playbooks and drills, read strictly, and the pages about them."""

    def __init__(self) -> None:
        library = Library(None)
        found = [library.get(name) for name in library.entries]
        self.playbooks = {one.name: one for one in found if isinstance(one, Playbook)}
        self.drills = {one.playbook: one for one in found if isinstance(one, Drill)}

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
        operations = [find_operation(used) for used in operation_names(playbook)]
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
            section("Drill", self._drill(name, operations)),
            section("Least-privilege policy", policy(name, operations)),
        )

    def _drill(self, name: str, operations: Sequence[Anything]) -> str:
        drill = self.drills.get(name)
        if drill is None:
            return NO_DRILL if _reads_only(operations) else NOT_DRILLED
        command = fenced("sh", f"inv {drill.name} --hosts lab")
        rows = [(code(variant), *_variant(spec)) for variant, spec in drill.variants.items()]
        heads = ("Variant", "What is broken", "Noticed by", "What must come of it")
        return f"{escape(drill.summary)}.\n\n{command}\n\n{table(heads, rows)}"


def operation_names(playbook: Playbook) -> tuple[str, ...]:
    """Return the operations of a playbook's steps, verification and conditions, each once."""
    steps = (*playbook.steps, *playbook.verify)
    conditions = (step.undo.when.operation for step in steps if step.undo.when)
    return tuple(dict.fromkeys([*(step.operation for step in steps), *conditions]))


def policy(name: str, operations: Iterable[Anything]) -> str:
    """Return the policy file of a playbook, or why there is none."""
    if not any(isinstance(operation, CloudOperation) for operation in operations):
        return NO_POLICY
    for file in (POLICIES / f"{name}.json", POLICIES / f"{name.partition('.')[2]}.json"):
        if file.is_file():
            where = f"{code(str(file.relative_to(CHECKOUT)))}; account, region and names in it are examples."
            own = fenced(
                "sh", "python -m crashcart.cli.policies FOLDER --account 123456789012 --region eu-west-1 --names 'prod-*'"
            )
            text = fenced("json", json.dumps(json.loads(file.read_text()), indent=2))
            return "\n\n".join([where, folded("The policy", text), "With your own account, region and names:", own])
    return POLICY_MISSING


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
    effects = dict.fromkeys(effect.value for one in operations for effect in Behaviour(one.name).effects)
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
        (str(number), _link(step.operation), summary(find_operation(step.operation)), _when(step), _patience(step))
        for number, step in enumerate(steps, 1)
    ]
    return table(("", "Operation", "What it does", "When", "Limits"), rows)


def _link(operation: str, anchor: str = "") -> str:
    return f"[`{operation}`](../operations/{operation}.md{anchor})"


def _when(step: StepSpec) -> str:
    conditions = [
        code(step.when),
        step.when_due and f"{code(step.when_due)} is due",
        step.when_changed and f"{code(step.when_changed)} changed something",
    ]
    return " and ".join(filter(None, conditions)) or "always"


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
    return "; ".join(f"“{escape(refusal.why)}”" for refusal in Behaviour(operation).refusals)


def _undo(playbook: Playbook, operations: Sequence[Anything]) -> str:
    undone = [
        f"- {_link(one.name)} is taken back by {_link(name)}, such as: {escape(text)}"
        for one in operations
        for name, text in Behaviour(one.name).undos.items()
    ]
    if not undone:
        return "There is none: what it does is not taken back."
    kept = playbook.on_failure is OnFailure.KEEP
    when = (
        "Only by `inv runs.undo RUN`:" if kept else "When a target fails, is interrupted or runs out of time, newest first:"
    )
    return "\n".join([when, "", *undone])


def _variant(variant: VariantSpec) -> tuple[str, str, str]:
    says = f", and says “{cell(variant.message)}”" if variant.message else ""
    return _broken(variant), code(variant.check.playbook), f"{code(variant.expect)}{says}"


def _broken(variant: VariantSpec) -> str:
    """Say what is wrong: a fault of hosts, or what is done to the emulated AWS."""
    if variant.fault in FAULTS:
        return f"{code(variant.fault)}: {FAULTS[variant.fault].summary}"
    scene = SCENES.get(variant.fault, "")
    more = msgspec.to_builtins(variant.aws)
    calls = f"; on its calls {code(yaml.safe_dump(more, default_flow_style=True, width=1000).strip())}" if more else ""
    return f"in the emulated AWS, {code(variant.fault)}{': ' if scene else ''}{scene}{calls}"


def _reads_only(operations: Iterable[Anything]) -> bool:
    return all(operation.reads_only for operation in operations)
