from __future__ import annotations

from pathlib import Path

import pytest

from crashcart.errors import BadInput, LabError
from crashcart.lab.commands import run
from crashcart.lab.engine import Engine
from crashcart.lab.folder import Folder
from crashcart.lab.lab import Lab
from crashcart.lab.status import HostStatus, LabStatus, notes_on
from tests.unit.lab.fakes import FakeRunner

HOST = HostStatus("lab1", "127.0.0.1", 4001, running=True, answering=True, var="ext4 236M on /dev/loop0")


def status(*hosts: HostStatus, notes: tuple[str, ...] = ()) -> LabStatus:
    return LabStatus("lab", "/data", "/data/inventory.yml", "podman 4.3.1", "image", hosts, notes)


@pytest.mark.parametrize("count", [0, -1, 65])
def test_a_count_out_of_bounds_is_bad_input_and_touches_nothing(tmp_path: Path, count: int) -> None:
    with pytest.raises(BadInput, match="a lab has 1 to 64 hosts"):
        Lab(Folder("lab", tmp_path / "lab")).up(count)
    assert not (tmp_path / "lab").exists()


def test_without_an_engine_status_says_what_to_install(tmp_path: Path) -> None:
    lab = Lab(Folder("lab", tmp_path), engines=list)
    assert not lab.status().up
    assert "install podman or docker" in lab.status().text


def test_without_an_engine_and_without_the_right_to_install_up_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crashcart.lab.lab.installable", lambda: False)
    with pytest.raises(LabError, match="hint: install podman or docker"):
        Lab(Folder("lab", tmp_path), engines=list).up()


def test_down_without_an_engine_leaves_an_empty_inventory(tmp_path: Path) -> None:
    lab = Lab(Folder("lab", tmp_path), engines=list)
    lab.down()
    assert "hosts: {}" in lab.folder.inventory.read_text()


def test_a_second_engine_does_not_hide_a_lab_in_the_first(tmp_path: Path) -> None:
    labels = b'{"Labels": {"crashcart.host": "lab1"}}'
    inspected = b'[{"Id": "i", "Config": %b, "HostConfig": {}, "State": {"Status": "exited"}}]' % labels
    empty = Engine("docker", runner=FakeRunner({"docker ps": b""}))
    full = Engine("podman", runner=FakeRunner({"podman ps": b"i\n", "podman container inspect": inspected}))
    assert Lab(Folder("lab", tmp_path), engines=lambda: [empty, full]).status().engine == "podman"
    assert Lab(Folder("lab", tmp_path), engines=lambda: [empty, empty]).status().engine == "docker"


def test_status_is_up_when_every_host_answers() -> None:
    silent = HostStatus("lab2", "127.0.0.1", 4002, running=True, answering=False)
    assert status(HOST).up
    assert not status().up
    assert not status(HOST, silent).up
    assert "lab2     silent" in status(HOST, silent).text


def test_notes_name_what_is_not_as_promised() -> None:
    hosts = (
        HOST,
        HostStatus("lab2", "127.0.0.1", 4002, running=False, answering=False),
        HostStatus("lab3", "127.0.0.1", 4003, running=True, answering=True, var="tmpfs 256M on tmpfs"),
        HostStatus("lab4", "127.0.0.1", 4004, running=True, answering=True, var="overlay 9G on /", failed=("x.service",)),
    )
    notes = list(notes_on(hosts))
    assert [note.split()[0].rstrip(":") for note in notes] == ["lab2", "lab3", "lab4", "lab4"]
    assert "loop devices are not allowed" in notes[1]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["sh", "-c", "echo why >&2; exit 7"], "sh failed with exit status 7: why"),
        (["crashcart-no-such-program"], "cannot be run"),
        (["sleep", "5"], "did not end within 0 s"),
    ],
)
def test_a_program_that_fails_is_told_in_its_own_words(argv: list[str], message: str) -> None:
    with pytest.raises(LabError, match=message):
        run(argv, timeout=0.2)
