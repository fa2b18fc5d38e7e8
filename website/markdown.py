"""Writing Markdown: tables, code, and docstrings as prose."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence

_LITERAL = re.compile(r"``([^`]+)``")
_CODE = re.compile(r"(`[^`]+`)")
_REQUIREMENT = re.compile(r" \((?:MISSION |seed rows? )?S\d-[^)]*\)")
"""Where a requirement comes from: for people who read the source."""


def code(text: str) -> str:
    """Write text as inline code; nothing stays nothing."""
    fence = "``" if "`" in text else "`"
    return f"{fence}{text}{fence}" if text else ""


def prose(docstring: str | None) -> str:
    """Write a docstring as Markdown: its paragraphs unwrapped, its literals as code."""
    text = _REQUIREMENT.sub("", inspect.cleandoc(docstring or ""))
    paragraphs = [" ".join(part.split()) for part in text.split("\n\n")]
    return "\n\n".join(_LITERAL.sub(r"`\1`", escape(part)) for part in paragraphs)


def escape(text: str) -> str:
    """Keep what a host or a docstring says from being read as HTML."""
    return text.replace("<", "&lt;")


def cell(text: str) -> str:
    """Write text for one cell of a table, whose bars do not end it; inside code they never do."""
    parts = _CODE.split(" ".join(text.split()))
    return "".join(part if _CODE.fullmatch(part) else part.replace("|", "\\|") for part in parts)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table; without rows, nothing."""
    lines = [f"| {' | '.join(map(cell, row))} |" for row in rows]
    rule = f"|{'---|' * len(head)}"
    return "\n".join([f"| {' | '.join(head)} |", rule, *lines]) if lines else ""


def fenced(language: str, text: str) -> str:
    """Write a block of code."""
    return f"```{language}\n{text.rstrip()}\n```"


def folded(title: str, body: str) -> str:
    """Write a block that opens on a click."""
    indented = "\n".join(f"    {line}" if line else "" for line in body.splitlines())
    return f'??? note "{title}"\n\n{indented}'


def section(title: str, *parts: str) -> str:
    """Write a section of what it has; one without content is left out."""
    body = "\n\n".join(part for part in parts if part)
    return f"## {title}\n\n{body}" if body else ""


def page(title: str, *parts: str) -> str:
    """Write a whole page."""
    return "\n\n".join([f"# {title}", *(part for part in parts if part)]) + "\n"
