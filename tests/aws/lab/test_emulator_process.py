"""The emulator as a child process: started, found, killed, started again where it was, stopped."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from crashcart.errors import LabError
from crashcart.lab.aws import emulator as module
from crashcart.lab.aws.compute_seed import LabInstance
from crashcart.lab.aws.emulator import AwsEmulator, AwsStatus
from crashcart.lab.aws.whereabouts import Whereabouts, find, publish
from crashcart.lab.folder import Folder
from crashcart.lab.lab import Lab
from tests.lab.hosts import eventually

HOST = LabInstance("lab1", "tcp://127.0.0.1:1")


def test_a_killed_emulator_is_noticed_and_comes_back_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    lab = AwsEmulator(tmp_path / "aws")
    try:
        assert lab.start()
        first = lab.ready()
        assert first.running, first.note
        assert lab.add_hosts([HOST]) == lab.add_hosts() != {}
        assert not lab.start()
        assert lab.status().pid == first.pid
        assert (first.requests, first.writes) == (0, 0)
        os.kill(first.pid, signal.SIGKILL)
        assert lab.status() == AwsStatus(note="inv lab.up starts it")
        with pytest.raises(LabError, match="does not answer"):
            lab.reset()
        assert lab.start()
        assert lab.ready().url == first.url
    finally:
        assert lab.stop()
    assert not lab.status().running
    assert find(tmp_path / "aws") is None


def test_one_that_nobody_waits_for_any_more_is_ended_by_the_next_and_by_stop(tmp_path: Path) -> None:
    killed, later = AwsEmulator(tmp_path), AwsEmulator(tmp_path)
    try:
        assert killed.start()  # and whoever would have waited for it is killed
        assert later.start()
        found = later.ready()
        assert found.running, found.note
        assert eventually(lambda: emulators(tmp_path) == [found.pid])
    finally:
        later.stop()
    assert later.start()
    assert not later.stop()
    assert eventually(lambda: emulators(tmp_path) == [])


def emulators(state: Path) -> list[int]:
    """The processes that were started with this folder and have not ended."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if os.fsencode(state) in (folder / "cmdline").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return found


def test_a_stale_file_is_not_a_running_emulator(tmp_path: Path) -> None:
    publish(tmp_path, Whereabouts(os.getpid(), 1))
    assert not AwsEmulator(tmp_path).status().running
    assert not AwsEmulator(tmp_path).stop()


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (None, "moto is not installed: pip install 'crashcart[lab]'"),
        ("4.0.0", "moto is 4.0.0, and the lab is made for 5.2.5: pip install 'crashcart[lab]'"),
    ],
)
def test_without_moto_status_says_what_to_install_and_nothing_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: str | None, why: str
) -> None:
    def version(_: str) -> str:
        if found is None:
            raise PackageNotFoundError
        return found

    monkeypatch.setattr(module, "version", version)
    lab = AwsEmulator(tmp_path)
    assert lab.status() == AwsStatus(note=why)
    assert not lab.start()
    assert lab.status().text == f"aws      down     {why}"


def test_one_that_cannot_start_is_told_with_its_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    lab = AwsEmulator(tmp_path)
    assert lab.start()
    status = lab.ready()
    assert not status.running
    assert "does not start: it said nothing" in status.note


def test_down_stops_it_and_empties_the_inventory(tmp_path: Path) -> None:
    lab = Lab(Folder("lab", tmp_path), engines=list)
    assert lab.aws.start()
    assert lab.aws.ready().running
    assert "aws      up" in lab.status().text
    lab.down()
    assert not lab.status().aws.running
    assert "lab-aurora" not in lab.folder.inventory.read_text()
