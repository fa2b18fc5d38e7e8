"""Answers that are lost, and runs that are killed and resumed: at every command, and nothing is forgotten."""

from __future__ import annotations

import pytest

from crashcart.errors import ConnectionLost
from crashcart.journal.recall import _recall_step
from crashcart.results import Outcome
from crashcart.transports.base import Command, CommandResult
from tests.disk.driving import Record, drive, make, reclaim
from tests.disk.volume import Volume

MIB = 1 << 20
WISH = {"path": "/var"}
LOG = "/var/log/api.log"
APPEND = 'exec 3>>"$1"; echo ready; read -r _'

at_every_command = pytest.mark.parametrize("number", range(4))
before_or_after = pytest.mark.parametrize("when", ["before", "after"])


class Killed(BaseException):
    """The controller is gone."""


def break_once(monkeypatch: pytest.MonkeyPatch, volume: Volume, number: int, when: str, error: BaseException) -> None:
    """Raise an error before or after that command takes effect, once."""
    run, seen = volume.run, [0]

    def breaking(command: Command) -> CommandResult:
        seen[0] += 1
        is_it = seen[0] == number + 1
        if is_it and when == "before":
            raise error
        result = run(command)
        if is_it:
            raise error
        return result

    monkeypatch.setattr(volume, "run", breaking)


def fill(volume: Volume) -> None:
    for inner in range(8):
        volume.put(f"/var/log/app.log.{inner}", 4 * MIB, age=30)
    volume.put("/var/lib/canary.log.1", 4096, age=30)
    volume.fill()


@at_every_command
@before_or_after
def test_a_lost_answer_changes_nothing_of_the_outcome(
    volume: Volume, monkeypatch: pytest.MonkeyPatch, number: int, when: str
) -> None:
    fill(volume)
    canary = volume.tree("/var/lib")
    break_once(monkeypatch, volume, number, when, ConnectionLost("gone"))
    result = reclaim(volume, WISH)
    assert result.outcome is Outcome.CHANGED, result.message
    assert volume.df() < 80
    assert volume.tree("/var/lib") == canary
    assert reclaim(volume, WISH).outcome is Outcome.OK


@at_every_command
@before_or_after
def test_killed_and_resumed_it_comes_to_the_same_end(
    volume: Volume, monkeypatch: pytest.MonkeyPatch, number: int, when: str
) -> None:
    fill(volume)
    record = Record()
    break_once(monkeypatch, volume, number, when, Killed())
    with pytest.raises(Killed):
        reclaim(volume, WISH, record)
    recalled = _recall_step(record.events) if record.events else None
    result = drive(make(Record(), WISH, recalled=recalled), volume)
    assert result.outcome is Outcome.CHANGED, result.message
    assert volume.df() < 80


@pytest.mark.parametrize(("when", "acts"), [("before", 2), ("after", 1)])
def test_emptying_a_log_whose_answer_is_lost_is_never_repeated_blindly(
    volume: Volume, monkeypatch: pytest.MonkeyPatch, when: str, acts: int
) -> None:
    """It is sent again only after the settle window has shown that the log is exactly as it was."""
    volume.put(LOG, 40 * MIB)
    volume.fill()
    record = Record()
    break_once(monkeypatch, volume, 4, when, ConnectionLost("gone"))
    with volume.running(APPEND, LOG):
        result = reclaim(volume, {**WISH, "truncate_open": [LOG]}, record)
    assert result.outcome is Outcome.CHANGED, result.message
    assert len(record.acts) == acts
    assert all(act.startswith(f"empty {LOG}") for act in record.acts)
