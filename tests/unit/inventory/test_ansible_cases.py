"""The same inventory, read by Ansible and by crashcart. Ansible's answers are recorded by ``record.py``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from crashcart.errors import BadInput, Refused
from crashcart.inventory import Inventory, load, select
from crashcart.inventory.secrecy import map_secrets
from crashcart.secrets import Secret
from tests.unit.inventory.conftest import write_files

CASES = Path(__file__).parents[2] / "cases" / "inventory"
NAMES = sorted(path.name.removesuffix(".ansible.yml") for path in CASES.glob("*.ansible.yml"))
# Ansible takes nothing for everything, and passes over a name or glob that matches nothing; crashcart stops.
STRICTER = {"?atic1,db1", ","}


def read(name: str) -> Any:
    return yaml.safe_load((CASES / name).read_text())


@pytest.fixture(params=NAMES)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Inventory, dict[str, Any]]:
    description = read(f"{request.param}.yml")
    write_files(tmp_path, description["files"])
    return load([tmp_path / path for path in description["inventory"]]), read(f"{request.param}.ansible.yml")


def test_hosts_in_order(case: tuple[Inventory, dict[str, Any]]) -> None:
    inventory, answer = case
    assert [target.name for target in inventory.targets] == answer["order"]


def test_groups(case: tuple[Inventory, dict[str, Any]]) -> None:
    inventory, answer = case
    assert {name: sorted(group.members) for name, group in inventory.groups.items()} == answer["groups"]


def test_variables(case: tuple[Inventory, dict[str, Any]]) -> None:
    inventory, answer = case
    variables = {target.name: map_secrets(target.variables, Secret.reveal) for target in inventory.targets}
    assert variables == answer["variables"]


def test_patterns(case: tuple[Inventory, dict[str, Any]]) -> None:
    inventory, answer = case
    for pattern, hosts in answer["patterns"].items():
        if hosts and pattern not in STRICTER:
            assert {target.name for target in select(inventory, pattern).targets} == set(hosts), pattern
        else:
            with pytest.raises((BadInput, Refused)):
                select(inventory, pattern)
