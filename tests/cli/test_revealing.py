"""A run that goes on takes the secrets that its journal masks from the inventory, and refuses where that has none."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from crashcart.cli.house import House
from crashcart.cli.revealing import reveal
from crashcart.errors import Refused
from crashcart.inventory import load, select
from crashcart.plan import Plan, TargetPlan
from crashcart.secrets import Secret, encode_secret

INVENTORY = """
all:
  hosts:
    web1: {ansible_become_password: sesame, greeting: hello}
"""


@pytest.fixture
def inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "hosts.yml"
    path.write_text(INVENTORY)
    monkeypatch.setenv("CRASHCART_INVENTORY", str(path))
    return path


def journaled(inventory: Path) -> Plan:
    """A plan as a journal gives it back."""
    (target,) = select(load([inventory]), "web1").targets
    plan = Plan("recover.x", "", "web1", (TargetPlan(target),))
    return msgspec.json.decode(msgspec.json.encode(plan, enc_hook=encode_secret), type=Plan)


def test_secrets_come_from_the_inventory(inventory: Path) -> None:
    (target,) = reveal(House(None, None), journaled(inventory)).targets
    password = target.target.variable("ansible_become_password")
    assert isinstance(password, Secret)
    assert (password.reveal(), target.target.variable("greeting")) == ("sesame", "hello")


def test_a_login_that_nobody_knows_any_more_is_refused(inventory: Path) -> None:
    plan = journaled(inventory)
    inventory.write_text("all: {hosts: {web2: {}}}")
    with pytest.raises(Refused, match="web1 is reached with ansible_become_password, which neither"):
        reveal(House(None, None), plan)


def test_an_inventory_that_is_gone_is_no_traceback(inventory: Path) -> None:
    plan = journaled(inventory)
    inventory.unlink()
    with pytest.raises(Refused):
        reveal(House(None, None), plan)


def test_without_secrets_no_inventory_is_read(inventory: Path) -> None:
    inventory.write_text("all: {hosts: {web1: {greeting: hello}}}")
    plan = journaled(inventory)
    inventory.write_text("{")
    assert reveal(House(None, None), plan) is plan
