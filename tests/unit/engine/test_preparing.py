"""A step that prepares another one is done only if that one is due; one that follows up, only after a change."""

from __future__ import annotations

import pytest

from crashcart.engine.guard import Unguarded
from crashcart.engine.run import Past, Verdicts
from crashcart.errors import Refused
from crashcart.plan import Options, Plan, PlannedStep, TargetPlan
from crashcart.results import Mode, Outcome, Phase, StepResult
from crashcart.targets import Target
from crashcart.transports.base import Session
from tests.unit.engine.simulated import World

NAMES = ["take down", "light", "look after"]


def plan(world: World, *, force: bool = False) -> Plan:
    """Take a lamp down before it is switched on anew, and look at it afterwards."""
    steps = (
        PlannedStep("take down", "lamp.off", Phase.STEP, {}, when_due="light"),
        PlannedStep("light", "lamp.on", Phase.STEP, {"force": force, "undoable": True}),
        PlannedStep("look after", "lamp.lit", Phase.STEP, {}, when_changed="take down"),
    )
    return Plan("recover.lamp", "Light", "all", tuple(TargetPlan(Target(name), steps) for name in world.lamps))


def told(verdicts: Verdicts) -> dict[str, Outcome]:
    (result,) = verdicts.results
    assert [step.name for step in result.steps] == NAMES
    return {step.name: step.outcome for step in result.steps}


def one(world: World, state: str) -> World:
    return World(world.folder, web1=state)


@pytest.mark.parametrize(
    ("state", "force", "expected"),
    [
        ("on", False, (Outcome.SKIPPED, Outcome.OK, Outcome.SKIPPED)),
        ("on", True, (Outcome.CHANGED, Outcome.CHANGED, Outcome.OK)),
        ("off", False, (Outcome.OK, Outcome.CHANGED, Outcome.SKIPPED)),
        ("locked", False, (Outcome.SKIPPED, Outcome.REFUSED, Outcome.SKIPPED)),
        ("broken", False, (Outcome.SKIPPED, Outcome.FAILED, Outcome.SKIPPED)),
    ],
)
def test_it_is_done_if_the_other_one_is_due(
    world: World, state: str, force: bool, expected: tuple[Outcome, Outcome, Outcome]
) -> None:
    world = one(world, state)
    assert tuple(told(world.run(plan(world, force=force))).values()) == expected
    lamp = world.lamps["web1"]
    assert (lamp.put_out_times, lamp.switched) == (expected[0] is Outcome.CHANGED, expected[1] is Outcome.CHANGED)


def test_check_mode_names_both_acts_and_does_none(world: World) -> None:
    world = one(world, "on")
    verdicts = world.run(plan(world, force=True), Options(mode=Mode.CHECK))
    assert tuple(told(verdicts).values()) == (Outcome.WOULD_CHANGE, Outcome.WOULD_CHANGE, Outcome.SKIPPED)
    assert [wish.step for wish in verdicts.wishes] == ["take down", "light"]
    assert (world.lamps["web1"].put_out_times, world.lamps["web1"].switched) == (0, 0)


def test_a_run_whose_time_is_up_while_it_asks_tells_each_step_once(world: World) -> None:
    world = one(world, "warming")
    outcomes = told(world.run(plan(world), Options(deadline=10.0)))
    assert set(outcomes.values()) == {Outcome.SKIPPED}


def test_what_an_earlier_process_prepared_is_not_looked_at_again(world: World) -> None:
    """The lamp burns by now: taking it down again would be wrong, and looking after it is still due."""
    world = one(world, "on")
    done = StepResult("take down", "lamp.off", Phase.STEP, Outcome.CHANGED, "the lamp was taken down")
    outcomes = told(world.run(plan(world), past=Past(changed={"web1": {"take down": done}})))
    assert tuple(outcomes.values()) == (Outcome.CHANGED, Outcome.OK, Outcome.OK)
    assert world.lamps["web1"].put_out_times == 0


class SomebodyElses(Unguarded):
    """Every target is held by somebody else."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def hold(self, target: Target, transport: Session) -> None:
        self.asked.append(target.name)
        raise Refused("somebody else holds it", hint="wait")


def test_nothing_is_prepared_on_a_target_that_somebody_else_holds(world: World) -> None:
    world = one(world, "on")
    world.guard = guard = SomebodyElses()
    verdicts = world.run(plan(world, force=True))
    assert tuple(told(verdicts).values()) == (Outcome.SKIPPED, Outcome.REFUSED, Outcome.SKIPPED)
    assert (world.lamps["web1"].put_out_times, world.lamps["web1"].switched) == (0, 0)
    assert verdicts.results[0].hint == "wait"
    assert guard.asked == ["web1"]


def test_check_mode_holds_nothing(world: World) -> None:
    world = one(world, "on")
    world.guard = guard = SomebodyElses()
    world.run(plan(world, force=True), Options(mode=Mode.CHECK))
    assert guard.asked == []
