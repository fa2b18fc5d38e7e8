"""``group_vars`` and ``host_vars``: the files beside an inventory that hold the variables of one group or one host."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache, cached_property
from pathlib import Path

from crashcart.errors import BadInput
from crashcart.inventory.files import SUFFIXES
from crashcart.inventory.notes import Notes
from crashcart.inventory.tree import Layer
from crashcart.yamlfile import load


class VarsFolder:
    """``group_vars`` or ``host_vars`` of one inventory. Every file is read once, when it is first asked for."""

    def __init__(self, path: Path, notes: Notes) -> None:
        self._path, self._notes = path, notes
        self.layers = cache(self._layers)

    def _layers(self, name: str) -> tuple[Layer, ...]:
        """Return the variables of a group or host, in the order in which they count. Raises ``BadInput``."""
        found = [f"{name}{suffix}" for suffix in ("", *SUFFIXES) if f"{name}{suffix}" in self._entries]
        for hidden in found[1:]:
            self._notes.add(f"{self._path / hidden} is not read: {found[0]} beside it counts")
        files = _files(self._path / found[0]) if found else []
        return tuple(layer for path in files for layer in self._layer(path))

    def _layer(self, path: Path) -> Iterator[Layer]:
        """Read a file: one layer, or none if there is nothing in it or it is encrypted as a whole."""
        document = load(path, may_be_empty=True)
        value = document.value
        if isinstance(value, str) and value.startswith("$ANSIBLE_VAULT"):
            self._notes.add(f"{path} is encrypted; its variables are left out")
        elif value is not None and not isinstance(value, dict):
            raise document.error((), "a file of variables is a mapping of names to values")
        elif value:
            yield Layer({str(name): item for name, item in value.items()}, document)

    @cached_property
    def _entries(self) -> frozenset[str]:
        """The names in the folder: one look instead of four for every host."""
        return frozenset(_names(self._path)) if self._path.is_dir() else frozenset()


def _files(path: Path) -> Iterator[Path]:
    """Yield a file, or what a folder holds, sorted, without hidden files and backups."""
    if not path.is_dir():
        yield path
        return
    for name in sorted(_names(path)):
        entry = path / name
        if name.startswith(".") or name.endswith("~"):
            continue
        if entry.is_dir() and not entry.suffix:
            yield from _files(entry)
        elif entry.is_file() and entry.suffix in ("", *SUFFIXES):
            yield entry


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 -- the names are all that is needed
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", file=folder) from error
