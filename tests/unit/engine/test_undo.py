"""Undo: a target's own applied acts are taken back when it fails, newest first; what there is no time for is owed."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from crashcart.errors import ConnectionLost, NotSent
from crashcart.events import UndoBegun, UndoOwed
from crashcart.journal.claims import target_key
from crashcart.journal.folder import find_run
from crashcart.journal.recall import PastRun
from crashcart.journal.undos import in_another_run
from crashcart.plan import Condition, OnFailure, Options, Plan, PlannedStep, TargetPlan, UndoPolicy
from crashcart.results import Outcome, Phase
from crashcart.targets import Target
from crashcart.transports.base import CommandResult
from tests.unit.engine.simulated import Lamp, World

LIT = Condition("lamp.lit", {})


def switch(name: str, undo: UndoPolicy | None = None, **wish: object) -> PlannedStep:
    return PlannedStep(name, "lamp.on", Phase.STEP, {"undoable": True, **wish}, deadline=60, undo=undo or UndoPolicy())


def plan_of(world: World, *steps: PlannedStep, on_failure: OnFailure = OnFailure.UNDO) -> Plan:
    targets = tuple(TargetPlan(Target(name), steps) for name in world.lamps)
    return Plan("recover.lamp", "Light", "all", targets, on_failure=on_failure)


def break_after_switch(lamp: Lamp) -> CommandResult | None:
    """The switch works, the lamp burns out at once: the step fails after its act was applied."""
    lamp.switch()
    lamp.state = "broken"
    return CommandResult(0)


def steps_of(world: World, plan: Plan, options: Options | None = None) -> dict[str, str]:
    (result,) = world.run(plan, options).results
    return {step.name: step.outcome.value for step in result.steps}


def owed(world: World, name: str = "lamp") -> list[str]:
    return [undo.name for undo in world.marks.owed(target_key(Target(name)), name)]


def test_a_failed_target_is_taken_back(world: World) -> None:
    world.lamps["lamp"].on_switch.append(break_after_switch)
    (result,) = world.run(plan_of(world, switch("on"))).results
    assert [(step.name, step.phase, step.outcome) for step in result.steps] == [
        ("on", Phase.STEP, Outcome.FAILED),
        ("undo on", Phase.UNDO, Outcome.CHANGED),
    ]
    assert result.outcome is Outcome.FAILED, "an undo does not make a failure good"
    assert "broken" in result.message
    assert world.lamps["lamp"].put_out_times == 1
    assert owed(world) == []


def test_a_verification_that_fails_takes_back_too(world: World) -> None:
    verify = PlannedStep("verify", "lamp.off", Phase.VERIFY, {}, deadline=1)
    world.lamps["lamp"].on_off.append(lambda lamp: CommandResult(1))
    steps = steps_of(world, plan_of(world, switch("on"), verify))
    assert steps == {"on": "changed", "verify": "failed", "undo on": "changed"}


def test_acts_are_taken_back_newest_first(world: World) -> None:
    """Two steps act, a third fails: the second is taken back before the first."""
    plan = plan_of(
        world, switch("one"), switch("two", force=True), PlannedStep("three", "lamp.off", Phase.STEP, {}, deadline=1)
    )
    world.lamps["lamp"].on_off += [lambda lamp: CommandResult(1)]
    names = list(steps_of(world, plan))
    assert names == ["one", "two", "three", "undo two", "undo one"]


def test_keep_leaves_everything_as_it_is(world: World) -> None:
    world.lamps["lamp"].on_switch.append(break_after_switch)
    assert steps_of(world, plan_of(world, switch("on"), on_failure=OnFailure.KEEP)) == {"on": "failed"}
    assert world.lamps["lamp"].put_out_times == 0
    assert owed(world) == []


def test_nothing_is_taken_back_of_an_act_that_did_not_happen(world: World) -> None:
    def refuse(lamp: Lamp) -> CommandResult | None:
        return CommandResult(1)

    world.lamps["lamp"].on_switch.append(refuse)
    assert steps_of(world, plan_of(world, switch("on"))) == {"on": "failed"}
    assert world.seen.count(UndoBegun) == 0


def test_an_act_in_doubt_is_taken_back_too(world: World) -> None:
    def lose(lamp: Lamp) -> CommandResult | None:
        lamp.switch()
        lamp.state = "broken"
        raise ConnectionLost("the connection broke")

    world.lamps["lamp"].on_switch.append(lose)
    assert steps_of(world, plan_of(world, switch("on"))) == {"on": "failed", "undo on": "changed"}


def test_an_undo_whose_condition_does_not_hold_is_owed(world: World) -> None:
    """A host that is still broken is not put back behind the load balancer."""
    world.lamps["lamp"].on_switch.append(break_after_switch)
    steps = steps_of(world, plan_of(world, switch("on", UndoPolicy(LIT))))
    assert steps == {"on": "failed", "before undo on": "skipped", "undo on": "skipped"}
    assert world.lamps["lamp"].put_out_times == 0
    assert owed(world) == ["undo on"]


def test_an_undo_that_fails_is_owed_and_said(world: World) -> None:
    world.lamps["lamp"].on_switch.append(break_after_switch)
    world.lamps["lamp"].on_off += [lambda lamp: CommandResult(1)] * 5
    (result,) = world.run(plan_of(world, switch("on"))).results
    assert [step.outcome for step in result.steps] == [Outcome.FAILED, Outcome.FAILED]
    assert world.seen.count(UndoOwed) == 1
    assert owed(world) == ["undo on"]


def test_the_next_run_settles_what_is_owed_first(world: World) -> None:
    lamp = world.lamps["lamp"]
    lamp.on_switch.append(break_after_switch)
    world.run(plan_of(world, switch("on", UndoPolicy(LIT))))
    lamp.state = "on"
    due = tuple(in_another_run(undo) for undo in world.marks.owed(target_key(Target("lamp")), "lamp"))
    plan = plan_of(world, switch("on"))
    plan = replace(plan, targets=(replace(plan.targets[0], owed=due),))
    steps = steps_of(world, plan)
    assert list(steps.values()) == ["ok", "changed", "changed"], steps
    assert list(steps)[1] == "undo on of run0"
    assert owed(world) == []


def test_an_interrupt_takes_back_within_its_grace(world: World) -> None:
    lamp = world.lamps["lamp"]

    def interrupted(lamp: Lamp) -> CommandResult | None:
        lamp.switch()
        lamp.state = "warming"
        world.engine.interrupt()
        return CommandResult(0)

    lamp.on_switch.append(interrupted)
    verdicts = world.run(plan_of(world, switch("on")))
    assert verdicts.exit_code == 130
    assert [step.outcome.value for step in verdicts.results[0].steps] == ["unknown", "changed"]
    assert lamp.state == "off"
    assert owed(world) == []


@pytest.mark.parametrize("twice", [False, True])
def test_what_an_interrupt_leaves_no_time_for_is_owed(world: World, *, twice: bool) -> None:
    """The undo cannot get through: at the end of the grace, or at once with a second interrupt, it is owed."""
    lamp = world.lamps["lamp"]

    def interrupted(lamp: Lamp) -> CommandResult | None:
        lamp.switch()
        lamp.state = "warming"
        world.engine.interrupt()
        return CommandResult(0)

    def stuck(lamp: Lamp) -> CommandResult | None:
        if twice:
            world.engine.interrupt()
        raise NotSent("no channel")

    lamp.on_switch.append(interrupted)
    lamp.on_off += [stuck] * 50
    before = world.clock.monotonic()
    verdicts = world.run(plan_of(world, switch("on")))
    assert verdicts.exit_code == 130
    assert world.clock.monotonic() - before <= 5
    assert owed(world) == ["undo on"]
    past = PastRun.read(find_run(world.folder, "last"))
    assert past.finished, "the journal is complete"
    assert [undo.name for undo in past.owed("lamp")] == ["undo on"]


def test_the_deadline_of_the_run_takes_back(world: World) -> None:
    def slow(lamp: Lamp) -> CommandResult | None:
        lamp.switch()
        lamp.state = "warming"
        return CommandResult(0)

    world.lamps["lamp"].on_switch.append(slow)
    plan = plan_of(world, replace(switch("on"), deadline=600.0))
    assert steps_of(world, plan, Options(deadline=30)) == {"on": "unknown", "undo on": "changed"}


def test_other_targets_keep_what_was_done_there(runs: Path) -> None:
    world = World(runs, a="off", b="off")
    world.lamps["a"].on_switch.append(break_after_switch)
    plan = replace(plan_of(world, switch("on")), rollout=replace(world.plan().rollout, max_failures="100%"))
    first, second = world.run(plan).results
    assert (first.outcome, second.outcome) == (Outcome.FAILED, Outcome.CHANGED)
    assert (world.lamps["a"].put_out_times, world.lamps["b"].put_out_times) == (1, 0)


def test_a_finished_run_can_be_taken_back_later(world: World) -> None:
    world.run(plan_of(world, switch("on")))
    past = PastRun.read(find_run(world.folder, "last"))
    assert past.owed("lamp") == ()
    assert [undo.summary for undo in past.undoable("lamp")] == ["switch the lamp off"]
