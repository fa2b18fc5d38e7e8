"""Where the inventory is when nobody says so."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from crashcart.errors import BadInput

FOLDER = "inventories"
VARIABLE = "CRASHCART_INVENTORY"


def find_inventory(explicit: str | None, environment: Mapping[str, str], checkout: Path | None, cwd: Path) -> list[Path]:
    """Return the inventory's paths: ``--inventory``, else ``CRASHCART_INVENTORY``, else the folder ``inventories``.

    Both may name several, separated by commas. The folder is looked for beside tasks.py, then in the current folder.
    Raises ``BadInput`` for a path that is not there, and saying where it looked.
    """
    if explicit is not None:
        return _named(explicit, "--inventory", cwd)
    if environment.get(VARIABLE):
        return _named(environment[VARIABLE], VARIABLE, cwd)
    places = [place / FOLDER for place in (checkout, cwd) if place]
    for place in places:
        if _existing(place, cwd):
            return [place]
    looked = " and ".join(str(place) for place in dict.fromkeys(places))
    raise BadInput(f"there is no inventory: looked for {looked}", hint=f"give --inventory PATH, or set {VARIABLE}")


def _named(text: str, origin: str, cwd: Path) -> list[Path]:
    """Read a list of paths; a path that has a comma itself is one path."""
    whole = _existing(Path(text), cwd) if text else None
    if whole:
        return [whole]
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise BadInput(f"{origin} names no inventory", hint=f"{origin} takes YAML files and folders")
    return [_path(name, origin, cwd) for name in names]


def _path(name: str, origin: str, cwd: Path) -> Path:
    path = _existing(Path(name), cwd)
    if path is None:
        hint = "it takes YAML files and folders; host names belong into a file"
        raise BadInput(f"{origin}: there is no {cwd / name}", hint=hint)
    return path


def _existing(path: Path, cwd: Path) -> Path | None:
    """Return where a path leads, or nothing: what may not even be looked at is not there."""
    try:
        full = cwd / path.expanduser()
        return full if full.exists() else None
    except (OSError, RuntimeError):  # a folder without permission, a home of nobody
        return None
