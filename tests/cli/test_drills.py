"""The schedule of drills as cron and a CI job take it, and what drill.restore says while the lab is down."""

from __future__ import annotations

import shlex
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from crashcart.cli.drillschedule import cron_command, running_program
from crashcart.drills.underway import Underway
from tests.cli.conftest import CHECKOUT, INV, Inv

CRASHCART = INV.with_name("crashcart")
ENTRY, DRILL = "0 6 * * 1  ", "drill.all --hosts lab --yes"


def scheduled(inv: Inv, program: Path, folder: Path) -> tuple[str, Any]:
    """What is printed: the command of the crontab, and the CI job's workflow."""
    words = [str(program), "drill.schedule"]
    done = subprocess.run(words, cwd=folder, env=inv.environment, capture_output=True, text=True, timeout=60, check=True)
    cron, _, job = done.stdout.partition("\n\n")
    (entry,) = (line for line in cron.splitlines() if not line.startswith("#"))
    assert entry.startswith(ENTRY)
    return entry.removeprefix(ENTRY).replace("\\%", "%"), yaml.safe_load(job)


def as_cron(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command where cron would: a bare environment, in a home folder."""
    words = ["env", "-i", "PATH=/usr/bin:/bin", f"HOME={folder}", "sh", "-c", command]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("program", "place"),
    [(INV, "checkout"), (CRASHCART, "checkout"), (CRASHCART, "elsewhere")],
    ids=["inv", "crashcart", "crashcart elsewhere"],
)
def test_the_crontab_s_command_is_found_and_understood_by_cron(inv: Inv, tmp_path: Path, program: Path, place: str) -> None:
    command, workflow = scheduled(inv, program, CHECKOUT if place == "checkout" else tmp_path)
    assert command.endswith(f" {program} {DRILL}")
    assert command.startswith(f"cd {CHECKOUT} && ") is (place == "checkout")
    told = as_cron(command.replace(DRILL, "--help drill.all"), tmp_path)
    assert (told.returncode, told.stderr) == (0, "")
    assert "--stamp" in told.stdout
    steps = [step["run"] for step in workflow["jobs"]["drills"]["steps"] if "run" in step]
    assert steps[-1] == f".venv/bin/{program.name} {DRILL}"


def test_the_scores_go_where_they_are_kept_here(inv: Inv) -> None:
    command, _ = scheduled(inv, INV, CHECKOUT)
    assert f"CRASHCART_STATE={inv.environment['CRASHCART_STATE']} " in command
    assert f"XDG_DATA_HOME={inv.environment['XDG_DATA_HOME']} " in command


def test_a_job_takes_up_the_scores_so_far_and_leaves_what_is_under_way(inv: Inv) -> None:
    _, workflow = scheduled(inv, INV, CHECKOUT)
    job = workflow["jobs"]["drills"]
    names = [step.get("name", step.get("uses", step.get("run", "")))[:20] for step in job["steps"]]
    assert names.index("take up the scores s") < names.index(".venv/bin/inv drill.")
    (upload,) = (step for step in job["steps"] if step.get("if") == "always()")
    (download,) = (step["run"] for step in job["steps"] if "gh run download" in step.get("run", ""))
    assert f"--name {upload['with']['name']} --dir {job['env']['CRASHCART_STATE']}" in download
    # A note of what is broken would be one of a lab that is gone: it has no dot in its folder's name.
    assert upload["with"]["path"].split() == ["state/drills/*.*", "state/stamps.json"]
    assert workflow["permissions"] == {"contents": "read", "actions": "read"}


def test_paths_are_quoted_and_links_stay_what_they_are(tmp_path: Path) -> None:
    folder = tmp_path / "a folder; of mine"
    folder.mkdir()
    (folder / "inv").symlink_to(INV)
    program = running_program(str(folder / "inv"), Path(sys.executable))
    assert program == folder / "inv"
    words = shlex.split(cron_command(program, folder, {"CRASHCART_LAB": "x", "CRASHCART_STATE": "state"}))
    assert words[:3] == ["cd", str(folder), "&&"]
    assert words[4:7] == ["CRASHCART_LAB=x", f"CRASHCART_STATE={Path.cwd()}/state", str(program)]


@pytest.mark.parametrize(
    ("called", "name"),
    [("crashcart", "crashcart"), ("/x/site-packages/invoke/__main__.py", "inv"), ("/nowhere/inv", "inv")],
)
def test_a_program_that_is_not_where_it_was_called_is_beside_its_interpreter(
    called: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert running_program(called, Path(sys.executable)) == Path(sys.executable).with_name(name)


def test_what_a_drill_broke_in_a_lab_that_is_down_waits_for_it(inv: Inv) -> None:
    underway = Underway("drill.service-restart", "crash", ("lab1",), datetime(2030, 1, 31, tzinfo=UTC), in_lab=True)
    notes = inv.folder / "state/drills/underway"
    notes.mkdir(parents=True)
    (notes / "one.json").write_bytes(msgspec.json.encode(underway))
    done = inv("drill.restore", CRASHCART_LAB="crashcart-nobody")
    assert done.returncode == 1
    assert "lab 'crashcart-nobody' is down (inv lab.up first, then inv drill.restore)" in done.stdout
    assert list(notes.iterdir())
