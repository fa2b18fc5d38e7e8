"""Inventories written for one test."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from crashcart.inventory import Inventory, load

Load = Callable[..., Inventory]


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


@pytest.fixture
def load_text(tmp_path: Path) -> Load:
    """Load one inventory file, with other files beside it: ``load_text("...", **{"group_vars/all.yml": "..."})``."""

    def load_one(text: str, **files: str) -> Inventory:
        write_files(tmp_path, {"hosts.yml": text, **files})
        return load([tmp_path / "hosts.yml"])

    return load_one
