"""``lab.fault-add``, ``lab.fault-list``, ``lab.fault-clear`` against a real emulator."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from invoke import Context, Exit

from crashcart.cli.faults import check_name, fault_tasks, parse_seconds, parse_times
from crashcart.errors import BadInput
from tests.emulator import Emulator

Run = Callable[..., None]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, emulator: Emulator) -> Run:
    """Run a command by name, in a lab whose AWS is the emulator."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.delenv("CRASHCART_LAB", raising=False)
    folder = tmp_path / "crashcart" / "lab"
    folder.mkdir(parents=True)
    (folder / "aws").symlink_to(emulator.state)
    tasks = {task.name: task for task in fault_tasks()}
    flags = ("name", "service", "action", "resource", "times", "seconds", "value")

    def run(command: str, **given: Any) -> None:
        known = dict.fromkeys((*flags, "output") if command == "fault-add" else ("output",))
        tasks[command].body(Context(), **{**known, **given})

    return run


def test_a_fault_is_put_in_shown_and_taken_out(run: Run, emulator: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    run("fault-add", name="aws.throttle", service="rds", times="2", seconds="1m")
    (armed,) = emulator.faults()["armed"]
    assert (armed["name"], armed["service"], armed["left"], armed["seconds"]) == ("aws.throttle", "rds", 2, 60.0)
    run("fault-list")
    shown = capsys.readouterr().out
    assert "aws.throttle  rds  2 more calls, 0 so far" in shown
    assert "disk.full" in shown
    run("fault-clear")
    assert emulator.faults()["armed"] == []


def test_the_list_is_a_document_too(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run("fault-list", output="json")
    told = msgspec.json.decode(capsys.readouterr().out)
    assert {"aws.lost", "aws.failover-stuck"} <= set(told["aws"])
    assert "service.hang" in told["hosts"]
    assert told["in"] == {"armed": [], "conditions": []}


def test_with_the_lab_down_the_list_says_so_and_adding_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "elsewhere"))
    run("fault-list")
    assert "the lab's AWS is down: inv lab.up" in capsys.readouterr().out
    with pytest.raises(Exit) as ended:
        run("fault-add", name="aws.throttle")
    assert ended.value.code == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"name": "aws.throtle"}, "did you mean aws.throttle "),
        ({"name": "throttle"}, "did you mean aws.throttle?"),
        ({"name": "disk.full"}, "disk.full is a fault of hosts"),
        ({"name": ""}, "needs the name of a fault"),
        ({"name": "aws.throttle", "times": "none"}, "--times: expected a whole number"),
        ({"name": "aws.slow", "seconds": "soon"}, "--seconds: "),
        ({"name": "aws.slow", "seconds": "10m"}, "seconds: expected 0 to 60"),
        ({"name": "aws.error"}, "aws.error needs a value"),
        ({"name": "aws.lag", "action": "DescribeEvents", "value": "1"}, "about a resource"),
        ({"name": "aws.throttle", "output": "yaml"}, "--output: expected text or json"),
    ],
)
def test_nonsense_is_bad_input_and_arms_nothing(
    run: Run, emulator: Emulator, capsys: pytest.CaptureFixture[str], given: dict[str, str], message: str
) -> None:
    with pytest.raises(Exit) as ended:
        run("fault-add", **given)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
    assert emulator.faults() == {"armed": [], "conditions": []}


def test_values_are_typed() -> None:
    assert (parse_times(None), parse_times("3"), parse_seconds(None), parse_seconds("1.5"), parse_seconds("2m")) == (
        None,
        3,
        None,
        1.5,
        120.0,
    )
    assert check_name("aws.lag") == "aws.lag"
    with pytest.raises(BadInput):
        parse_times("0")
