"""Imports run downward only, and packages of one layer do not import each other."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import crashcart

ROOT = Path(crashcart.__file__).parent

LAYERS = {
    "cli": 9,
    "drills": 8,
    "playbooks": 7,
    "reports": 7,
    "engine": 6,
    "safety": 5,
    "journal": 4,
    "operations": 3,
    "lab": 3,
    "facts": 2,
    "inventory": 2,
    "transports": 1,
}
ALLOWED_LIBRARIES = {
    "fabric": "transports",
    "paramiko": "transports",
    "boto3": "transports",
    "botocore": "transports",
    "invoke": "cli",
    "psycopg": "transports",
    "pymysql": "transports",
    "redis": "transports",
    "rich": "reports",
}
FILES = sorted(ROOT.rglob("*.py"))


def part_of(path: Path) -> str:
    relative = path.relative_to(ROOT)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, at its top or inside a function."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def own_parts(path: Path) -> set[str]:
    return {name.split(".")[1] for name in imports(path) if name.startswith("crashcart.")}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_downward(path: Path) -> None:
    here = part_of(path)
    layer = LAYERS.get(here, 0)
    upward = {
        part for part in own_parts(path) - {here} if LAYERS.get(part, 0) >= layer and not (layer == 0 and part not in LAYERS)
    }
    assert not upward, f"{here} (layer {layer}) imports {upward}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_libraries_stay_behind_their_seam(path: Path) -> None:
    for name in imports(path):
        owner = ALLOWED_LIBRARIES.get(name.split(".")[0])
        assert owner in {None, part_of(path)}, f"{path} imports {name}"


def test_every_package_has_a_layer() -> None:
    packages = {path.name for path in ROOT.iterdir() if path.is_dir() and (path / "__init__.py").exists()}
    assert packages == set(LAYERS)
