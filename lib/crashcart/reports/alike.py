"""Messages of many targets that say the same: one line for all of them, with what differs left open or as a range."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from crashcart.reports.story import Line
from crashcart.reports.text import ELLIPSIS

NAME = "<target>"
"""Stands for a target's own name while messages are compared."""

_VARYING = re.compile(r"\d")
_NUMBER = re.compile(r"(?P<before>\D*)(?P<value>\d+(?:\.\d+)?)(?P<behind>\D*)")

FEW_OF_A_KIND = 3
"""Lines of one kind that scroll by before the rest is only counted."""


def likeness(message: str, name: str = "") -> tuple[str, ...]:
    """Return what messages have in common that differ only in the target's name and in words with digits in them."""
    return tuple("#" if _VARYING.search(word) else word for word in _words(message, name))


def common(messages: Sequence[tuple[str, str]]) -> str:
    """Return one message for several (message, target's name) of the same likeness: ``/ is 91-97 % full``."""
    if len(messages) == 1:
        return messages[0][0]
    columns = zip(*(_words(message, name) for message, name in messages), strict=True)
    return " ".join(_merged(list(dict.fromkeys(column))) for column in columns)


def nameless(message: str, name: str) -> str:
    """Return a message with the target's name left open; a name that is part of a word is none."""
    return re.sub(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", NAME, message) if name else message


def _words(message: str, name: str) -> list[str]:
    return nameless(message, name).split()


def _merged(words: Sequence[str]) -> str:
    """Return the word that they all are, a range of numbers, or an ellipsis."""
    if len(words) == 1:
        return words[0]
    numbers = [found for word in words if (found := _NUMBER.fullmatch(word))]
    frames = {(number["before"], number["behind"]) for number in numbers}
    if len(numbers) < len(words) or len(frames) > 1:
        return ELLIPSIS
    before, behind = frames.pop()
    ordered = sorted((number["value"] for number in numbers), key=float)
    return f"{before}{ordered[0]}-{ordered[-1]}{behind}"


class Crowd:
    """Lets the first few lines of each kind pass, so that of a thousand targets only what differs scrolls by."""

    def __init__(self) -> None:
        self._seen: Counter[tuple[str, ...]] = Counter()

    def admit(self, line: Line) -> Line | None:
        """Return the line, or in its place one that says that the rest is only counted, or nothing any more."""
        kind = (line.word, *likeness(line.text, line.subject))
        self._seen[kind] += 1
        if self._seen[kind] <= FEW_OF_A_KIND:
            return line
        if self._seen[kind] == FEW_OF_A_KIND + 1:
            return Line(line.word, "... more like these; the summary counts them", line.tone)
        return None
