"""Text for terminals and logs: what comes from a host cannot move the cursor, and tables fit without a library."""

from __future__ import annotations

import re
from collections.abc import Sequence

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def clean(text: str) -> str:
    """Make control characters and direction marks visible: a file name must not repaint a terminal."""
    return _CONTROL.sub(lambda found: repr(found[0])[1:-1], text)


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Lay out rows of cells in columns."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def listing(names: Sequence[str], most: int = 8) -> str:
    """Write names with commas, and how many more there are."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
