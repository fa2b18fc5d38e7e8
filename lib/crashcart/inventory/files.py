"""Which files make up an inventory, and what each of them is: YAML, a source to ask, or something that is not read."""

from __future__ import annotations

import inspect
import os
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from crashcart.errors import BadInput, CrashcartError, nearest
from crashcart.inventory.notes import Notes
from crashcart.inventory.reader import FOREIGN
from crashcart.yamlfile import Document, Skip, load, parse

Source = Callable[..., Path | Mapping[str, Any]]
"""Returns the path of an inventory, or one. A file with more keys than ``source`` hands them over, as one mapping."""

SUFFIXES = (".yml", ".yaml", ".json")
SOURCES_GROUP = "crashcart.inventory_sources"
"""The entry point group in which other packages offer inventory sources."""

_START = "write 'source: lab' into lab.yml there for the practice fleet, or an inventory in Ansible's YAML"
_INI_SECTION = re.compile(r"^\[[\w.-]+(:\w+)?\]\s*(#.*)?$", re.MULTILINE)
PRIVATE_FOLDERS = {"group_vars", "host_vars", "vars_plugins"}
"""Folders in an inventory folder that hold no hosts and groups."""

# What Ansible passes over in an inventory folder without a word.
_IGNORED = re.compile(r"^\.|(~|\.(pyc|pyo|swp|bak|rpm|md|txt|rst|orig|cfg|retry)|\.example\.(yml|yaml|json))$")


def is_body(place: Sequence[str | int]) -> bool:
    """Tell whether a place in an inventory holds variables: those of a host or of a group. ``read_files`` may skip them."""
    if len(place) % 2:
        return len(place) > 2 and place[-2] == "hosts"
    return place[-1] == "vars"


def read_files(
    paths: Sequence[Path], sources: Mapping[str, Source], notes: Notes, skip: Skip | None = None
) -> Iterator[Document]:
    """Yield the inventory documents of files and folders, in their order; ``skip`` is what nobody will look at in them.

    Raises ``BadInput`` for a path that is missing, and for a file that is not a YAML inventory.
    """
    for path in paths:
        try:
            if path.is_dir():
                yield from _read_folder(path, sources, notes, skip)
            else:
                yield _read_file(path, sources, skip)
        except OSError as error:
            raise BadInput(f"cannot be read: {error.strerror}", file=path) from error


def vars_folders(paths: Sequence[Path]) -> list[Path]:
    """Return the folders in which ``group_vars`` and ``host_vars`` are looked for; of one given twice, the later counts."""
    folders = [path if path.is_dir() else path.parent for path in paths]
    return list(dict.fromkeys(reversed(folders)))[::-1]


def _read_folder(folder: Path, sources: Mapping[str, Source], notes: Notes, skip: Skip | None) -> Iterator[Document]:
    """Read a folder's inventories; in a folder, what is not one is a note, because the others still count."""
    files = list(_candidates(folder))
    documents = [document for path in files if (document := _read_member(path, sources, notes, skip))]
    if not documents:
        found = f"; not read: {', '.join(path.name for path in files)}" if files else ""
        raise BadInput(f"{folder} holds no YAML inventory{found}", hint=_START)
    yield from documents


def _candidates(folder: Path) -> Iterator[Path]:
    here = folder.resolve()
    for path in sorted(folder.iterdir()):
        if _IGNORED.search(path.name):
            continue
        if not path.is_dir():
            yield path
        elif path.name not in PRIVATE_FOLDERS and path.resolve() not in (here, *here.parents):
            yield from _candidates(path)


def _read_member(path: Path, sources: Mapping[str, Source], notes: Notes, skip: Skip | None) -> Document | None:
    if path.suffix not in SUFFIXES:
        notes.add(f"{path} is not read: it is not a YAML file")
        return None
    document = _read_file(path, sources, skip, may_be_empty=True)
    if document.value is None:
        notes.add(f"{path} is empty")
        return None
    foreign = next((key for key in FOREIGN if isinstance(document.value, dict) and key in document.value), None)
    if foreign:
        notes.add(f"{path} is not read: {FOREIGN[foreign]}")
    return None if foreign else document


