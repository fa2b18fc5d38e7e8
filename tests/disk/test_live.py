"""Logs that are emptied while they are open, and deleted files that are held open."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from crashcart.operations.base import Action
from crashcart.operations.disk_acts import EMPTY
from crashcart.results import Outcome
from crashcart.transports.base import Command, CommandResult
from tests.disk.driving import Record, make, reclaim, survey
from tests.disk.volume import PYTHON, Volume

MIB = 1 << 20
LOG = "/var/log/app/api.log"
WISH = {"path": "/var", "truncate_open": [LOG]}
APPEND = 'exec 3>>"$1"; echo ready; while read -r line; do echo "$line" >&3; done'
OVERWRITE = 'exec 3<>"$1"; echo ready; while read -r line; do echo "$line" >&3; done'


def put(volume: Volume, size: int = 40 * MIB) -> None:
    path = volume.put(LOG, size)
    with open(path, "r+b") as file:
        file.seek(-14, os.SEEK_END)
        file.write(b"the last line\n")
    volume.fill()


def length(volume: Volume) -> int:
    return os.stat(volume.path(LOG)).st_size


def test_an_appended_log_is_emptied_and_its_end_is_kept(volume: Volume) -> None:
    put(volume)
    record = Record()
    with volume.running(APPEND, LOG) as pid:
        result = reclaim(volume, WISH, record)
        assert (result.outcome, length(volume)) == (Outcome.CHANGED, 0)
        assert record.acts == [f"empty {LOG}, 40.0 MiB, which sh (pid {pid}) keeps open"]
        assert record.kept[0].endswith(b"the last line\n")
        assert b"41943040 bytes" in record.kept[0]
        assert "open logs" in result.message
        assert reclaim(volume, WISH).outcome is Outcome.OK
        with open(f"/proc/{pid}/fd/0", "wb", buffering=0) as stdin:
            stdin.write(b"goes on\n")
        volume.inside("sh", "-c", 'until [ -s "$1" ]; do :; done', "sh", LOG)
    assert length(volume) == len("goes on\n"), "an appending writer goes on at the new end"


@pytest.mark.parametrize("script", [OVERWRITE, 'exec 4>>"$1"; ' + OVERWRITE])
def test_a_log_with_a_writer_that_does_not_append_stays(volume: Volume, script: str) -> None:
    put(volume)
    with volume.running(script, LOG):
        result = reclaim(volume, WISH)
    assert (result.outcome, length(volume)) == (Outcome.FAILED, 40 * MIB)
    assert any("does not append" in line for line in result.evidence[-1].lines)


def test_a_log_that_nobody_writes_stays(volume: Volume) -> None:
    put(volume)
    with volume.running('exec 3<"$1"; echo ready; read -r _', LOG):
        result = reclaim(volume, WISH)
    assert (result.outcome, length(volume)) == (Outcome.FAILED, 40 * MIB)
    assert any("nobody has it open for writing" in line for line in result.evidence[-1].lines)


def test_a_mapped_log_stays(volume: Volume) -> None:
    put(volume)
    code = (
        "import mmap, sys; f = open(sys.argv[1], 'a+b'); m = mmap.mmap(f.fileno(), 0); print('ready', flush=True); input()"
    )
    with volume.running(PYTHON, code, LOG, sys.executable):
        result = reclaim(volume, WISH)
    assert (result.outcome, length(volume)) == (Outcome.FAILED, 40 * MIB)
    assert any("mapped" in line for line in result.evidence[-1].lines)


def test_a_log_with_two_names_stays(volume: Volume) -> None:
    put(volume)
    os.link(volume.path(LOG), volume.path("/var/lib/data"))
    with volume.running(APPEND, LOG):
        result = reclaim(volume, WISH)
    assert (result.outcome, length(volume)) == (Outcome.FAILED, 40 * MIB)


@pytest.mark.parametrize("where", ["the log", "its directory"])
def test_a_log_that_is_a_link_stays(volume: Volume, where: str) -> None:
    put(volume)
    volume.inside("sh", "-c", "mkdir /var/lib/canary && mv /var/log/app/api.log /var/lib/canary/api.log")
    link = "/var/log/app/api.log" if where == "the log" else "/var/log/app"
    target = "/var/lib/canary/api.log" if where == "the log" else "/var/lib/canary"
    volume.inside("sh", "-c", 'rmdir "$2" 2>/dev/null; ln -s "$1" "$2"', "sh", target, link)
    before = volume.tree("/var/lib/canary")
    with volume.running(APPEND, "/var/lib/canary/api.log"):
        result = reclaim(volume, WISH)
    assert result.outcome is Outcome.FAILED
    assert volume.tree("/var/lib/canary") == before


@pytest.mark.parametrize("swap", ["link", "other file"])
def test_what_is_planted_between_look_and_act_is_not_touched(volume: Volume, swap: str) -> None:
    put(volume)
    volume.put("/var/lib/canary", 8192)
    before = volume.tree("/var/lib/canary")
    reconciler = make(Record(), WISH)
    with volume.running(APPEND, LOG):
        action = survey(reconciler, volume)
        assert isinstance(action, Action)
        os.rename(volume.path(LOG), volume.path("/var/log/app/moved"))
        if swap == "link":
            os.symlink("/var/lib/canary", volume.path(LOG))
        else:
            os.rename(volume.path("/var/lib/canary"), volume.path(LOG))
        volume.run(action.command)
        planted = volume.tree("/var/lib/canary" if swap == "link" else LOG)
    assert list(planted.values()) == list(before.values())


@pytest.mark.parametrize("change", ["writer", "gone", "reused"])
def test_what_changed_between_look_and_act_stops_it(volume: Volume, change: str) -> None:
    put(volume)
    volume.put("/var/log/app/other.log", 8192)
    with volume.running(APPEND, LOG):
        action = survey(make(Record(), WISH), volume)
        assert isinstance(action, Action)
        if change == "writer":
            with volume.running(OVERWRITE, LOG):
                assert volume.run(action.command).status == 75
    if change == "gone":
        assert volume.run(action.command).status == 75
    if change == "reused":
        with volume.running(APPEND, LOG), volume.running(APPEND, "/var/log/app/other.log") as pid:
            path, device, inode, pattern, _, fd = action.command.args
            wrong = action.command.__class__(action.command.script, (path, device, inode, pattern, str(pid), fd))
            assert volume.run(wrong).status == 75
    assert length(volume) == 40 * MIB
    assert os.stat(volume.path("/var/log/app/other.log")).st_size == 8192


def test_a_log_is_emptied_once_in_a_run(volume: Volume, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its writer fills it again: that must be stopped, not chased."""
    put(volume)
    record, run = Record(), volume.run

    def refilled(command: Command) -> CommandResult:
        result = run(command)
        if command.script == EMPTY:
            volume.put(LOG, 30 * MIB)
        return result

    monkeypatch.setattr(volume, "run", refilled)
    with volume.running(APPEND, LOG):
        result = reclaim(volume, {**WISH, "below": 1}, record)
    assert result.outcome is Outcome.FAILED
    assert len(record.acts) == 1
    assert any("this run has emptied it once already" in line for line in result.evidence[-1].lines)


