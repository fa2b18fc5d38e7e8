"""The archived journal files that ``disk.reclaim`` takes: by their last entry, the oldest first (defect 10)."""

from __future__ import annotations

import os
import shutil
import struct
import time

import pytest

from crashcart.operations.base import Action
from crashcart.results import Outcome
from tests.disk.driving import Record, make, reclaim, survey
from tests.disk.volume import DAY, Volume

MIB = 1 << 20
MACHINE = "/var/log/journal/0123456789abcdef0123456789abcdef"
WISH = {"path": "/var", "below": 1, "journal_keep": "4M", "incident_window": "24h"}

pytestmark = pytest.mark.skipif(not shutil.which("journalctl"), reason="needs journalctl, to read journal files")


def header(last: float, size: int) -> bytes:
    """The header of an archived journal file with one entry at that time; its size and the rest are empty."""
    ids, microseconds = bytes(range(16)) * 4, int(last * 1e6)
    numbers = (264, size - 264, 0, 0, 0, 0, 0, 0, 1, 1, 1, 0, microseconds, microseconds, 0)
    return b"LPKSHHRH" + struct.pack("<II", 0, 0) + b"\2" + bytes(7) + ids + struct.pack("<15Q", *numbers)


def put(volume: Volume, name: str, hours: float, size: int = 2 * MIB) -> None:
    """A journal file whose last entry is so many hours old; its mtime says nothing."""
    path = volume.put(f"{MACHINE}/{name}", size, age=60)
    then = os.stat(path).st_mtime
    with open(path, "r+b") as file:
        file.write(header(time.time() - hours * 3600, size))
    os.utime(path, (then, then))


def archived(number: int, kind: str = "system") -> str:
    return f"{kind}@b83b0f4ed1784771a624fea2441ff5c0-{number:016x}-000660c22f9b7648.journal"


def left(volume: Volume) -> set[str]:
    return {os.fsdecode(name) for name in os.listdir(volume.path(MACHINE))}


def test_oldest_first_until_enough_is_kept(volume: Volume) -> None:
    put(volume, "system.journal", 0)
    for number in range(5):
        put(volume, archived(number), 100 - number)
    record = Record()
    result = reclaim(volume, WISH, record)
    assert left(volume) == {"system.journal", archived(4)}
    assert record.acts == ["delete 4 archived journal files without an entry of the last 24 h in /var/log/journal, 8.0 MiB"]
    assert result.outcome is Outcome.FAILED


def test_entries_of_the_incident_window_stay_whatever_the_mtime(volume: Volume) -> None:
    put(volume, archived(1), 23.9)
    put(volume, archived(2), 24.1)
    put(volume, archived(3, "user-1000"), 0.1)
    reclaim(volume, {**WISH, "journal_keep": 0})
    assert left(volume) == {archived(1), archived(3, "user-1000")}


def test_files_that_systemd_replaced_go_too(volume: Volume) -> None:
    broken = "system@000660c22f9b7649-0123456789abcdef.journal~"
    put(volume, broken, 100)
    reclaim(volume, {**WISH, "journal_keep": 0})
    assert left(volume) == set()


def test_files_in_use_and_files_that_cannot_be_read_stay(volume: Volume) -> None:
    put(volume, "system.journal", 1000)
    put(volume, "user-1000.journal", 1000)
    volume.put(f"{MACHINE}/{archived(1)}", MIB, age=60)
    put(volume, "notes.txt", 1000)
    reclaim(volume, {**WISH, "journal_keep": 0})
    assert left(volume) == {"system.journal", "user-1000.journal", archived(1), "notes.txt"}


def test_a_file_written_since_the_look_stays(volume: Volume) -> None:
    put(volume, archived(1), 100)
    action = survey(make(Record(), {**WISH, "journal_keep": 0}), volume)
    assert isinstance(action, Action)
    path = volume.path(f"{MACHINE}/{archived(1)}")
    os.utime(path, (time.time() + DAY,) * 2)
    assert volume.run(action.command).ok
    assert left(volume) == {archived(1)}


def test_the_journal_is_left_alone_when_only_inodes_are_short(volume: Volume) -> None:
    put(volume, archived(1), 100)
    result = reclaim(volume, {**WISH, "below": 100, "inodes_below": 1, "journal_keep": 0})
    assert result.outcome is Outcome.FAILED
    assert left(volume) == {archived(1)}
