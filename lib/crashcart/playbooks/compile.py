"""Compiling: a playbook and a selection become a plan, every value rendered and checked, nothing contacted."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import msgspec
from msgspec.structs import replace

from crashcart.errors import BadInput
from crashcart.operations import find_operation
from crashcart.operations.base import Operation
from crashcart.plan import Condition, Plan, PlannedStep, Rollout, TargetPlan, UndoPolicy
from crashcart.playbooks.params import parse_value
from crashcart.playbooks.render import Renderer
from crashcart.playbooks.schema import ParamSpec, Playbook, StepSpec
from crashcart.results import Phase
from crashcart.secrets import Secret, encode_secret, is_secret_name
from crashcart.targets import Selection, Target
from crashcart.values import Duration, decode

_ARGUMENT = re.compile(r"(?:(?P<before>\w+): )?(?P<what>.*?)(?: - at `\$(?:\.(?P<after>\w+))?(?:\[.*)?`)?", re.DOTALL)
"""What is wrong with an operation's arguments: the type's own message with its place, or ours that begins with the name."""

_UNDEFINED = re.compile(r"'([^']+)' is undefined")
_PARAMETER = re.compile(r"\{\{\s*(\w+)\s*\}\}")


class Compiler:
    """Compiles one playbook; ``given`` holds the parameters that were given as flags, as text.

    ``left_out`` says, by target, which variables the inventory has but could not give a value, and why: using one is an
    error, since a template that falls back to a default would quietly do something else.
    """

    def __init__(
        self, playbook: Playbook, given: Mapping[str, Any], left_out: Mapping[str, Mapping[str, str]] | None = None
    ) -> None:
        self._playbook, self._given = playbook, given
        self._left_out = left_out or {}
        self._renderer = Renderer()
        self._operations = {step.operation: self._find(step) for step in (*playbook.steps, *playbook.verify)}
        self._decoded: set[tuple[str, bytes]] = set()

    def plan(self, selection: Selection, rollout: Rollout, peers: Sequence[Target] = ()) -> Plan:
        """Compile for every target of the selection. Raises ``BadInput`` naming flag, variable or file and line.

        ``peers`` are other targets of the same groups, which are only ever looked at.
        """
        flags = {name: self._value(name, raw, f"--{_dashed(name)}") for name, raw in self._given.items()}
        self._require(flags)
        targets = tuple(self._target(target, flags) for target in selection.targets)
        return Plan(
            playbook=self._playbook.name,
            summary=self._playbook.summary,
            pattern=selection.pattern,
            targets=targets,
            parameters={name: flags.get(name, spec.default) for name, spec in self._playbook.params.items()},
            rollout=rollout,
            read_only=self.is_read_only,
            on_failure=self._playbook.on_failure,
            peers=tuple(self._target(peer, flags) for peer in peers if peer.kind in self._playbook.kinds),
        )

    @property
    def is_read_only(self) -> bool:
        """Whether the playbook only looks."""
        return all(operation.reads_only for operation in self._operations.values())

    def _find(self, step: StepSpec) -> Operation[Any, Any, Any]:
        try:
            return find_operation(step.operation)
        except BadInput as error:
            raise self._wrong(step, error.message, error.hint) from error

    def _require(self, flags: Mapping[str, Any]) -> None:
        for name, spec in self._playbook.params.items():
            if spec.default is msgspec.UNSET and name not in flags:
                raise BadInput(f"{self._playbook.name} needs --{_dashed(name)}", hint=f"{spec.help} ({spec.type})")

    def _value(self, name: str, raw: Any, origin: str) -> Any:
        spec = self._playbook.params[name]
        if isinstance(raw, Secret) or is_secret_name(name):
            return self._secret(spec, raw, origin)
        try:
            return parse_value(spec.type, raw)
        except ValueError as error:
            raise BadInput(f"{origin}: {error}", hint=spec.help) from error

    def _secret(self, spec: ParamSpec, raw: Any, origin: str) -> Any:
        """Check a secret's text like any other; neither the message nor its cause repeats it."""
        text = raw.reveal() if isinstance(raw, Secret) else raw
        value = None
        with suppress(ValueError):
            value = parse_value(spec.type, text)
        if value is None:
            raise BadInput(f"{origin}: expected a value of type {spec.type}", hint=spec.help)
        return [Secret(str(item)) for item in value] if isinstance(value, list) else Secret(str(value))

    def _target(self, target: Target, flags: Mapping[str, Any]) -> TargetPlan:
        if target.kind not in self._playbook.kinds:
            acts_on = ", ".join(self._playbook.kinds)
            return TargetPlan(target, skip=f"{self._playbook.name} acts on {acts_on}, this is {target.kind}")
        context = self._context(target, flags)
        steps = [self._step(step, Phase.STEP, context) for step in self._of_kind(self._playbook.steps, target.kind)]
        verify = [self._step(step, Phase.VERIFY, context) for step in self._of_kind(self._playbook.verify, target.kind)]
        if not steps:
            names = ", ".join(sorted({step.operation for step in self._playbook.steps}))
            raise BadInput(f"{self._playbook.name} says that it acts on {target.kind}, but none of its steps does: {names}")
        for planned in (*steps, *verify):
            if not planned.skip:
                self._operations[planned.operation].check(target, planned.args)
        return TargetPlan(target, (*steps, *verify))

    def _of_kind(self, steps: Sequence[StepSpec], kind: str) -> Iterator[StepSpec]:
        """Yield the steps whose operation is made for this kind of target: a playbook may serve several kinds."""
        return (step for step in steps if kind in self._operations[step.operation].kinds)

    def _context(self, target: Target, flags: Mapping[str, Any]) -> dict[str, Any]:
        """Return what templates see: the target's variables, and the parameters, which win."""
        self._check_left_out(target)
        variables = {**target.variables, "inventory_hostname": target.name, "group_names": list(target.groups)}
        parameters = dict(flags)
        for name, spec in self._playbook.params.items():
            if name not in parameters:
                where = f"{self._playbook.file}: the default of {name!r} for {target.name}"
                rendered = self._guarded(where, partial(self._renderer.render, spec.default, variables))
                parameters[name] = self._value(name, rendered, where)
        return {**variables, **parameters}

    def _check_left_out(self, target: Target) -> None:
        missing = self._left_out.get(target.name, {})
        if not missing:
            return
        steps = (*self._playbook.steps, *self._playbook.verify)
        defaults = [spec.default for name, spec in self._playbook.params.items() if name not in self._given]
        in_steps = self._renderer.names([[step.args, "{{" + (step.when or "0") + "}}"] for step in steps])
        used = self._renderer.names(defaults) | (in_steps - set(self._playbook.params))
        for name in sorted(used & set(missing)):
            raise BadInput(f"{target.name}: variable {name!r} is used by {self._playbook.name}, but {missing[name]}")

    def _step(self, step: StepSpec, phase: Phase, context: Mapping[str, Any]) -> PlannedStep:
        skip = ""
        args: dict[str, Any] = {}
        if step.when and not self._in_step(step, context, lambda: self._renderer.holds(step.when, context)):
            skip = f"does not apply: {step.when}"
        else:
            args = self._in_step(step, context, lambda: self._renderer.render(step.args, context))
            self._check_wish(step, args)
        return PlannedStep(
            name=step.name,
            operation=step.operation,
            phase=phase,
            args=args,
            attempts=step.retry.attempts,
            deadline=float(Duration.parse(step.retry.deadline)),
            skip=skip,
            when_due=step.when_due,
            when_changed=step.when_changed,
            undo=UndoPolicy() if skip else self._undo(step, context),
        )

    def _undo(self, step: StepSpec, context: Mapping[str, Any]) -> UndoPolicy:
        deadline, when = float(Duration.parse(step.undo.deadline)), step.undo.when
        if when is None:
            return UndoPolicy(deadline=deadline)
        judge = replace(step, operation=when.operation, args=when.args)
        operation = self._find(judge)
        if not operation.reads_only:
            raise self._wrong(step, f"undo.when: {when.operation} changes something; a condition only looks")
        self._operations[when.operation] = operation
        args = self._in_step(step, context, lambda: self._renderer.render(when.args, context))
        self._check_wish(judge, args)
        return UndoPolicy(Condition(when.operation, args), deadline)

    def _check_wish(self, step: StepSpec, args: Mapping[str, Any]) -> None:
        """Check arguments against the operation's wish, once for all targets that have the same ones."""
        seen = (step.operation, msgspec.json.encode(args, enc_hook=encode_secret))
        if seen in self._decoded:
            return
        try:
            decode(args, self._operations[step.operation].wish)
        except msgspec.ValidationError as error:
            raise self._bad_argument(step, str(error)) from error
        self._decoded.add(seen)

    def _bad_argument(self, step: StepSpec, message: str) -> BadInput:
        """Name the flag where an argument is a parameter's value, else the place in the playbook."""
        found = _ARGUMENT.fullmatch(message)
        if not found:
            return self._wrong(step, f"{step.operation}: {message}")
        argument, what = (found["before"] or found["after"]), found["what"]
        whole = _PARAMETER.fullmatch(str(step.args.get(argument, "")))
        if not whole or whole[1] not in self._playbook.params:
            return self._wrong(step, f"{step.operation}: {argument}: {what}")
        return BadInput(f"--{_dashed(whole[1])}: {what}", hint=self._playbook.params[whole[1]].help)

    def _in_step(self, step: StepSpec, context: Mapping[str, Any], render: Callable[[], Any]) -> Any:
        """Render a part of a step for one target, and say for which one that cannot be done, and what it lacks."""
        where = f"{self._where(step)}: {step.operation} on {context['inventory_hostname']}"
        return self._guarded(where, render, f"; it is done when: {step.when}" if step.when else "")

    def _guarded(self, where: str, render: Callable[[], Any], more: str = "") -> Any:
        try:
            return render()
        except ValueError as error:
            missing = _UNDEFINED.search(str(error))
            hint = f"set the variable {missing[1]} for it in the inventory{more}" if missing else ""
            raise BadInput(f"{where}: {error}", hint=hint) from error

    def _where(self, step: StepSpec) -> str:
        return f"{self._playbook.file}:{step.line}:{step.column}"

    def _wrong(self, step: StepSpec, message: str, hint: str = "") -> BadInput:
        return BadInput(message, hint=hint, file=self._playbook.file, line=step.line, column=step.column)


def _dashed(name: str) -> str:
    return name.replace("_", "-")