def test_deleted_but_open_files_are_named_with_their_holders(volume: Volume) -> None:
    put(volume)
    with volume.running('exec 3<"$1" 4<"$1"; rm -- "$1"; echo ready; read -r _', LOG) as pid:
        result = reclaim(volume, {"path": "/var"})
    assert result.outcome is Outcome.FAILED
    assert f"40.0 MiB in deleted files that are still open: 40.0 MiB {LOG} by sh (pid {pid})" in result.message
    assert f"sh (pid {pid})" in result.hint
    held = next(evidence for evidence in result.evidence if evidence.name == "deleted files that are still open")
    assert len(held.lines) == 2


@pytest.mark.parametrize(
    ("cgroup", "holder", "hint"),
    [
        ("0::/system.slice/api.service", "api.service", "--unit api.service --force --hosts web1"),
        ("0::/system.slice/system-api.slice/api@1.service/sub", "api@1.service", "--unit api@1.service --force"),
        ("12:pids:/system.slice/api.service\n1:name=systemd:/system.slice/api.service", "api.service", "--unit api.service"),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/a.service", "sh", "end or restart sh"),
        ("0::/machine.slice/libpod-0123.scope", "sh", "end or restart sh"),
    ],
)
def test_the_holder_is_named_by_its_service(volume: Volume, cgroup: str, holder: str, hint: str) -> None:
    put(volume)
    with volume.running('exec 3<"$1"; rm -- "$1"; echo ready; read -r _', LOG) as pid:
        script = 'printf "%b\\n" "$1" >/srv/cgroup && mount --bind /srv/cgroup "/proc/$2/cgroup"'
        volume.inside("sh", "-c", script, "sh", cgroup, str(pid))
        result = reclaim(volume, {"path": "/var"})
    assert f"by {holder} (pid {pid})" in result.message
    assert hint in result.hint


def test_the_largest_log_is_proposed_to_be_emptied(volume: Volume) -> None:
    put(volume)
    result = reclaim(volume, {"path": "/var"})
    assert result.hint == f"inv recover.disk-space --path /var --truncate-open {LOG} --hosts web1"


def test_the_device_of_a_deleted_file_elsewhere_is_not_ours(volume: Volume, tmp_path: Path) -> None:
    put(volume)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(bytes(8 * MIB))
    with volume.running('exec 3<"$1"; rm -- "$1"; echo ready; read -r _', str(elsewhere)):
        result = reclaim(volume, {"path": "/var"})
    assert "deleted files" not in result.message
