"""What docs/inventory.md shows is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from crashcart.inventory import KINDS, select
from tests.unit.inventory.conftest import Load

TEXT = (Path(__file__).parents[3] / "docs" / "inventory.md").read_text()
BLOCKS = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_the_inventories_load(load_text: Load, block: str) -> None:
    inventory = load_text(block)
    assert inventory.notes == ()
    assert len(select(inventory, "web:!web-11*").targets) == 10


def test_every_kind_is_named() -> None:
    assert all(f"`{kind}`" in TEXT for kind in KINDS)
