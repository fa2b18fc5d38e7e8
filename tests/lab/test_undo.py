"""Undo on real hosts, by real processes: failure, cancel as CI systems do it, kill -9, and what is owed afterwards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from crashcart.lab.lab import Lab
from tests.lab.flags import FLAG, SLEEPER
from tests.lab.hosts import Host, eventually

pytestmark = pytest.mark.lab

CHECKOUT = Path(__file__).resolve().parents[2]
CI_KILLS_AFTER = 7.0
"""Seconds: GitHub Actions kills 7.5 s after SIGINT, GitLab and others 10 s after SIGTERM."""


class Flags:
    """Runs ``recover.flag`` and ``runs.*`` on lab1, with a state folder of its own."""

    def __init__(self, host: Host, state: Path) -> None:
        self.host, self.state = host, state

    def start(self, *words: str) -> subprocess.Popen[str]:
        environment = {**os.environ, "CRASHCART_STATE": str(self.state), "PYTHONPATH": str(CHECKOUT)}
        return subprocess.Popen(
            [sys.executable, "-m", "tests.lab.flags", *words],
            cwd=CHECKOUT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def recover(self, *words: str) -> subprocess.Popen[str]:
        return self.start("recover.flag", "--hosts", "lab1", *words)

    def __call__(self, *words: str) -> tuple[int, Any]:
        process = self.start(*words, "--output", "json")
        out, err = process.communicate(timeout=120)
        assert out, err
        return process.returncode, json.loads(out)

    def is_up(self) -> bool:
        return self.host.ssh(f"test -e {FLAG}").returncode == 0

    def has_acted(self, result: str = "act.result") -> bool:
        paths = sorted(self.state.glob("runs/[0-9]*/events.jsonl"))
        return bool(paths) and f'"{result}"' in paths[-1].read_text()


@pytest.fixture
def flags(hosts: dict[str, Host], tmp_path: Path, lab: Lab) -> Flags:
    hosts["lab1"].say(f"sudo rm -rf {FLAG} {SLEEPER} /run/crashcart")
    return Flags(hosts["lab1"], tmp_path / "state")


def steps(document: Any) -> dict[str, str]:
    return {step["name"]: step["outcome"] for step in document["targets"][0]["steps"]}


def test_a_failed_run_is_taken_back(flags: Flags) -> None:
    code, document = flags("recover.flag", "--hosts", "lab1", "--after", "fail")
    assert code == 1
    assert steps(document) == {"flag.raise": "failed", "undo flag.raise": "changed"}
    assert document["targets"][0]["steps"][1]["phase"] == "undo"
    assert not flags.is_up()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_cancelled_job_is_taken_back_in_time(flags: Flags, number: signal.Signals) -> None:
    process = flags.recover("--after", "wait")
    assert eventually(flags.has_acted)
    process.send_signal(number)
    began = time.monotonic()
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert time.monotonic() - began < CI_KILLS_AFTER
    assert not flags.is_up()
    assert flags("runs.verify", "last")[0] == 0


def test_what_a_cancelled_job_cannot_take_back_in_time_is_owed(flags: Flags) -> None:
    """The undo hangs on the host: the process still ends by itself before CI would kill it, and says what is owed."""
    process = flags.recover("--after", "wait", "--lower", "hang")
    assert eventually(flags.has_acted)
    process.terminate()
    began = time.monotonic()
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert time.monotonic() - began < CI_KILLS_AFTER
    last = out.strip().splitlines()[-2:]
    assert last[0].startswith("UNDO OWED"), out
    assert "runs.undo" in last[0]
    assert last[1].startswith("journal")
    assert flags("runs.verify", "last")[0] == 0
    assert flags.is_up()


def test_what_an_interrupted_act_ran_is_dead(flags: Flags) -> None:
    process = flags.recover("--after", "hang")
    assert eventually(lambda: flags.host.ssh(f"test -s {SLEEPER}").returncode == 0)
    pid = flags.host.say(f"cat {SLEEPER}")
    assert flags.host.ssh(f"test -d /proc/{pid}").returncode == 0
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert flags.host.ssh(f"test -d /proc/{pid}").returncode == 1
    assert not flags.is_up()


def test_an_interrupt_of_a_hanging_undo_is_cut_by_a_second_one(flags: Flags) -> None:
    process = flags.recover("--after", "fail", "--lower", "hang")
    assert eventually(lambda: flags.has_acted("undo.begun"))
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert flags("runs.verify", "last")[0] == 0


def test_after_kill_9_the_next_run_takes_back_first(flags: Flags) -> None:
    process = flags.recover("--after", "wait")
    assert eventually(flags.has_acted)
    process.kill()
    process.communicate()
    assert flags.is_up()
    flags.host.say("sudo rm -rf /run/crashcart")
    code, document = flags("recover.flag", "--hosts", "lab1")
    assert code == 0
    assert list(steps(document).values()) == ["changed", "changed"], "lowered, then raised anew"
    assert steps(flags("recover.flag", "--hosts", "lab1")[1]) == {"flag.raise": "ok"}, "it is owed once only"


def test_a_finished_run_is_taken_back_by_command_and_only_once(flags: Flags) -> None:
    assert flags("recover.flag", "--hosts", "lab1")[0] == 0
    first = flags.state / "runs"
    (run,) = [path.name for path in first.iterdir() if path.is_dir()]
    assert flags.is_up()
    code, document = flags("runs.undo", run, "--check")
    assert (code, document["summary"]["would_change"]) == (0, 1)
    code, document = flags("runs.undo", run)
    assert (code, document["summary"]["changed"]) == (0, 1)
    assert not flags.is_up()
    code, document = flags("runs.undo", run)
    assert (code, document["summary"]["ok"]) == (0, 1)


@pytest.mark.parametrize("event", ["act.intended", "act.result", "undo.begun"])
def test_killed_at_an_undo_and_resumed(flags: Flags, event: str) -> None:
    """Whatever was journaled when the controller died, resume ends with the flag down, or up where nothing failed yet."""
    process = flags.recover("--after", "fail")
    eventually(lambda: flags.has_acted(event))
    process.kill()
    process.communicate()
    flags("runs.resume", "last")
    assert eventually(lambda: not flags.is_up())
    assert flags("runs.verify", "last")[0] == 0
