"""Heads of playbooks: as much of a file as ``--list`` and ``--help`` show, read fast and forgivingly.

Every command line builds every command, so this must cost next to nothing. What is wrong with a file is said, strictly
and with its place, by ``load.py`` when that playbook is run.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from crashcart import yamlfile
from crashcart.decoding import convert
from crashcart.errors import BadInput


class ParamHead(msgspec.Struct, frozen=True):
    """A parameter as it is shown; without a default it is required."""

    type: str = "str"
    help: str = ""
    default: Any = msgspec.UNSET

    @property
    def is_switch(self) -> bool:
        """Whether it is a switch: a bool that is off unless given."""
        return self.type == "bool" and self.default is False

    @property
    def text(self) -> str:
        """Its help with type and default."""
        if self.default is msgspec.UNSET:
            return f"{self.help} ({self.type}, required)"
        default = self.default if isinstance(self.default, str) else msgspec.json.encode(self.default).decode()
        return f"{self.help} ({self.type}, default: {default or 'none'})"


class Head(msgspec.Struct, frozen=True):
    """The part of a playbook or drill that a list of commands shows."""

    summary: str
    params: dict[str, ParamHead] = {}
    drill: Any = None


def read_head(path: Path) -> Head:
    """Read a head; a file that cannot be read has one that says so."""
    try:
        return convert(yamlfile.load(path, skip=_is_hidden).value, Head)
    except (BadInput, msgspec.ValidationError):
        return Head("(cannot be read; running it says why)")


def _is_hidden(place: Sequence[str | int]) -> bool:
    """Tell whether a list shows nothing of a place: neither steps, which are most of a file, nor what is in a variant."""
    match place:
        case [key]:
            return key not in Head.__struct_fields__
        case ["drill", key]:
            return key != "variants"
        case ["drill", "variants", str()]:
            return True
    return False
