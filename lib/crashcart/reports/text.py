"""Text that came from elsewhere, made fit to be shown: nothing in it can move a cursor, colour a line or forge one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from unicodedata import combining, east_asian_width

LONGEST = 2000
"""Characters of one text that a console shows; the journal has the whole."""

ELLIPSIS = "..."

_COMMAND = re.compile(r"##(?=\w*\[)")
"""What CI systems take for a command wherever it stands in a line of a log: ``##[``, ``##vso[``, ``##teamcity[``."""


def visible(text: str, limit: int = LONGEST) -> str:
    """Return the text on one line, with control, format and unprintable characters written as escapes."""
    text = text.strip("\r\n").rstrip()
    left_out = len(text) - limit
    if left_out > 0:
        text = f"{text[:limit]}{ELLIPSIS} ({left_out} more characters)"
    shown = text if text.isprintable() else "".join(map(_visible_character, text))
    return _COMMAND.sub(r"#\\x23", shown)


def listed(names: Sequence[str], most: int = 5) -> str:
    """List names with commas; of many, the first ones and how many more there are (never just one more)."""
    few = names if len(names) <= most + 1 else names[:most]
    shown = ", ".join(visible(name) for name in few)
    return shown if len(few) == len(names) else f"{shown} and {len(names) - most} more"


def counted(number: int, thing: str) -> str:
    """Count things in words: ``1 target``, ``3 targets``."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def bounded(lines: Sequence[str], most: int) -> list[str]:
    """Return the first lines, and a last one that says how many were left out."""
    left_out = len(lines) - most
    return [*lines[:most], f"{ELLIPSIS} {counted(left_out, 'more line')}"] if left_out > 0 else list(lines)


def columns(rows: Iterable[Sequence[str]]) -> str:
    """Lay out rows of text in columns that are as wide as their widest cell, on a terminal."""
    shown = [[visible(cell) for cell in row] for row in rows]
    widths = [max(map(cells, column)) for column in zip(*shown, strict=True)]
    return "\n".join("  ".join(map(_padded, row, widths)).rstrip() for row in shown)


def cells(text: str) -> int:
    """Return how many cells of a terminal a text takes: two for wide characters, none for combining ones."""
    return sum(0 if combining(each) else 2 if east_asian_width(each) in "WF" else 1 for each in text)


def _padded(text: str, width: int) -> str:
    return text + " " * (width - cells(text))


def _visible_character(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
