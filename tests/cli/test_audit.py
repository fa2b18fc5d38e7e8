"""The audit through the real ``inv``: past runs are listed, shown and verified; an edited one is named with its line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Inv

PARTS = {"id", "started", "playbook", "mode", "status", "selection", "actor", "reason"}


@pytest.fixture
def ran(inv: Inv) -> Inv:
    """One run that only looked, and found nobody: hosts on a port where nothing listens."""
    assert inv("check.disk", "--hosts", "web", "--reason", "INC-7: disk alert").returncode == 4
    return inv


def journal_of(inv: Inv) -> Path:
    (journal,) = (inv.folder / "state/runs").glob("[0-9]*/events.jsonl")
    return journal


def test_no_runs_is_said(inv: Inv) -> None:
    done = inv("runs.list")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"no runs in {inv.folder / 'state/runs'}" in done.stdout
    assert inv.json("runs.list") == (0, {"schema": 1, "runs": []})


def test_list_as_text_and_json(ran: Inv) -> None:
    run = journal_of(ran).parent.name
    line = ran("runs.list").stdout
    for word in (run, "unreachable", "check.disk", "web"):
        assert word in line
    code, document = ran.json("runs.list")
    (listed,) = document["runs"]
    assert code == 0
    assert set(listed) >= PARTS
    assert (listed["id"], listed["status"], listed["reason"]) == (run, "unreachable", "INC-7: disk alert")


@pytest.mark.parametrize("name", ["last", "id", "journal", "folder"])
def test_show_finds_a_run_by_any_of_its_names(ran: Inv, name: str) -> None:
    journal = journal_of(ran)
    word = {"last": "last", "id": journal.parent.name, "journal": str(journal), "folder": str(journal.parent)}[name]
    done = ran("runs.show", word)
    assert done.returncode == 0
    assert journal.parent.name in done.stdout
    assert "web1: unreachable" in done.stdout


def test_show_as_json_is_the_document_of_the_run_itself(inv: Inv) -> None:
    _, at_its_end = inv.json("check.disk", "--hosts", "web")
    code, later = inv.json("runs.show", "last")
    assert (code, later) == (0, at_its_end)


def test_an_intact_run_is_verified_by_the_hash_that_was_printed(inv: Inv) -> None:
    printed = inv("check.disk", "--hosts", "web").stdout.split()[-1]
    done = inv("runs.verify", "last")
    assert done.returncode == 0
    assert done.stdout.startswith("intact")
    assert printed in done.stdout
    code, document = inv.json("runs.verify", "last")
    assert (code, document["exit_code"]) == (0, 0)
    assert printed in document["message"]


EDITS = {
    "changed": lambda lines: [*lines[:2], lines[2].replace(b"web", b"bew"), *lines[3:]],
    "removed": lambda lines: lines[:2] + lines[3:],
    "reordered": lambda lines: [*lines[:2], lines[3], lines[2], *lines[4:]],
    "doubled": lambda lines: [*lines[:3], lines[2], *lines[3:]],
    "cut short": lambda lines: [*lines[:2], lines[2][:30] + b"\n", *lines[3:]],
    "without its end": lambda lines: lines[:3],
    "with another end": lambda lines: [*lines[:-1], lines[-1].replace(b'"exit_code":4', b'"exit_code":0')],
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_journal_is_named_with_its_line(ran: Inv, edit: str) -> None:
    journal = journal_of(ran)
    lines = journal.read_bytes().splitlines(keepends=True)
    edited = EDITS[edit](lines)  # type: ignore[no-untyped-call]
    assert edited != lines
    journal.write_bytes(b"".join(edited))
    done = ran("runs.verify", "last")
    near = (len(lines),) if edit == "with another end" else (3, 4)
    assert done.returncode == 1, done.stdout
    assert done.stdout.startswith("altered")
    assert any(f"{journal}:{number}:" in done.stdout for number in near), done.stdout
    code, document = ran.json("runs.verify", "last")
    assert (code, document["exit_code"]) == (1, 1)
    assert document["message"] == done.stdout.strip()


def test_an_edited_journal_is_not_resumed_or_shown_but_listed(ran: Inv) -> None:
    journal = journal_of(ran)
    journal.write_bytes(journal.read_bytes().replace(b"INC-7", b"INC-8", 1))
    for command in ("runs.show", "runs.resume", "runs.undo"):
        done = ran(command, "last")
        assert done.returncode == 3, done.stderr
        assert f"{journal}:2:" in done.stderr
        assert "Traceback" not in done.stderr
    assert "unreadable" in ran("runs.list").stdout


@pytest.mark.parametrize("torn", [b"", b'{"time":"20'])
def test_a_killed_run_is_unfinished(ran: Inv, torn: bytes) -> None:
    journal = journal_of(ran)
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:-1]) + torn)
    (journal.parent.parent / "index.jsonl").unlink()  # a run that was killed never came into it
    done = ran("runs.verify", "last")
    assert done.returncode == 5
    assert done.stdout.startswith(f"unfinished: {len(lines) - 1} lines")
    assert "unfinished" in ran("runs.list").stdout
    shown = ran("runs.show", "last")
    assert (shown.returncode, "runs.resume" in shown.stdout) == (0, True)


def test_a_killed_run_goes_on_and_is_then_intact(ran: Inv) -> None:
    journal = journal_of(ran)
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:2]) + b'{"time":"20')
    (journal.parent.parent / "index.jsonl").unlink()
    assert ran("runs.resume", "last").returncode == 4
    assert ran("runs.verify", "last").returncode == 0
    assert "run.resumed" in journal.read_text()


def test_an_edited_index_is_named_with_its_line(ran: Inv) -> None:
    ran("check.disk", "--hosts", "web1")
    index = ran.folder / "state/runs/index.jsonl"
    first, second = index.read_bytes().splitlines(keepends=True)
    record = json.loads(first)
    index.write_bytes(first.replace(record["hash"][:8].encode(), b"00000000") + second)
    done = ran("runs.verify", "last")
    assert done.returncode == 1
    assert f"{index}:2:" in done.stdout


@pytest.mark.parametrize("command", ["runs.show", "runs.verify"])
def test_a_run_that_is_not_there_is_bad_input(inv: Inv, command: str) -> None:
    done = inv(command, "nothing")
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no run 'nothing'" in done.stderr
