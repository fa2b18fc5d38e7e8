"""Notes of what is broken: there while a drill goes on, and after one that was killed."""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime
from pathlib import Path

import pytest

from crashcart.drills.underway import Notes, Underway
from crashcart.errors import BadInput

ONE = Underway("drill.x", "clean", ("lab1", "lab2"), datetime(2030, 1, 31, 3, 0, tzinfo=UTC), "hosts.yml")


def test_a_note_goes_with_its_drill_also_when_that_fails(tmp_path: Path) -> None:
    notes = Notes(tmp_path)

    def fail() -> None:
        with notes.noted(ONE):
            assert (notes.going_on(), notes.left()) == ([ONE], [])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert (notes.going_on(), notes.left()) == ([], [])


def test_what_could_not_be_put_back_stays_noted(tmp_path: Path) -> None:
    notes = Notes(tmp_path)
    with notes.noted(ONE) as note:
        note.keep()
    ((path, left),) = notes.left()
    assert left == ONE
    notes.drop(path)
    assert notes.left() == []


def test_the_note_of_a_killed_process_is_left(tmp_path: Path) -> None:
    notes = Notes(tmp_path)
    child = os.fork()
    if child == 0:
        with notes.noted(ONE):
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert [underway for _, underway in notes.left()] == [ONE]
    assert notes.going_on() == []


def test_a_note_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "20300131-clean.json").write_text("{")
    with pytest.raises(BadInput, match="no note of a drill"):
        Notes(tmp_path).left()
