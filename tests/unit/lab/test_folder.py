from __future__ import annotations

import stat
from pathlib import Path

import pytest

from crashcart.errors import BadInput
from crashcart.lab.folder import Folder, inventory_path, open_folder


@pytest.fixture(autouse=True)
def data_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.delenv("CRASHCART_LAB", raising=False)
    return tmp_path


def test_the_name_given_wins_over_the_environment_and_that_over_the_default(
    data_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert open_folder().path == data_home / "crashcart" / "lab"
    monkeypatch.setenv("CRASHCART_LAB", "second")
    assert open_folder().path == data_home / "crashcart" / "second"
    assert inventory_path("third") == data_home / "crashcart" / "third" / "inventory.yml"


@pytest.mark.parametrize("name", ["../lab", "Lab", "-lab", "a/b", "a b", "x" * 33])
def test_names_that_would_leave_the_folder_or_break_a_label_are_bad_input(name: str) -> None:
    with pytest.raises(BadInput, match="cannot name a lab"):
        open_folder(name)


def test_what_is_written_is_the_owner_s_alone(tmp_path: Path) -> None:
    folder = open_folder("mine")
    with folder.locked(print):
        folder.write(folder.host_key("lab1"), b"key")
    assert folder.host_key("lab1").read_bytes() == b"key"
    paths = [folder.path, *folder.path.rglob("*")]
    assert all(stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 for path in paths)


def test_a_lab_is_changed_by_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crashcart.lab.folder.LOCK_WAIT", 0.0)
    folder, told = Folder("mine", tmp_path), list[str]()
    with folder.locked(print), pytest.raises(Exception, match="changing lab 'mine'"), folder.locked(told.append):
        pytest.fail("both hold the lock")


def test_a_workshop_is_swept_by_the_next_one_after_a_crash(tmp_path: Path) -> None:
    (tmp_path / "workshop-left").mkdir()
    (tmp_path / "workshop-left" / "rootfs.tar").touch()
    with Folder("mine", tmp_path).workshop() as workshop:
        assert list(tmp_path.iterdir()) == [workshop]
    assert list(tmp_path.iterdir()) == []
