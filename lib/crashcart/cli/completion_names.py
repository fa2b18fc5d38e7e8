"""Which groups and targets an inventory has, as far as this disk knows: nobody is asked."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

ENVIRONMENT = ("CRASHCART_INVENTORY", "CRASHCART_LAB", "XDG_DATA_HOME", "XDG_CACHE_HOME", "HOME")
"""Variables that decide which inventory is read."""


class Names(msgspec.Struct, frozen=True):
    """An inventory's groups with the number of their targets, and its targets."""

    groups: dict[str, int] = {}
    targets: tuple[str, ...] = ()


def read_names(explicit: str | None, checkout: Path | None, cwd: Path) -> tuple[Names, list[Path]]:
    """Read as much of an inventory as can be read: whatever is wrong with it, running a command says so."""
    from crashcart.errors import CrashcartError
    from crashcart.inventory.files import is_body, read_files
    from crashcart.inventory.notes import Notes
    from crashcart.inventory.reader import read_document
    from crashcart.inventory.tree import Tree

    quiet, tree = _Quiet(), Tree()
    watched: list[Path] = []
    try:
        paths = _inventory_paths(explicit, checkout, cwd, watched)
        watched += [file for path in paths for file in _files_below(path)]
        for document in read_files(paths, quiet, Notes(), skip=is_body):
            read_document(document, tree)
        tree.finish()
    except (CrashcartError, OSError):
        pass
    watched += quiet.watched
    groups = {name: len(tree.members(name)) for name in sorted(tree.groups) if name != "ungrouped"}
    return Names(groups, tuple(tree.hosts)), watched


def _inventory_paths(explicit: str | None, checkout: Path | None, cwd: Path, watched: list[Path]) -> list[Path]:
    from crashcart.errors import BadInput
    from crashcart.inventory.find import FOLDER, VARIABLE, find_inventory

    watched += [place / FOLDER for place in (checkout, cwd) if place]
    named = explicit or os.environ.get(VARIABLE) or ""
    watched += [cwd / Path(name.strip()).expanduser() for name in (named, *named.split(",")) if name.strip()]
    try:
        return find_inventory(explicit, os.environ, checkout, cwd)
    except BadInput:
        if named:
            raise
        from crashcart.lab.folder import inventory_path

        return [inventory_path()]


def _files_below(path: Path) -> Iterator[Path]:
    """Yield a file, or a folder with all that may name hosts and groups; a link that leads back up is not followed."""
    from crashcart.inventory.files import PRIVATE_FOLDERS

    yield path
    if path.is_dir():
        here = path.resolve()
        for each in path.iterdir():
            if each.name not in PRIVATE_FOLDERS and each.resolve() not in (here, *here.parents):
                yield from _files_below(each)


class _Quiet(Mapping[str, Callable[..., Any]]):
    """Inventory sources that answer from what is on this disk; every other source is empty."""

    def __init__(self) -> None:
        self.watched: list[Path] = []

    def __getitem__(self, name: str) -> Callable[..., Any]:
        known: dict[str, Callable[..., Any]] = {"lab": self._lab, "aws": self._aws}
        return known.get(name, _nothing)

    def __contains__(self, name: object) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(("lab", "aws"))

    def __len__(self) -> int:
        return 2

    def _lab(self) -> Path:
        from crashcart.lab.folder import inventory_path

        path = inventory_path()
        self.watched.append(path)
        return path

    def _aws(self, options: Mapping[str, Any] | None = None) -> dict[str, Any]:
        from crashcart.inventory.aws_source import kept_inventory

        found, path = kept_inventory(options)
        self.watched.append(path)
        return found


def _nothing(_options: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return {}
