"""A drill that is killed: what it broke is noted, nothing more is broken on top, and drill.restore puts it back."""

from __future__ import annotations

import json
import re

import pytest

from crashcart.lab.lab import Lab
from tests.lab.hosts import Host, eventually
from tests.lab.test_playbooks import Runs, runs

__all__ = ["runs"]

pytestmark = pytest.mark.lab


def test_killed_in_the_middle_and_restored(runs: Runs, hosts: dict[str, Host]) -> None:
    host = hosts["lab1"]
    drill = runs.start("drill.service-restart", "--hosts", "lab1", "--variant", "crash")
    assert eventually(lambda: not host.health().endswith("200"), within=30)
    drill.kill()
    drill.communicate()
    code, document = runs("drill.service-restart", "--hosts", "lab1", "--variant", "crash")
    assert code == 3
    assert "was not put back: drill.service-restart (crash) on lab1" in document["run"]["message"], json.dumps(document)
    code, document = runs("drill.restore")
    assert (code, [one["variant"] for one in document["restored"]]) == (0, ["crash"])
    assert host.health() == "ok 200"
    assert runs("drill.restore") == (0, {"schema": 1, "restored": []})


def test_interrupted_it_puts_back_what_it_broke(runs: Runs, hosts: dict[str, Host], lab: Lab) -> None:
    host = hosts["lab1"]
    drill = runs.start("drill.service-restart", "--hosts", "lab1", "--variant", "hang")
    assert eventually(lambda: runs.has_begun("act.intended"), within=60)
    drill.terminate()
    drill.communicate(timeout=60)
    assert drill.returncode == 130
    assert host.health() == "ok 200"
    assert runs("drill.restore")[1]["restored"] == []


def test_all_drills_interrupted_in_the_second_fault_stamp_nothing(runs: Runs, lab: Lab) -> None:
    every = runs.start("drill.all", "--hosts", "lab", "--yes")
    assert eventually(lambda: list(runs.state.glob("drills/underway/*-ambiguous.json")), within=120)
    every.terminate()
    told, _ = every.communicate(timeout=60)
    assert every.returncode == 130
    (kept,) = runs.state.glob("drills/*.json")
    assert [fault["variant"] for fault in json.loads(kept.read_text())["variants"]] == ["clean"]
    assert re.search(r"1 of (\d+) faults passed, \d+ not rehearsed", told), told
    assert not (runs.state / "stamps.json").exists()
    assert "1 of " in (badge := (runs.state / "drills/badge.svg").read_text())
    assert "never rehearsed" in badge
    assert runs("drill.restore")[1]["restored"] == [], told
