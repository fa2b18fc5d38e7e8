"""Parameters: what a flag's text means for each type, checked before anything is contacted."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from crashcart.errors import nearest
from crashcart.values import VALUE_TYPES

_LIST = re.compile(r"list\[(\w+)\]")
_TRUE, _FALSE = {"true", "yes", "on", "1"}, {"false", "no", "off", "0"}


def parse_value(kind: str, raw: object) -> Any:
    """Return a flag's or default's value as plain JSON, checked. Raises ``ValueError`` with what was expected.

    Values of the types in ``values.py`` stay text, so that a plan shows what was written. A list is written with commas.
    """
    listed = _LIST.fullmatch(kind)
    if not listed:
        return _SCALARS[kind](raw)
    items = raw if isinstance(raw, list | tuple) else [item.strip() for item in str(raw).split(",") if item.strip()]
    return [_SCALARS[listed[1]](item) for item in items]


def unknown_type(kind: str) -> str:
    """Say what is wrong with a parameter's type, or nothing."""
    listed = _LIST.fullmatch(kind)
    inner = listed[1] if listed else kind
    if inner in _SCALARS:
        return ""
    known = [*sorted(_SCALARS), "list[...]"]
    return f"unknown type {kind!r}; {nearest(inner, _SCALARS) or 'known are ' + ', '.join(known)}"


def _text(raw: object) -> str:
    if isinstance(raw, str | int | float) and not isinstance(raw, bool):
        return str(raw)
    raise ValueError(f"expected text, got {raw!r}")


def _integer(raw: object) -> int:
    if re.fullmatch(r"-?\d+", str(raw).strip()):
        return int(str(raw))
    raise ValueError(f"expected a whole number, got {str(raw)!r}")


def _boolean(raw: object) -> bool:
    text = str(raw).strip().lower()
    if text in _TRUE | _FALSE:
        return text in _TRUE
    raise ValueError(f"expected true or false, got {str(raw)!r}")


def _checked(kind: type[Any]) -> Callable[[object], str]:
    def parse(raw: object) -> str:
        # An empty value is "not given": a template such as {{ health_url | default('') }} yields it.
        return str(raw) if raw != "" and kind.parse(raw) is not None else ""

    return parse


_SCALARS: dict[str, Callable[[object], Any]] = {
    "str": _text,
    "int": _integer,
    "bool": _boolean,
    **{name: _checked(kind) for name, kind in VALUE_TYPES.items()},
}

TYPES = tuple(_SCALARS)
"""The types of a parameter; ``list[...]`` of each is one, too."""
