"""The JSON Schema of playbook files, for editors and for linters outside crashcart.

It is made from the records of ``schema.py`` and the wishes of the shipped operations, so it follows what ``load.py`` and
``compile.py`` accept. Every argument may also be a template. ``python -m crashcart.playbooks.jsonschema`` prints it;
docs/playbook.schema.json is that text, and a wheel has the same file in its package.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec.structs import FieldInfo

from crashcart.operations import SHIPPED, find_operation
from crashcart.plan import OnFailure, Rollout
from crashcart.playbooks.params import TYPES
from crashcart.playbooks.schema import (
    DRILL_KEYS,
    PLAYBOOK_KEYS,
    STEP_KEYS,
    UNDO_KEYS,
    CheckSpec,
    ParamSpec,
    RetrySpec,
    VariantSpec,
)
from crashcart.results import Outcome
from crashcart.values import VALUE_TYPES

DIALECT = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]

_TEMPLATE: Schema = {"type": "string", "pattern": r"\{\{"}
_TEXT: Schema = {"type": "string"}
_SCALAR: Schema = {"type": ["string", "number"]}
_MAPPING: Schema = {"type": "object"}


def playbook_schema() -> Schema:
    """Return the schema of a file below ``playbooks/``: of a playbook, or of a drill where it has the key ``drill``."""
    return {
        "$schema": DIALECT,
        "title": "crashcart playbook or drill",
        "type": "object",
        "if": {"required": ["drill"]},
        "then": _drill(),
        "else": _playbook(),
        "$defs": _lifted(_definitions()),
    }


def schema_text() -> str:
    """Return the schema as the text of its file."""
    return msgspec.json.format(msgspec.json.encode(playbook_schema()), indent=2).decode() + "\n"


def _playbook() -> Schema:
    parts = {
        "summary": _TEXT | {"description": "one line, shown by --list"},
        "source": _TEXT | {"description": "where the scenario comes from"},
        "kinds": _list(_TEXT) | {"description": "kinds of target that it acts on; others are skipped"},
        "params": {
            "type": "object",
            "additionalProperties": _of("param"),
            "propertyNames": {"pattern": "^[a-z][a-z0-9_]*$"},
        },
        "deadline": _SCALAR | {"description": "time for the whole run, unless --deadline says otherwise"},
        "rollout": _of("rollout"),
        "steps": _list(_of("step")),
        "verify": _list(_of("step")),
        "on_failure": {"enum": [word.value for word in OnFailure], "default": OnFailure.UNDO.value},
        "approval": _MAPPING,
    }
    return _object(_known(PLAYBOOK_KEYS, parts), "summary", "kinds", "steps")


def _drill() -> Schema:
    body = {
        "playbook": _TEXT,
        "variants": {"type": "object", "additionalProperties": _of("variant"), "minProperties": 1},
        "collateral": _TEXT,
    }
    drill = _object(_known(DRILL_KEYS, body), "playbook", "variants")
    return _object({"summary": _TEXT, "source": _TEXT, "drill": drill}, "summary", "drill")


def _definitions() -> Schema:
    wishes = {name: find_operation(name).wish for name in SHIPPED}
    arguments = {name: _record(wish, templates=True) for name, wish in wishes.items()}
    named = {name: {"$ref": f"#/$defs/operation {name}"} for name in arguments}
    step = {"name": _TEXT, "when": {"type": ["string", "boolean"]}, "retry": _of("retry"), "undo": _of("undo")}
    return {
        "param": _record(ParamSpec, type={"type": "string", "pattern": _type_pattern()}),
        "retry": _record(RetrySpec, deadline=_SCALAR),
        "rollout": _record(Rollout, batches=_list(_SCALAR), max_failures=_SCALAR, min_healthy=_SCALAR, soak=_SCALAR),
        "check": _record(CheckSpec),
        "variant": _record(VariantSpec, check=_of("check"), expect={"enum": [outcome.value for outcome in Outcome]}),
        "condition": _one_operation(named, {}),
        "undo": _object(_known(UNDO_KEYS, {"when": _of("condition"), "deadline": _SCALAR})),
        "step": _one_operation(named, _known(STEP_KEYS, step)),
        **{f"operation {name}": schema for name, schema in arguments.items()},
    }


def _known(keys: Iterable[str], parts: Schema) -> Schema:
    """Describe the keys that the loader knows; text where nothing else is said of one."""
    return {key: parts.get(key, _TEXT) for key in keys}


def _one_operation(operations: Schema, others: Schema) -> Schema:
    """A mapping with one operation among other keys. A third party's operations have namespaces of their own."""
    ours = "|".join(sorted({name.partition(".")[0] for name in SHIPPED}))
    foreign = {rf"^(?!({ours})\.)[^.]+\..+$": _MAPPING}
    exactly_one = [{"required": [name]} for name in operations]
    only_others = {"propertyNames": {"enum": sorted(others)}}
    somebody_else_s = {"not": {"anyOf": [*exactly_one, only_others]}}
    return _object(others | operations) | {"patternProperties": foreign, "oneOf": [*exactly_one, somebody_else_s]}


def _record(record: type[Any], *, templates: bool = False, **parts: Schema) -> Schema:
    """Describe a record by its fields; ``parts`` says otherwise for some."""
    fields = msgspec.structs.fields(record)
    properties = {field.encode_name: parts.get(field.name) or _field(field, templates=templates) for field in fields}
    required = [field.encode_name for field in fields if field.required]
    return _object(properties, *required) | {"description": re.sub(r"\s+", " ", (record.__doc__ or "").strip())}


def _field(field: FieldInfo, *, templates: bool) -> Schema:
    schema = msgspec.json.schema(field.type, schema_hook=_value_type)
    either = {"anyOf": [_TEMPLATE, schema]} if templates and schema != _TEXT else schema
    return either | _default(field)


def _default(field: FieldInfo) -> Schema:
    """The default, where there is one that JSON can say."""
    if field.default in {msgspec.NODEFAULT, msgspec.UNSET}:
        return {}
    return {"default": msgspec.to_builtins(field.default, enc_hook=_plain)}


def _plain(value: object) -> float | str:
    return round(float(value), 3) if isinstance(value, float | int) else str(value)


def _lifted(definitions: Schema) -> Schema:
    """Put definitions that records bring with them where references to them look: at the top."""
    inner = [part.pop("$defs") for one in definitions.values() for part in one["properties"].values() if "$defs" in part]
    return {**definitions, **{name: schema for part in inner for name, schema in part.items()}}


def _value_type(kind: type[Any]) -> Schema:
    """Describe a value type by the name that parameters have for it. Raises ``NotImplementedError`` for others."""
    for name, known in VALUE_TYPES.items():
        if known is kind:
            return {"type": ["string", "number"], "title": name}
    raise NotImplementedError(kind)


def _type_pattern() -> str:
    scalars = "|".join(sorted(TYPES))
    return rf"^({scalars}|list\[({scalars})\])$"


def _object(properties: Schema, *required: str) -> Schema:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items, "minItems": 1}


def _of(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


if __name__ == "__main__":
    print(schema_text(), end="")  # noqa: T201 -- its output is the file
