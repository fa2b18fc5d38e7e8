from __future__ import annotations

from pathlib import Path

import pytest

from crashcart import operations
from tests.unit.engine.simulated import LAMP, World


@pytest.fixture(autouse=True)
def _lamp_operation(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, place in LAMP.items():
        monkeypatch.setitem(operations.SHIPPED, name, place)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    folder = tmp_path / "runs"
    folder.mkdir()
    return folder


@pytest.fixture
def world(runs: Path) -> World:
    return World(runs, lamp="off")
