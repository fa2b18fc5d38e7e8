"""Records as tables: the fields of a wish with types and defaults, and those of a state with the records inside it."""

from __future__ import annotations

import types
from collections.abc import Iterator
from enum import Enum
from typing import Any, Union, get_args, get_origin

import msgspec
from msgspec.structs import FieldInfo

from crashcart.values import VALUE_TYPES, Duration, Percent, Size, format_size, format_span
from website.markdown import code, prose, table

Record = type[Any]


def arguments(wish: Record) -> str:
    """Write an operation's arguments as a table."""
    rows = [(code(field.name), code(type_name(field.type)), default_text(field)) for field in msgspec.structs.fields(wish)]
    return table(("Argument", "Type", "Default"), rows)


def wish_prose(wish: Record) -> str:
    """Return what is said of a wish, that of the records which it extends first."""
    lineage = [record for record in reversed(wish.__mro__) if _is_record(record) and record is not msgspec.Struct]
    return "\n\n".join(prose(vars(record).get("__doc__")) for record in lineage if vars(record).get("__doc__"))


def facts(state: Record) -> str:
    """Write what a state holds, record by record, the outermost first."""
    rows = [(code(record.__name__), prose(record.__doc__), _fields(record)) for record in records_in(state)]
    return table(("Record", "What it is", "Fields"), rows)


def records_in(record: Record) -> tuple[Record, ...]:
    """Return a record and all records that its fields can hold, each once, breadth first."""
    found = [record]
    for outer in found:
        inner = (part for field in msgspec.structs.fields(outer) for part in _parts(field.type))
        found.extend(part for part in dict.fromkeys(inner) if _is_record(part) and part not in found)
    return tuple(found)


def default_text(field: FieldInfo) -> str:
    """Write a field's default as a person would give it, or that there is none."""
    if field.required:
        return "required"
    if field.default_factory is not msgspec.NODEFAULT:
        return "none"
    return code(_value_text(field.default)) or "none"


def type_name(kind: Any) -> str:
    """Name a type as playbooks do (``duration``), else as Python does."""
    for name, known in VALUE_TYPES.items():
        if known is kind:
            return name
    origin, parts = get_origin(kind), [part for part in get_args(kind) if part is not Ellipsis]
    if origin in {Union, types.UnionType}:
        return " or ".join("none" if part is type(None) else type_name(part) for part in parts)
    if origin is dict:
        return f"mapping of {type_name(parts[0])} to {type_name(parts[1])}"
    if origin is not None:
        return f"list of {', '.join(dict.fromkeys(map(type_name, parts)))}"
    return str(getattr(kind, "__name__", kind))


def _fields(record: Record) -> str:
    return ", ".join(code(field.name) for field in msgspec.structs.fields(record))


def _parts(kind: Any) -> Iterator[Any]:
    yield kind
    for part in get_args(kind):
        yield from _parts(part)


def _is_record(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _value_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, Duration):
        return format_span(value)
    if isinstance(value, Percent):
        return f"{value:g}%"
    if isinstance(value, Size):
        return format_size(value)
    return ", ".join(map(_value_text, value)) if isinstance(value, tuple) else str(value)
