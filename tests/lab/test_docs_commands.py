"""The documentation's commands that need the practice fleet are run on it, page by page, in the order of the page."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from crashcart.lab.folder import inventory_path
from crashcart.lab.lab import Lab
from tests.documented import CHECKOUT, How, Place, shell_blocks

pytestmark = pytest.mark.lab

BLOCKS = shell_blocks(How.LAB)


def named_as_in_examples(inventory: Path) -> str:
    """The lab's hosts once more, under the names that examples have: ``web1`` and so on, in the groups web and prod."""
    lab = yaml.safe_load(inventory.read_text())["all"]["children"]["lab"]
    hosts = {name.replace("lab", "web"): variables for name, variables in lab["hosts"].items()}
    groups = {"web": {"hosts": hosts, "vars": lab["vars"]}, "prod": {"children": {"web": {}}}}
    return yaml.safe_dump({"all": {"children": groups}})


@pytest.mark.parametrize("page", sorted({block.page for block in BLOCKS}), ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_a_page_s_commands_work_as_they_are_shown(page: Path, lab: Lab, tmp_path: Path) -> None:
    place = Place(page, tmp_path / "checkout", "source: lab\n")
    (place.folder / "inventories/named.yml").write_text(named_as_in_examples(inventory_path()))
    for block in (block for block in BLOCKS if block.page == page):
        done = place.run(block.script)
        assert done.returncode == 0, f"{block.where}\n{done.stdout}"
