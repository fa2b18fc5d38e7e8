"""Where the inventory is looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from crashcart.errors import BadInput
from crashcart.inventory import find_inventory


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "checkout" / "inventories").mkdir(parents=True)
    return tmp_path / "checkout"


@pytest.fixture
def cwd(tmp_path: Path) -> Path:
    (tmp_path / "cwd" / "inventories").mkdir(parents=True)
    for name in ("a.yml", "b.yml", "with,comma.yml"):
        (tmp_path / "cwd" / name).touch()
    return tmp_path / "cwd"


def test_the_flag_comes_first(checkout: Path, cwd: Path) -> None:
    assert find_inventory("a.yml, b.yml", {"CRASHCART_INVENTORY": "x"}, checkout, cwd) == [cwd / "a.yml", cwd / "b.yml"]
    assert find_inventory(str(cwd / "a.yml"), {}, None, cwd) == [cwd / "a.yml"]
    assert find_inventory("with,comma.yml", {}, None, cwd) == [cwd / "with,comma.yml"]


def test_then_the_environment(checkout: Path, cwd: Path) -> None:
    assert find_inventory(None, {"CRASHCART_INVENTORY": "b.yml"}, checkout, cwd) == [cwd / "b.yml"]


def test_then_the_checkout_then_the_current_folder(checkout: Path, cwd: Path) -> None:
    assert find_inventory(None, {"CRASHCART_INVENTORY": ""}, checkout, cwd) == [checkout / "inventories"]
    assert find_inventory(None, {}, None, cwd) == [cwd / "inventories"]
    assert find_inventory(None, {}, cwd.parent, cwd) == [cwd / "inventories"]


def test_nowhere(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        find_inventory(None, {}, tmp_path / "a", tmp_path / "b")
    assert f"looked for {tmp_path / 'a' / 'inventories'} and {tmp_path / 'b' / 'inventories'}" in caught.value.message
    assert "--inventory PATH" in caught.value.hint


@pytest.mark.parametrize("text", ["", ",", " "])
def test_empty(cwd: Path, text: str) -> None:
    with pytest.raises(BadInput, match="--inventory names no inventory"):
        find_inventory(text, {}, None, cwd)


@pytest.mark.parametrize("text", ["missing.yml", "a.yml,missing.yml", "web1,", "~nobody-has-this-name/x", "nul\0"])
def test_missing(cwd: Path, text: str) -> None:
    with pytest.raises(BadInput, match="--inventory: there is no "):
        find_inventory(text, {}, None, cwd)


def test_missing_in_the_environment(cwd: Path) -> None:
    with pytest.raises(BadInput, match="CRASHCART_INVENTORY: there is no "):
        find_inventory(None, {"CRASHCART_INVENTORY": "missing.yml"}, None, cwd)


def test_what_may_not_be_looked_at_is_not_there(cwd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "exists", refuse)
    with pytest.raises(BadInput, match="there is no "):
        find_inventory("a.yml", {}, None, cwd)
