"""Loading playbooks and drills from YAML; every error has file, line, column and the nearest valid key."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from crashcart.decoding import convert
from crashcart.errors import BadInput, nearest
from crashcart.plan import OnFailure, Rollout
from crashcart.playbooks.params import unknown_type
from crashcart.playbooks.schema import (
    DRILL_KEYS,
    PLAYBOOK_KEYS,
    STEP_KEYS,
    UNDO_KEYS,
    ConditionSpec,
    Drill,
    ParamSpec,
    Playbook,
    RetrySpec,
    StepSpec,
    UndoSpec,
    VariantSpec,
)
from crashcart.values import Duration
from crashcart.yamlfile import Document, load

R = TypeVar("R")
Key = str | int

_FIELD = re.compile(r" - at `\$\.([\w.]+)`$")
_NAME = re.compile(r"[a-z][a-z0-9_]*")


def load_document(path: Path, name: str) -> Playbook | Drill:
    """Read a playbook or a drill. Raises ``BadInput`` with file, line and column."""
    reader = _Reader(load(path), path)
    if "drill" in reader.mapping(()):
        return reader.drill(name)
    return reader.playbook(name)


class _Reader:
    """Walks one document; ``place`` is a path of keys in it."""

    def __init__(self, document: Document, path: Path) -> None:
        self._document, self._path = document, path

    def playbook(self, name: str) -> Playbook:
        self._only((), PLAYBOOK_KEYS)
        self._need((), ("summary", "kinds", "steps"))
        top = self.mapping(())
        return Playbook(
            name=name,
            file=str(self._path),
            summary=self._text("summary"),
            source=self._text("source") if "source" in top else "",
            kinds=tuple(str(kind) for kind in self._list(("kinds",))),
            params={key: self._param(key) for key in self.mapping(("params",))} if "params" in top else {},
            rollout=self._rollout() if "rollout" in top else Rollout(),
            steps=self._steps("steps"),
            verify=self._steps("verify") if "verify" in top else (),
            on_failure=self._on_failure() if "on_failure" in top else OnFailure.UNDO,
            approval=dict(self.mapping(("approval",))) if "approval" in top else None,
            deadline=self._deadline() if "deadline" in top else "",
        )

    def drill(self, name: str) -> Drill:
        self._only((), ("summary", "source", "drill"))
        self._need((), ("summary", "drill"))
        self._only(("drill",), DRILL_KEYS)
        self._need(("drill",), ("playbook", "variants"))
        body = self.mapping(("drill",))
        variants = self.mapping(("drill", "variants"))
        return Drill(
            name=name,
            file=str(self._path),
            summary=self._text("summary"),
            source=str(self.mapping(()).get("source", "")),
            playbook=str(body["playbook"]),
            variants={str(key): self._record(("drill", "variants", key), VariantSpec) for key in variants},
            collateral=str(body.get("collateral", "")),
        )

    def mapping(self, place: tuple[Key, ...]) -> Mapping[str, Any]:
        value = self._value(place)
        if not isinstance(value, dict):
            raise self._error(place, f"expected a mapping{self._called(place)}, got {_kind(value)}")
        return value

    def _param(self, key: str) -> ParamSpec:
        place = ("params", key)
        if not _NAME.fullmatch(key):
            raise self._error(place, f"a parameter's name is lower case with underscores, got {key!r}")
        spec = self._record(place, ParamSpec)
        wrong = unknown_type(spec.type)
        if wrong:
            raise self._error((*place, "type"), wrong)
        return spec

    def _steps(self, section: str) -> tuple[StepSpec, ...]:
        steps = tuple(self._step((section, index)) for index in range(len(self._list((section,)))))
        names = [step.name for step in steps]
        for index, name in enumerate(names):
            if name in names[:index]:
                raise self._error((section, index), f"two steps are called {name!r}", "give one of them a name: of its own")
        for index, step in enumerate(steps):
            self._named((section, index, "when_due"), step.when_due, names[index + 1 :], "a later step")
            self._named((section, index, "when_changed"), step.when_changed, names[:index], "an earlier step")
        return steps

    def _named(self, place: tuple[Key, ...], name: str, known: Sequence[str], what: str) -> None:
        if name and name not in known:
            hint = nearest(name, known) or ", ".join(known)
            raise self._error(place, f"{place[-1]}: expected the name of {what}, got {name!r}", hint)

    def _step(self, place: tuple[Key, ...]) -> StepSpec:
        body = self.mapping(place)
        extra = [key for key in body if "." not in key and key not in STEP_KEYS]
        if extra:
            raise self._unknown((*place, extra[0]), extra[0], STEP_KEYS)
        operation = self._operation(place)
        line, column = self._document.at((*place, operation))
        return StepSpec(
            operation=operation,
            args=dict(self.mapping((*place, operation))),
            name=str(body.get("name", operation)),
            when=str(body.get("when", "")),
            when_due=str(body.get("when_due", "")),
            when_changed=str(body.get("when_changed", "")),
            retry=self._retry(place) if "retry" in body else RetrySpec(),
            undo=self._undo((*place, "undo")) if "undo" in body else UndoSpec(),
            line=line,
            column=column,
        )

    def _operation(self, place: tuple[Key, ...]) -> str:
        operations = [key for key in self.mapping(place) if "." in key]
        if len(operations) != 1:
            raise self._error(place, f"a step has exactly one operation such as disk.reclaim, got {operations or 'none'}")
        return operations[0]

    def _retry(self, place: tuple[Key, ...]) -> RetrySpec:
        retry = self._record((*place, "retry"), RetrySpec)
        self._check_duration((*place, "retry", "deadline"), retry.deadline)
        return retry

    def _undo(self, place: tuple[Key, ...]) -> UndoSpec:
        self._only(place, UNDO_KEYS)
        body = self.mapping(place)
        deadline = str(body.get("deadline", UndoSpec().deadline))
        self._check_duration((*place, "deadline"), deadline)
        if "when" not in body:
            return UndoSpec(deadline=deadline)
        operation = self._operation((*place, "when"))
        condition = ConditionSpec(operation, dict(self.mapping((*place, "when", operation))))
        return UndoSpec(condition, deadline)

    def _rollout(self) -> Rollout:
        rollout = self._record(("rollout",), Rollout)
        self._check_duration(("rollout", "soak"), rollout.soak)
        return rollout

    def _deadline(self) -> str:
        text = str(self._value(("deadline",)))
        self._check_duration(("deadline",), text)
        return text

    def _on_failure(self) -> OnFailure:
        word = self._text("on_failure")
        if word not in set(OnFailure):
            raise self._error(("on_failure",), f"expected {' or '.join(OnFailure)}, got {word!r}")
        return OnFailure(word)

    def _check_duration(self, place: tuple[Key, ...], text: str) -> None:
        try:
            Duration.parse(text)
        except ValueError as error:
            raise self._error(place, str(error)) from error

    def _record(self, place: tuple[Key, ...], record: type[R]) -> R:
        """Read a mapping as a record, naming the key that is unknown or wrong."""
        self._only(place, [field.encode_name for field in msgspec.structs.fields(record)])  # type: ignore[arg-type]
        try:
            return convert(self._plain(place), record, strict=False)
        except msgspec.ValidationError as error:
            field = _FIELD.search(str(error))
            inner = tuple(field[1].split(".")) if field else ()
            raise self._error((*place, *inner), _FIELD.sub("", str(error)) + self._called((*place, *inner))) from error

    def _plain(self, place: tuple[Key, ...]) -> dict[str, Any]:
        """A mapping whose scalars in lists are text: ``batches: [1, 25%]`` mixes numbers and percentages."""
        return {
            key: [item if isinstance(item, dict) else str(item) for item in value] if isinstance(value, list) else value
            for key, value in self.mapping(place).items()
        }

    def _only(self, place: tuple[Key, ...], known: Iterable[str]) -> None:
        known = list(known)
        for key in self.mapping(place):
            if key not in known:
                raise self._unknown((*place, key), key, known)

    def _need(self, place: tuple[Key, ...], keys: Iterable[str]) -> None:
        for key in keys:
            if key not in self.mapping(place):
                raise self._error(place, f"{key!r} is missing{self._called(place)}")

    def _list(self, place: tuple[Key, ...]) -> list[Any]:
        value = self._value(place)
        if not isinstance(value, list) or not value:
            raise self._error(place, f"expected a list{self._called(place)}, got {_kind(value)}")
        return value

    def _text(self, key: str) -> str:
        value = self._value((key,))
        if not isinstance(value, str):
            raise self._error((key,), f"expected text in {key!r}, got {_kind(value)}")
        return value

    def _value(self, place: tuple[Key, ...]) -> Any:
        value = self._document.value
        for key in place:
            value = value[key]
        return value

    def _unknown(self, place: tuple[Key, ...], key: str, known: Iterable[str]) -> BadInput:
        hint = nearest(str(key), known) or f"known are {', '.join(known)}"
        return self._error(place, f"unknown key {key!r}{self._called(place[:-1])}", hint)

    def _error(self, place: tuple[Key, ...], message: str, hint: str = "") -> BadInput:
        return self._document.error(place, message, hint)

    @staticmethod
    def _called(place: tuple[Key, ...]) -> str:
        return f" in {'.'.join(str(key) for key in place)}" if place else ""


def _kind(value: object) -> str:
    names = {dict: "a mapping", list: "a list", str: "text", type(None): "nothing", bool: "true or false"}
    return names.get(type(value), repr(value))
