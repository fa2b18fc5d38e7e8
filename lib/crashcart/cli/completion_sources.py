"""What can be completed here: commands with their flags, groups and targets, runs. Nothing here asks a network.

Each answer is kept until a file that it was made from changes: Invoke alone takes longer to import than a Tab may.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from crashcart.cli.completion_cache import Cache

if TYPE_CHECKING:
    from invoke import Collection
    from invoke.parser import ParserContext

    from crashcart.playbooks.library import Library

OUR_MARK = "crashcart"
"""What a tasks.py that offers our commands mentions."""

_ENVIRONMENT = ("CRASHCART_INVENTORY", "CRASHCART_LAB", "XDG_DATA_HOME", "XDG_CACHE_HOME", "HOME")
"""Variables that decide which inventory is read."""


class Option(msgspec.Struct, frozen=True):
    """A flag: whether it takes a value, which ones there are if that is known, and its help."""

    takes: bool = False
    values: tuple[str, ...] = ()
    help: str = ""


class Command(msgspec.Struct, frozen=True):
    """A command: what it does, its flags, and the flag whose value may stand alone."""

    help: str = ""
    flags: dict[str, Option] = {}
    positional: str = ""


class Names(msgspec.Struct, frozen=True):
    """An inventory's groups with the number of their targets, and its targets."""

    groups: dict[str, int] = {}
    targets: tuple[str, ...] = ()


class Sources:
    """What is known in one folder, for one program: ``inv`` takes the nearest tasks.py above, ``crashcart`` the one here."""

    def __init__(self, program: str, cwd: Path, cache: Cache | None = None) -> None:
        self._program, self._cwd, self._cache = program, cwd, cache or Cache()

    @cached_property
    def checkout(self) -> Path | None:
        """The folder whose tasks.py offers our commands, if there is one."""
        places = [self._cwd] if self._program == "crashcart" else [self._cwd, *self._cwd.parents]
        found = next((place for place in places if (place / "tasks.py").is_file()), None)
        if found is None or self._program == "crashcart":
            return found if found and (found / "playbooks").is_dir() else None
        return found if OUR_MARK in (found / "tasks.py").read_text(errors="replace") else None

    @property
    def is_ours(self) -> bool:
        """Whether the program has our commands in this folder."""
        return self._program == "crashcart" or self.checkout is not None

    @cached_property
    def commands(self) -> dict[str, Command]:
        """All commands by name; the program's own flags are those of the command without a name."""
        question = ("commands", self._program, str(self.checkout), sys.version, __file__)
        return self._cache.get(question, dict[str, Command], self._read_commands)

    def names(self, inventory: str | None) -> Names:
        """Return the groups and targets of an inventory, the one that a run would take unless it is named."""
        environment = (os.environ.get(name, "") for name in _ENVIRONMENT)
        question = ("names", str(inventory), str(self.checkout), str(self._cwd), *environment)
        return self._cache.get(question, Names, lambda: _read_names(inventory, self.checkout, self._cwd))

    def runs(self) -> list[str]:
        """Return the ids of all runs, the newest first."""
        from crashcart.journal.folder import run_ids, runs_folder

        return run_ids(runs_folder(os.environ.get("CRASHCART_STATE")))[::-1]

    def _read_commands(self) -> tuple[dict[str, Command], Iterator[Path]]:
        from crashcart.playbooks.library import Library

        own = self.checkout / "playbooks" if self.checkout else None
        library = Library(own)
        return _tabulate(self._namespace(own), library), self._made_of(library, own)

    def _namespace(self, own: Path | None) -> Collection:
        if self._program == "crashcart" or self.checkout is None:
            from crashcart.cli.namespace import build_namespace

            return build_namespace(own, self.checkout)
        from invoke import Collection
        from invoke.loader import FilesystemLoader

        module, _ = FilesystemLoader(start=str(self.checkout)).load("tasks")
        return Collection.from_module(module)

    def _made_of(self, library: Library, own: Path | None) -> Iterator[Path]:
        from crashcart.playbooks.library import SHIPPED

        code = Path(__file__).parent
        yield from (code, *code.glob("*.py"))
        for folder in (SHIPPED, own):
            yield from (folder, *(path for path in folder.iterdir() if path.is_dir())) if folder else ()
        yield from (entry.file for entry in library.entries.values())
        if self.checkout:
            yield self.checkout / "tasks.py"


def _tabulate(namespace: Collection, library: Library) -> dict[str, Command]:
    from invoke import Program

    contexts = namespace.to_contexts()
    helps = {name: namespace[name].__doc__ or "" for name in namespace.task_names}
    found = {"": _command(Program().initial_context, "", {})}
    for context in sorted(contexts, key=lambda each: str(each.name)):
        name = str(context.name)
        found[name] = _command(context, helps.get(name, ""), _values(library, name))
    return found


def _command(context: ParserContext, text: str, values: Mapping[str, tuple[str, ...]]) -> Command:
    flags = {
        flag: Option(argument.takes_value and not argument.optional, values.get(flag, ()), argument.help or "")
        for flag, argument in context.flags.items()
        if flag.startswith("--")
    }
    positional = next((f"--{argument.name}" for argument in context.positional_args), "")
    return Command(next(iter(text.strip().splitlines()), ""), flags, positional)


def _values(library: Library, name: str) -> dict[str, tuple[str, ...]]:
    """Return the values of a playbook's own flags that can be listed: variants of a drill, true and false."""
    if name not in library.entries:
        return {}
    head = library.head(name)
    if isinstance(head.drill, dict):
        return {"--variant": tuple(map(str, head.drill.get("variants") or ()))}
    switches = (key for key, param in head.params.items() if param.type == "bool" and not param.is_switch)
    return {f"--{key.replace('_', '-')}": ("true", "false") for key in switches}


def _read_names(explicit: str | None, checkout: Path | None, cwd: Path) -> tuple[Names, list[Path]]:
    """Read as much of an inventory as can be read: whatever is wrong with it, running a command says so."""
    from crashcart.errors import CrashcartError
    from crashcart.inventory.files import read_files
    from crashcart.inventory.notes import Notes
    from crashcart.inventory.reader import read_document
    from crashcart.inventory.tree import Tree

    quiet, tree = _Quiet(), Tree()
    watched: list[Path] = []
    try:
        paths = _inventory_paths(explicit, checkout, cwd, watched)
        watched += _files_below(paths)
        for document in read_files(paths, quiet, Notes()):
            read_document(document, tree)
        tree.finish()
    except CrashcartError:
        pass
    watched += quiet.watched
    groups = {name: len(tree.members(name)) for name in sorted(tree.groups) if name != "ungrouped"}
    return Names(groups, tuple(tree.hosts)), watched


def _inventory_paths(explicit: str | None, checkout: Path | None, cwd: Path, watched: list[Path]) -> list[Path]:
    from crashcart.errors import BadInput
    from crashcart.inventory.find import FOLDER, find_inventory

    watched += [place / FOLDER for place in (checkout, cwd) if place]
    try:
        return find_inventory(explicit, os.environ, checkout, cwd)
    except BadInput:
        if explicit or os.environ.get("CRASHCART_INVENTORY"):
            raise
        from crashcart.lab.folder import inventory_path

        return [inventory_path()]


def _files_below(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        yield path
        if path.is_dir():
            yield from (each for each in path.rglob("*") if each.is_dir() or each.suffix in {".yml", ".yaml", ".json"})


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
