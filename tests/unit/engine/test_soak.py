"""Soak: a batch is left alone, then verified once more before the next one begins."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from crashcart.events import BatchStarted, Soaking
from crashcart.plan import Options, Plan, PlannedStep, Rollout, TargetPlan
from crashcart.results import Outcome, Phase
from crashcart.targets import Target
from tests.unit.engine.simulated import World


def soaking(world: World, soak: str = "5m") -> Plan:
    switch = PlannedStep("on", "lamp.on", Phase.STEP, {"undoable": True}, deadline=60)
    verify = PlannedStep("lit", "lamp.lit", Phase.VERIFY, {}, deadline=10)
    targets = tuple(TargetPlan(Target(name), (switch, verify)) for name in world.lamps)
    return Plan("recover.lamp", "Light", "all", targets, rollout=Rollout(("1",), soak=soak))


def test_each_batch_soaks_and_is_verified_again(runs: Path) -> None:
    world = World(runs, a="off", b="off")
    verdicts = world.run(soaking(world))
    assert [step.name for step in verdicts.results[0].steps] == ["on", "lit", "lit after soak"]
    assert world.seen.count(Soaking) == 2
    assert world.clock.monotonic() >= 600


def test_what_breaks_while_it_soaks_is_taken_back_and_stops_the_roll(runs: Path) -> None:
    world = World(runs, a="off", b="off")
    first = world.lamps["a"]

    def notice(event: object) -> None:
        world.seen.events.append(event)  # type: ignore[arg-type]
        if isinstance(event, Soaking):
            first.state = "broken"

    world.seen.notice = notice  # type: ignore[method-assign]
    verdicts = world.run(soaking(world))
    assert [result.outcome for result in verdicts.results] == [Outcome.FAILED, Outcome.SKIPPED]
    assert [step.name for step in verdicts.results[0].steps][-2:] == ["lit after soak", "undo on"]
    assert first.put_out_times == 1
    assert world.lamps["b"].switched == 0
    assert world.seen.count(BatchStarted) == 1


def test_break_glass_does_not_soak(runs: Path) -> None:
    world = World(runs, a="off")
    world.run(soaking(world), Options(break_glass=True))
    assert world.seen.count(Soaking) == 0


def test_what_was_well_is_not_waited_for(runs: Path) -> None:
    world = World(runs, a="on", b="off")
    world.run(replace(soaking(world), rollout=Rollout(("100%",), soak="5m")))
    assert world.seen.count(Soaking) == 1


def test_an_interrupt_ends_a_soak(runs: Path) -> None:
    world = World(runs, a="off", b="off")

    def notice(event: object) -> None:
        if isinstance(event, Soaking):
            world.engine.interrupt()

    world.seen.notice = notice  # type: ignore[method-assign]
    verdicts = world.run(soaking(world, soak="1h"))
    assert verdicts.exit_code == 130
    assert [result.outcome for result in verdicts.results] == [Outcome.CHANGED, Outcome.SKIPPED]
