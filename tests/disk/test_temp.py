"""The temporary files that ``disk.reclaim`` takes: a named user's, old, matching, not open (MISSION S0-R7, defect 11)."""

from __future__ import annotations

import os
import sys

import pytest

from crashcart.operations.base import Action
from crashcart.results import Outcome
from tests.disk.driving import Record, make, reclaim, survey
from tests.disk.volume import PYTHON, Volume

WISH = {"path": "/var", "below": 1, "tmp_globs": ["/var/tmp/*"], "tmp_owner": "nobody"}
HOLD = 'exec 3<"$1"; echo ready; read -r _'
NOBODY = 65534


def put(volume: Volume, name: str, age: float = 30, owner: int = NOBODY) -> None:
    path = volume.put(f"/var/tmp/{name}", 4096, age)
    os.chown(path, owner, owner)


def left(volume: Volume) -> set[str]:
    return {os.fsdecode(name) for name in os.listdir(volume.path("/var/tmp"))}


def test_only_old_files_of_that_owner_go(volume: Volume) -> None:
    put(volume, "old")
    put(volume, "young", age=6)
    put(volume, "roots", owner=0)
    put(volume, ".hidden")
    put(volume, "folder/old")
    put(volume, "audit-trail")
    os.mkfifo(volume.path("/var/tmp/pipe"))
    os.chown(volume.path("/var/tmp/pipe"), NOBODY, NOBODY)
    volume.age(volume.path("/var/tmp/pipe"), 30)
    record = Record()
    reclaim(volume, WISH, record)
    assert left(volume) == {"young", "roots", ".hidden", "folder", "audit-trail", "pipe"}
    assert volume.exists("/var/tmp/folder/old")
    assert record.acts == ["delete 1 temporary file of nobody older than 7 d in /var/tmp, 4.0 KiB"]


def test_an_owner_by_number(volume: Volume) -> None:
    put(volume, "old", owner=4711)
    reclaim(volume, {**WISH, "tmp_owner": "4711"})
    assert left(volume) == set()


def test_without_an_owner_nothing_goes_and_the_flag_is_named(volume: Volume) -> None:
    put(volume, "old")
    result = reclaim(volume, {**WISH, "tmp_owner": ""})
    assert left(volume) == {"old"}
    assert "--tmp-owner" in result.message


def test_an_owner_that_the_host_does_not_know(volume: Volume) -> None:
    put(volume, "old")
    result = reclaim(volume, {**WISH, "tmp_owner": "nosuchuser"})
    assert result.outcome is Outcome.FAILED
    assert "temp: the host does not know the owner" in result.evidence[-1].lines
    assert left(volume) == {"old"}


def test_several_globs_in_one_directory(volume: Volume) -> None:
    for name in ("a-1", "b-1", "c-1"):
        put(volume, name)
    record = Record()
    reclaim(volume, {**WISH, "tmp_globs": ["/var/tmp/a-*", "/var/tmp/[ab]-1"]}, record)
    assert left(volume) == {"c-1"}
    assert len(record.acts) == 1


@pytest.mark.parametrize("hold", [HOLD, 'exec 3>>"$1"; echo ready; read -r _'])
def test_open_files_stay(volume: Volume, hold: str) -> None:
    put(volume, "open")
    put(volume, "closed")
    with volume.running(hold, "/var/tmp/open"):
        volume.age(volume.path("/var/tmp/open"), 30)
        result = reclaim(volume, WISH)
        assert left(volume) == {"open"}
    assert any("temp: /var/tmp: 1 that are open" in line for line in result.evidence[-1].lines)
    reclaim(volume, WISH)
    assert left(volume) == set()


def test_mapped_files_stay(volume: Volume) -> None:
    put(volume, "mapped")
    code = "import mmap, sys; f = open(sys.argv[1], 'rb'); m = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ); f.close(); "
    with volume.running(PYTHON, code + "print('ready', flush=True); input()", "/var/tmp/mapped", sys.executable):
        reclaim(volume, WISH)
        assert left(volume) == {"mapped"}


def test_a_file_opened_through_another_path_stays(volume: Volume) -> None:
    """As in a container: the link in /proc does not lead to /var/tmp. Linux before 5.14 cannot tell."""
    put(volume, "open")
    if b"\nino:" not in volume.inside("cat", "/proc/self/fdinfo/0").stdout:
        pytest.skip("this kernel does not name the inodes of open files")
    volume.inside("sh", "-c", "mkdir /var/elsewhere && mount --bind /var/tmp /var/elsewhere")
    with volume.running(HOLD, "/var/elsewhere/open"):
        reclaim(volume, WISH)
        assert left(volume) == {"open"}


def test_a_file_opened_between_look_and_act_stays(volume: Volume) -> None:
    put(volume, "open")
    put(volume, "closed")
    action = survey(make(Record(), WISH), volume)
    assert isinstance(action, Action)
    assert action.summary.startswith("delete 2 temporary files")
    with volume.running(HOLD, "/var/tmp/open"):
        assert volume.run(action.command).ok
    assert left(volume) == {"open"}


def test_where_open_files_cannot_be_told_nothing_goes(volume: Volume) -> None:
    """Nor of packages: without /proc neither locks nor mounts can be told."""
    put(volume, "old")
    volume.put("/var/cache/apt/archives/a.deb", 4096)
    volume.inside("mount", "-t", "tmpfs", "none", "/proc")
    result = reclaim(volume, WISH)
    assert result.outcome is Outcome.FAILED
    assert "left out: packages: it cannot be told what is open" in result.message
    assert left(volume) == {"old"}
    assert volume.exists("/var/cache/apt/archives/a.deb")
