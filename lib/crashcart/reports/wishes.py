"""The acts that somebody is asked to confirm, each with what would take it back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import msgspec

from crashcart.reports.alike import common, likeness
from crashcart.reports.text import counted, listed, visible

MANY = 10
"""Of more acts than this, those that say the same are told together."""


class Wish(msgspec.Struct, frozen=True):
    """An act that a target wants; ``undo`` says how it is taken back, empty where it cannot be."""

    target: str
    summary: str
    undo: str = ""


def wishes_text(wishes: Sequence[Wish]) -> str:
    """Return what is going to be done, in two lines for each act or for all that say the same."""
    groups: defaultdict[tuple[str, ...], list[Wish]] = defaultdict(list)
    for wish in wishes:
        alone = () if len(wishes) > MANY else (wish.target,)
        groups[(*likeness(wish.summary, wish.target), "undo:", *likeness(wish.undo, wish.target), *alone)].append(wish)
    return "\n".join(_lines(group) for group in groups.values())


def _lines(group: Sequence[Wish]) -> str:
    names = [wish.target for wish in group]
    who = visible(names[0]) if len(names) == 1 else f"{counted(len(names), 'target')} ({listed(names)})"
    undo = visible(common([(wish.undo, wish.target) for wish in group])) or "none, it cannot be taken back"
    return f"  {who}: {visible(common([(wish.summary, wish.target) for wish in group]))}\n    undo: {undo}"
