"""The shared lock from the command line: several laptops, one table, one Auto Scaling group."""

from __future__ import annotations

import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from crashcart.clock import FakeClock, SystemClock
from crashcart.errors import Refused
from crashcart.lab.aws.account import KEYS
from tests.aws.beside.sharing import LOCK, Laptop, make_table
from tests.aws.beside.whole import GROUP, SCALE, Controller, locking
from tests.emulator import Emulator

SHARED = [*SCALE, "--at-least", "3"]
NOTHING_TO_DO = [*SCALE, "--at-least", "1"]


@pytest.fixture
def emulator(emulator_process: Emulator) -> Emulator:
    emulator_process.reset("compute")
    emulator_process.durations(asg_launch=0.1, elbv2_registration=0.0, elbv2_first_checks=0.0)
    make_table(emulator_process)
    emulator_process.forget_requests()
    return emulator_process


def kinds(controller: Controller) -> list[str]:
    return [event["event"] for event in controller.events()]


def writes(emulator: Emulator, service: str) -> list[str]:
    return [request["action"] for request in emulator.writes() if request["service"] == service]


def test_a_run_takes_it_says_so_and_gives_it_back(emulator: Emulator, items: Any, tmp_path: Path) -> None:
    ana = locking(tmp_path, emulator, "ana")
    done = ana(*SHARED)
    assert done.returncode == 0, done.stdout + done.stderr
    assert kinds(ana)[:2] == ["run.started", "lock.taken"]
    assert kinds(ana)[-1] == "run.finished"
    assert items() == {}
    assert ana("runs.verify", "last").returncode == 0


def test_hosts_have_it_too(emulator: Emulator, items: Any, tmp_path: Path) -> None:
    nobody = {"kind": "linux", "ansible_host": "127.0.0.1", "ansible_port": "1", "unit": "api"}
    ana = locking(tmp_path, emulator, "ana", **nobody)
    host = [emulator.target("linux", GROUP, lock=LOCK, ansible_host="127.0.0.1", ansible_port=1)]
    with Laptop("ben", SystemClock()).holding("run-b", host):
        done = ana("recover.service-restart", "--hosts", GROUP, "--yes")
        assert done.returncode == 3, done.stderr
        assert f"{GROUP} is held by ben" in done.stderr
    assert ana("recover.service-restart", "--hosts", GROUP, "--yes").returncode == 4
    assert kinds(ana)[:2] == ["run.started", "lock.taken"]
    assert items() == {}


def test_check_mode_and_looking_ask_no_table(emulator: Emulator, tmp_path: Path) -> None:
    ana = locking(tmp_path, emulator, "ana")
    assert ana(*SHARED, "--check").returncode == 0
    assert ana("check.asg", "--hosts", GROUP).returncode == 0
    assert [request for request in emulator.requests() if request["service"] == "dynamodb"] == []


def test_kill_9_then_others_are_kept_out_and_resume_comes_in_again(emulator: Emulator, items: Any, tmp_path: Path) -> None:
    ana, ben = locking(tmp_path, emulator, "ana"), locking(tmp_path, emulator, "ben")
    assert ana.spoiled("kill-3", *SHARED, "--reason", f"INC-7 with {KEYS[1]}").returncode == -9
    run = ana.journal().parent.name
    assert items()[f"run/{run}"]["reason"] == "INC-7 with ***"
    then = datetime.fromtimestamp(float(items()[f"run/{run}"]["until"]) - 0.5, UTC)
    with pytest.raises(Refused, match=f"{GROUP} is held by ana"):
        Laptop("ben", FakeClock(then)).lock("run-b", [emulator.target("autoscaling_group", GROUP, lock=LOCK)])._take()
    assert ana("runs.resume", "last").returncode == 0
    assert kinds(ana).count("lock.taken") == 2
    assert "lock.taken_over" not in kinds(ana)
    assert items() == {}
    assert writes(emulator, "autoscaling") == ["SetDesiredCapacity"]
    assert ben(*SHARED).returncode == 0
    assert writes(emulator, "autoscaling") == ["SetDesiredCapacity"]


def test_a_dead_laptop_is_taken_over_and_that_is_journaled(emulator: Emulator, items: Any, tmp_path: Path) -> None:
    ana, ben = locking(tmp_path, emulator, "ana"), locking(tmp_path, emulator, "ben")
    assert ana.spoiled("kill-3", *NOTHING_TO_DO).returncode == -9
    done = ben.spoiled("short", *NOTHING_TO_DO)
    while "is held by ana" in done.stderr:  # until 1.5 s are over
        assert done.returncode == 3
        done = ben.spoiled("short", *NOTHING_TO_DO)
    assert done.returncode == 0, done.stderr
    assert "watching for 2 s" in done.stderr
    (over,) = [event for event in ben.events() if event["event"] == "lock.taken_over"]
    assert "lock taken over from" in ben("runs.show", "last").stdout
    assert (over["holder"], over["actor"], over["targets"]) == (ana.journal().parent.name, "ana", [GROUP])
    assert items() == {}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_watching_a_dead_run_can_be_interrupted(emulator: Emulator, items: Any, tmp_path: Path, number: int) -> None:
    ben = locking(tmp_path, emulator, "ben")
    run = "run-a"
    past = Laptop("ana", FakeClock(datetime(2020, 1, 1, tzinfo=UTC)))
    past.die_with(run, [emulator.target("autoscaling_group", GROUP, lock=LOCK)])
    with ben.started(*NOTHING_TO_DO) as process:
        assert process.stderr
        assert "watching for 66 s" in process.stderr.readline()
        process.send_signal(number)
        assert process.wait(20) == 130
    assert {item.get("run") for item in items().values()} == {run}
    assert not (ben.state / "runs").exists()


def test_a_lost_lock_stops_the_acts(emulator: Emulator, items: Any, tmp_path: Path) -> None:
    ana = locking(tmp_path, emulator, "ana")
    ana.environment["EMULATOR"] = emulator.url
    done = ana.spoiled("rob", *SHARED)
    assert done.returncode == 3, done.stdout + done.stderr
    assert "is lost: it was taken over, or given up elsewhere" in done.stdout
    assert writes(emulator, "autoscaling") == []
    assert "lock.lost" in kinds(ana)
    assert items() == {}


def test_a_table_that_cannot_be_asked_refuses_and_break_glass_passes(emulator: Emulator, tmp_path: Path) -> None:
    ana = Controller(tmp_path, emulator, "ana", lock="dynamodb://nowhere")
    code, document = ana.json(*SHARED)
    assert (code, document["run"]["status"], document["targets"]) == (3, "refused", [])
    assert "dynamodb://nowhere?region=us-east-1 cannot be asked" in document["run"]["message"]
    assert not (ana.state / "runs").exists()
    assert writes(emulator, "autoscaling") == []
    done = ana(*NOTHING_TO_DO, "--break-glass", "--reason", "INC-9")
    assert done.returncode == 0, done.stdout + done.stderr
    (missing,) = [event for event in ana.events() if event["event"] == "lock.missing"]
    assert missing["targets"] == [GROUP]


def test_a_lock_that_is_none_is_bad_input_before_anything_is_contacted(emulator: Emulator, tmp_path: Path) -> None:
    ana = Controller(tmp_path, emulator, "ana", lock="dynamo://locks")
    emulator.forget_requests()
    done = ana(*SHARED)
    assert done.returncode == 2, done.stderr
    assert "dynamo://locks' does not begin with dynamodb://" in done.stderr
    assert emulator.requests() == []
    assert not (ana.state / "runs").exists()
