"""Which commands there are, with their flags. Asking Invoke takes long, so a playbook that changed is read without it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from invoke import Collection
    from invoke.parser import ParserContext

    from crashcart.cli.flags import Flag
    from crashcart.cli.tasks import Offered
    from crashcart.playbooks.library import Library


class Option(msgspec.Struct, frozen=True):
    """A flag: whether it takes a value, what kind of value, which ones there are if that is known, and its help."""

    takes: bool = False
    value: str = ""
    values: tuple[str, ...] = ()
    help: str = ""


class Command(msgspec.Struct, frozen=True):
    """A command: what it does, its flags, and the flag whose value may stand alone."""

    help: str = ""
    flags: dict[str, Option] = {}
    positional: str = ""


class Frame(msgspec.Struct, frozen=True):
    """The commands that Invoke knows; the playbooks of a library are left out of them where all are there by their names.

    ``made`` tells one frame from another, ``own`` is the folder of the library's own playbooks.
    """

    made: str
    commands: dict[str, Command]
    has_library: bool = False
    own: str | None = None


class Asked(msgspec.Struct, frozen=True):
    """What Invoke said: the frame, which paths it depends on, and the commands of the library's playbooks by their files."""

    frame: Frame
    watched: list[Path]
    playbooks: dict[str, Command] = {}


def ask_invoke(program: str, checkout: Path | None) -> Asked:
    """Ask Invoke for the commands of a program."""
    namespace = _namespace(program, checkout)
    commands = _tabulate(namespace)
    offered = {name: _offered(namespace, name) for name in commands if name}
    playbooks = {name: each.library for name, each in offered.items() if each and each.library}
    made, watched = str(time.time_ns()), list(_code(checkout))
    library = next(iter(playbooks.values()), None)
    if library is not None and playbooks == dict.fromkeys(library.entries, library):
        rest = {name: command for name, command in commands.items() if name not in playbooks}
        frame = Frame(made, rest, has_library=True, own=str(library.own) if library.own else None)
        return Asked(frame, watched, {str(entry.file): commands[name] for name, entry in library.entries.items()})
    for each in {id(library): library for library in playbooks.values()}.values():
        watched += [*library_folders(each), *(entry.file for entry in each.entries.values())]
    return Asked(Frame(made, commands), watched)


def read_library(own: str | None) -> tuple[dict[str, str], Iterable[Path]]:
    """Return the file of each playbook by its name, and the folders whose change means other playbooks."""
    from crashcart.playbooks.library import Library

    library = Library(Path(own) if own else None)
    return {name: str(entry.file) for name, entry in library.entries.items()}, library_folders(library)


def library_folders(library: Library) -> Iterator[Path]:
    """Yield every folder that a library's playbooks are looked for in."""
    from crashcart.playbooks.library import SHIPPED

    for folder in (SHIPPED, library.own):
        if folder is not None:
            yield folder
            yield from (path for path in folder.glob("*") if path.is_dir())


def read_playbook(file: Path) -> Command:
    """Return the command of one playbook or drill."""
    from crashcart.cli.playbookflags import playbook_flags
    from crashcart.playbooks.heads import read_head

    head = read_head(file)
    return _command(head.summary, playbook_flags(head), ())


def _namespace(program: str, checkout: Path | None) -> Collection:
    if program == "crashcart" or checkout is None:
        from crashcart.cli.namespace import build_namespace

        return build_namespace(checkout / "playbooks" if checkout else None, checkout)
    from invoke import Collection
    from invoke.loader import FilesystemLoader

    # What tasks.py says when it is imported would be taken for candidates.
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        module, _ = FilesystemLoader(start=str(checkout)).load("tasks")
    return Collection.from_module(module)


def _code(checkout: Path | None) -> Iterator[Path]:
    """Yield the files that the commands are made by: the modules of this package, and those of the checkout."""
    package = Path(__file__).parents[1]
    roots = tuple(f"{root}/" for root in (package, checkout) if root)
    files = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    yield from (Path(file) for file in files if isinstance(file, str) and file.startswith(roots))
    if checkout:
        yield checkout / "tasks.py"


def _offered(namespace: Collection, name: str) -> Offered | None:
    """Return what a task of ours says of itself; other people's tasks say nothing."""
    offered: Offered | None = getattr(namespace[name].body, "offered", None)
    return offered


def _tabulate(namespace: Collection) -> dict[str, Command]:
    from invoke import Program
    from invoke.parser import ParserContext

    found = {"": _foreign(Program().initial_context, "")}
    for name in namespace.task_names:
        task, offered = namespace[name], _offered(namespace, name)
        if offered:
            found[name] = _command(task.__doc__ or "", offered.flags, offered.positional)
        else:
            found[name] = _foreign(ParserContext(name, args=task.get_arguments()), task.__doc__ or "")
    return found


def _command(text: str, flags: Iterable[Flag], positional: tuple[str, ...]) -> Command:
    options = {_as_typed(flag.name): _option(flag) for flag in flags}
    return Command(_first_line(text), options, next(map(_as_typed, positional), ""))


def _option(flag: Flag) -> Option:
    return Option(not flag.switch, "" if flag.switch else flag.value, flag.values, flag.help)


def _as_typed(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _foreign(context: ParserContext, text: str) -> Command:
    """Return a command of which only Invoke knows what it takes."""
    flags: dict[str, Any] = {flag: argument for flag, argument in context.flags.items() if flag.startswith("--")}
    options = {
        flag: Option(argument.takes_value and not argument.optional, help=argument.help or "")
        for flag, argument in flags.items()
    }
    return Command(_first_line(text), options, next((f"--{each.name}" for each in context.positional_args), ""))


def _first_line(text: str) -> str:
    return next(iter(text.strip().splitlines()), "")
