"""The loop, through the whole engine, over a simulated world."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crashcart.errors import ConnectionLost, ConnectRefused, HostKeyRefused, SudoDenied
from crashcart.events import Acted, EvidenceKept, Intended
from crashcart.plan import Options
from crashcart.results import Mode, Outcome
from crashcart.transports.base import CommandResult, Output
from tests.unit.engine.simulated import World, lose_answer_after, lose_answer_before, not_sent


def only(world: World, **wish: Any) -> tuple[Outcome, str]:
    result = world.run(world.plan(**wish)).results[0]
    return result.outcome, result.message


def test_acts_once_and_verifies_by_looking_again(world: World) -> None:
    assert only(world) == (Outcome.CHANGED, "the lamp is on")
    assert world.lamps["lamp"].switched == 1
    assert world.seen.count(EvidenceKept) == 1


def test_second_run_changes_nothing_says_why_and_looks_once(world: World) -> None:
    world.run()
    world.lamps["lamp"].asked = 0
    assert only(world) == (Outcome.OK, "the lamp is on")
    assert (world.lamps["lamp"].switched, world.lamps["lamp"].asked) == (1, 1)


def test_check_mode_stops_before_the_act(world: World) -> None:
    result = world.run(options=Options(mode=Mode.CHECK)).results[0]
    assert result.outcome is Outcome.WOULD_CHANGE
    assert result.message == "switch the lamp on"
    assert result.steps[0].changes[0].before == "off"
    assert world.lamps["lamp"].switched == 0
    assert world.seen.count(Intended) == 0


def test_later_steps_depend_on_what_would_change(world: World) -> None:
    result = world.run(world.plan(steps=2), Options(mode=Mode.CHECK)).results[0]
    assert [step.outcome for step in result.steps] == [Outcome.WOULD_CHANGE, Outcome.SKIPPED]
    assert result.steps[1].message == "depends on step 1"


def test_force_acts_on_a_good_target_once_per_run(runs: Path) -> None:
    world = World(runs, lamp="on")
    assert only(world, force=True)[0] is Outcome.CHANGED
    assert world.lamps["lamp"].switched == 1


@pytest.mark.parametrize("effect", ["once", "converge"])
def test_lost_answer_after_the_effect_is_found_by_looking(world: World, effect: str) -> None:
    world.lamps["lamp"].on_switch = [lose_answer_after]
    assert only(world, effect=effect)[0] is Outcome.CHANGED
    assert world.lamps["lamp"].switched == 1


@pytest.mark.parametrize("effect", ["once", "converge"])
def test_lost_request_before_the_effect_is_tried_again_after_the_settle_window(world: World, effect: str) -> None:
    world.lamps["lamp"].on_switch = [lose_answer_before]
    assert only(world, effect=effect)[0] is Outcome.CHANGED
    assert world.lamps["lamp"].switched == 1
    assert (world.clock.monotonic() >= 10) == (effect == "once")


def test_doubt_with_another_change_is_unknown(world: World) -> None:
    def lose_and_change(lamp: object) -> CommandResult | None:
        world.lamps["lamp"].state = "dim"
        raise ConnectionLost("the connection broke")

    world.lamps["lamp"].on_switch = [lose_and_change]
    outcome, message = only(world)
    assert outcome is Outcome.UNKNOWN
    assert "in another way" in message
    assert world.lamps["lamp"].switched == 0


def test_not_sent_is_tried_again_up_to_the_limit(world: World) -> None:
    world.lamps["lamp"].on_switch = [not_sent] * 3
    outcome, message = only(world)
    assert outcome is Outcome.FAILED
    assert message.startswith("gave up after 3 tries: ")
    assert message.endswith(": no channel")
    assert world.lamps["lamp"].switched == 0


def test_a_token_that_no_longer_holds_means_nothing_was_done(world: World) -> None:
    world.lamps["lamp"].on_switch = [lambda lamp: CommandResult(75)]
    assert only(world)[0] is Outcome.CHANGED
    assert [event.result for event in world.seen.events if isinstance(event, Acted)] == ["not_applied", "applied"]


def test_rejected_is_final(world: World) -> None:
    world.lamps["lamp"].on_switch = [lambda lamp: CommandResult(1, stderr=Output(b"no such switch"))]
    outcome, message = only(world)
    assert (outcome, "no such switch" in message) == (Outcome.FAILED, True)


def test_an_act_that_changes_nothing_is_no_progress(world: World) -> None:
    world.lamps["lamp"].on_switch = [lambda lamp: CommandResult(0)] * 5
    outcome, message = only(world)
    assert outcome is Outcome.FAILED
    assert message.startswith("no progress")
    assert world.seen.count(Intended) == 1


def test_waiting_costs_time_but_no_worker(runs: Path) -> None:
    world = World(runs, lamp="off")
    world.lamps["lamp"].becomes = "warming"
    outcome, message = only(world, hold=0.0)
    assert outcome is Outcome.FAILED
    assert message == "still not there after 60 s: warming up"
    assert world.clock.monotonic() == pytest.approx(60, abs=1)


def test_hold_demands_that_it_stays_good(world: World) -> None:
    assert only(world, hold=10.0)[0] is Outcome.CHANGED
    assert world.clock.monotonic() == pytest.approx(10, abs=0.1)


def test_hold_is_not_asked_of_a_target_that_was_good(runs: Path) -> None:
    world = World(runs, lamp="on")
    assert only(world, hold=10.0)[0] is Outcome.OK
    assert world.clock.monotonic() == 0


def test_a_dearer_look_is_taken_when_asked_for(runs: Path) -> None:
    world = World(runs, lamp="dim")
    world.lamps["lamp"].on_switch = []
    assert only(world)[0] is Outcome.CHANGED


@pytest.mark.parametrize(
    ("state", "outcome", "message"),
    [
        ("broken", Outcome.FAILED, "the lamp is broken"),
        ("locked", Outcome.REFUSED, "the lamp is locked"),
        ("fog", Outcome.UNKNOWN, "cannot see the lamp"),
    ],
)
def test_decisions_become_outcomes(runs: Path, state: str, outcome: Outcome, message: str) -> None:
    world = World(runs, lamp=state)
    assert only(world) == (outcome, message)


def test_refusing_after_an_act_is_failing(world: World) -> None:
    world.lamps["lamp"].becomes = "locked"
    assert only(world)[0] is Outcome.FAILED


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (ConnectRefused("nothing listens"), Outcome.UNREACHABLE),
        (HostKeyRefused("another key"), Outcome.REFUSED),
        (SudoDenied("no sudo"), Outcome.FAILED),
    ],
)
def test_what_a_transport_raises_becomes_an_outcome(world: World, error: Exception, outcome: Outcome) -> None:
    world.lamps["lamp"].before_look = [error]
    assert only(world)[0] is outcome


def test_a_lost_look_is_taken_again_on_a_new_session(world: World) -> None:
    world.lamps["lamp"].before_look = [ConnectionLost("the connection broke")]
    assert only(world)[0] is Outcome.CHANGED
    assert world.transports["lamp"].closed >= 1


def test_a_defect_on_one_target_does_not_hide_the_others(runs: Path) -> None:
    world = World(runs, good="on", odd="on")
    world.lamps["odd"].before_look = [ZeroDivisionError("oops")]
    good, odd = world.run().results
    assert good.outcome is Outcome.OK
    assert odd.outcome is Outcome.FAILED
    assert "internal error" in odd.message


def test_evidence_is_a_duty_of_destroying_acts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.unit.engine.simulated.SwitchOn.evidence", lambda self, action, wish: None)
    outcome, message = only(world, effect="destroy")
    assert outcome is Outcome.FAILED
    assert message.startswith("no evidence could be kept")
    assert world.lamps["lamp"].switched == 0
