"""Budgets: how often a kind of act may be done to one target, as the inventory variable ``budget`` says; no default.

    budget: {restart: 3/host/hour, failover: 2/target/day}

The kinds are those that acts call themselves by; what is spent is kept by ``journal/spending.py``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from crashcart.errors import BadInput, nearest
from crashcart.journal.spending import Allowance
from crashcart.targets import Target

UNITS = ("host", "target")
"""What a budget counts over; two words for the same, since a host is a target."""

PERIODS = {"minute": 60.0, "hour": 3600.0, "day": 86400.0, "week": 604800.0}
"""How long a budget looks back, in seconds."""

_KIND = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")
_COUNT = re.compile(r"\d{1,6}", re.ASCII)
_EXPECTED = "expected a number, a unit and a period such as 3/host/hour"


def parse_budget(raw: Any, where: str) -> tuple[Allowance, ...]:
    """Read the value of ``budget``; ``where`` says whose it is. Raises ``BadInput`` with the place and the nearest word."""
    if not isinstance(raw, Mapping):
        got = "nothing" if raw is None else repr(raw)[:60]
        hint = "budget: {restart: 3/host/hour}; budget: {} means none"
        raise BadInput(f"{where}: budget: expected kinds of act with how often they are allowed, got {got}", hint=hint)
    return tuple(_allowance(kind, text, f"{where}: budget.{kind}") for kind, text in raw.items())


def budget_of(target: Target) -> tuple[Allowance, ...]:
    """Return a target's budget, empty where the inventory sets none. Raises ``BadInput``: call it before any contact."""
    return parse_budget(target.variables["budget"], target.name) if "budget" in target.variables else ()


def _allowance(kind: Any, text: Any, place: str) -> Allowance:
    if not isinstance(kind, str) or not _KIND.fullmatch(kind):
        raise BadInput(f"{place}: expected a kind of act such as restart or failover, got {kind!r}")
    parts = [part.strip() for part in text.split("/")] if isinstance(text, str) else []
    if len(parts) != 3:
        raise BadInput(f"{place}: {_EXPECTED}, got {text!r}")
    count, unit, period = parts
    if not _COUNT.fullmatch(count):
        raise BadInput(f"{place}: {_EXPECTED}, got the number {count!r}")
    _check(unit, UNITS, "unit", place)
    _check(period, tuple(PERIODS), "period", place)
    return Allowance(kind, int(count), PERIODS[period], "/".join(parts))


def _check(word: str, known: tuple[str, ...], what: str, place: str) -> None:
    if word not in known:
        hint = nearest(word, known) or f"there are {', '.join(known)}"
        raise BadInput(f"{place}: unknown {what} {word!r}", hint=hint)