def _read_file(path: Path, sources: Mapping[str, Source], skip: Skip | None, *, may_be_empty: bool = False) -> Document:
    if not path.exists():
        raise BadInput(f"there is no inventory {path}", hint="--inventory takes a YAML file or a folder of them")
    if _is_script(path):
        raise BadInput("executable inventories are not run", hint=_conversion(path), file=path)
    document = _read_yaml(path, skip, may_be_empty=may_be_empty)
    value = document.value
    if isinstance(value, dict) and isinstance(value.get("source"), str):
        # What a source is told is no inventory: none of it is passed over.
        return _ask(value["source"], _read_yaml(path) if skip else document, sources, skip)
    return document


def _read_yaml(path: Path, skip: Skip | None = None, *, may_be_empty: bool = False) -> Document:
    """Read a file; when it is not YAML, say whether it is an INI inventory or encrypted instead."""
    try:
        document = load(path, may_be_empty=may_be_empty, skip=skip)
    except BadInput as error:
        if path.is_file() and error.line and _is_ini(path):
            raise _not_ini(path) from error
        raise
    if isinstance(document.value, str) and document.value.startswith("$ANSIBLE_VAULT"):
        raise BadInput("the inventory is encrypted", hint=f"ansible-vault decrypt {path}", file=path)
    if isinstance(document.value, str | list) and (path.suffix not in SUFFIXES or _is_ini(path)):
        raise _not_ini(path)
    return document


def _is_script(path: Path) -> bool:
    """Tell whether a file is a program. A YAML file may have its executable bit by accident, as on some file systems."""
    if not (path.is_file() and os.access(path, os.X_OK)):
        return False
    return path.suffix not in SUFFIXES or path.read_bytes()[:2] == b"#!"


def _is_ini(path: Path) -> bool:
    """Tell whether a file that is not a YAML mapping looks like Ansible's INI: a section, or no telling suffix."""
    if path.suffix not in SUFFIXES:
        return True
    return bool(_INI_SECTION.search(path.read_text(errors="replace")))


def _not_ini(path: Path) -> BadInput:
    return BadInput("inventories are YAML, this looks like an INI file", hint=_conversion(path), file=path)


def _conversion(path: Path) -> str:
    """Say how to make YAML of an inventory, beside it and under another name."""
    target = path.with_suffix(".yml") if path.suffix not in SUFFIXES else path.with_name(f"{path.stem}-converted.yml")
    return f"convert it once: ansible-inventory --list --yaml -i {shlex.quote(str(path))} > {shlex.quote(str(target))}"


def _ask(name: str, document: Document, sources: Mapping[str, Source], skip: Skip | None) -> Document:
    """Ask a source for its inventory; where it has none yet, its group is there and empty."""
    source = _find_source(name, document, sources)
    options = {key: value for key, value in document.value.items() if key != "source"}
    if options and not inspect.signature(source).parameters:
        key = next(iter(options))
        raise document.error((key,), f"source {name!r} takes no options, so {key!r} is unknown here")
    found = _call(name, lambda: source(options) if options else source())
    if isinstance(found, Mapping):
        return parse(_call(name, lambda: msgspec.json.encode(found).decode()), f"source {name}", skip=skip)
    path: Path = _call(name, lambda: Path(found))
    if not path.exists():
        return parse(msgspec.json.encode({"all": {"children": {name: {}}}}).decode(), path)
    return load(path, skip=skip)


def _find_source(name: str, document: Document, sources: Mapping[str, Source]) -> Source:
    if name in sources:
        return sources[name]
    from importlib.metadata import entry_points  # noqa: PLC0415 -- costs time, and is seldom needed

    offered = {point.name: point for point in entry_points(group=SOURCES_GROUP)}
    if name not in offered:
        known = sorted({*sources, *offered})
        hint = nearest(name, known) or f"known are {', '.join(known) or 'none'}"
        raise document.error(("source",), f"unknown inventory source {name!r}", hint)
    source: Source = _call(name, offered[name].load)
    return source


def _call(name: str, step: Callable[[], Any]) -> Any:
    """Do one step of somebody else's source; whatever it raises is bad input, not a defect of ours."""
    try:
        return step()
    except CrashcartError:
        raise
    except Exception as error:
        raise BadInput(f"inventory source {name!r} failed: {type(error).__name__}: {error}") from error
