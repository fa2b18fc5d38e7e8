"""Secrets inside values: finding, showing and wrapping them, however deep they lie."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from crashcart.secrets import Secret


def holds_secret(value: Any) -> bool:
    """Tell whether there is a ``Secret`` anywhere in a value."""
    if isinstance(value, Mapping):
        return any(map(holds_secret, value.values()))
    if isinstance(value, list):
        return any(map(holds_secret, value))
    return isinstance(value, Secret)


def map_secrets(value: Any, show: Callable[[Secret], str]) -> Any:
    """Return a value with every ``Secret`` in it replaced by what ``show`` makes of it."""
    if isinstance(value, dict):
        return {key: map_secrets(item, show) for key, item in value.items()}
    if isinstance(value, list):
        return [map_secrets(item, show) for item in value]
    return show(value) if isinstance(value, Secret) else value


def conceal(value: Any) -> Any:
    """Return a value with every text and number in it as a ``Secret``."""
    if isinstance(value, dict):
        return {key: conceal(item) for key, item in value.items()}
    if isinstance(value, list):
        return [conceal(item) for item in value]
    return value if value is None or isinstance(value, bool | Secret) else Secret(str(value))
