"""A world for the engine's tests: a lamp per target that an act switches on, and an operation that wants it on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from crashcart.clock import FakeClock
from crashcart.engine.guard import ActGuard, Unguarded
from crashcart.engine.headcount import Headcount
from crashcart.engine.rollout import Consent, Guarding
from crashcart.engine.run import Past, Run, Verdicts
from crashcart.errors import ConnectionLost, NotSent
from crashcart.events import AnyEvent, RunStarted, Stream
from crashcart.journal.folder import RunFolder
from crashcart.journal.owed import Marks
from crashcart.operations.base import (
    Act,
    Action,
    Decision,
    Done,
    Effect,
    Fail,
    HostOperation,
    Look,
    Memory,
    NoGoal,
    Refuse,
    Unknown,
    Wait,
)
from crashcart.plan import Options, Plan, PlannedStep, Rollout, TargetPlan, Undo
from crashcart.results import Change, Phase, Verdict
from crashcart.targets import Target
from crashcart.transports.base import Command, CommandResult, HttpReply, Output, Transport

LAMP = {
    "lamp.on": "tests.unit.engine.simulated:SwitchOn",
    "lamp.off": "tests.unit.engine.simulated:SwitchOff",
    "lamp.lit": "tests.unit.engine.simulated:LampIsLit",
}
"""The operations of this world, as ``operations.SHIPPED`` names them."""


class LampState(msgspec.Struct, frozen=True):
    lamp: str
    generation: int = 0
    looked: tuple[str, ...] = ()
    circuit: str = ""


class LampGoal(msgspec.Struct, frozen=True):
    after_generation: int


class LampWish(msgspec.Struct, frozen=True):
    force: bool = False
    hold: float = 0.0
    effect: str = "once"
    undoable: bool = False
    disturbs: bool = False


class Lamp:
    """The world's side: what a lamp is, and what goes wrong when it is asked or switched."""

    def __init__(self, state: str = "off") -> None:
        self.state, self.generation = state, 0
        self.circuit = "-"
        self.switched = 0
        self.asked = 0
        self.before_look: list[Exception] = []
        self.on_switch: list[Callable[[Lamp], CommandResult | None]] = []
        self.becomes = "on"
        self.put_out_times = 0
        self.on_off: list[Callable[[Lamp], CommandResult | None]] = []

    def put_out(self) -> None:
        self.put_out_times += 1
        self.generation += 1
        self.state = "off"

    def switch(self) -> None:
        self.switched += 1
        self.generation += 1
        self.state = self.becomes


class LampTransport(Transport):
    """Looks at a lamp and switches it, through the real seam."""

    def __init__(self, lamp: Lamp) -> None:
        self.lamp = lamp
        self.closed = 0

    def run(self, command: Command) -> CommandResult:
        if command.script == "look":
            return self._look()
        if command.script == "evidence":
            return CommandResult(0, stdout=Output(b"evidence"))
        token = command.args[0]
        if command.script == "off":
            return self._off(token)
        if self.lamp.on_switch:
            answer = self.lamp.on_switch.pop(0)(self.lamp)
            if answer is not None:
                return answer
        elif token != f"{self.lamp.state}:{self.lamp.generation}":
            return CommandResult(75)
        else:
            self.lamp.switch()
        return CommandResult(0)

    def _off(self, token: str) -> CommandResult:
        if self.lamp.on_off:
            answer = self.lamp.on_off.pop(0)(self.lamp)
            if answer is not None:
                return answer
        if token != f"{self.lamp.state}:{self.lamp.generation}":
            return CommandResult(75)
        self.lamp.put_out()
        return CommandResult(0)

    def fetch(self, url: str, timeout: float) -> HttpReply:
        raise AssertionError("not asked for in these tests")

    def cancel(self) -> None:
        pass

    def close(self) -> None:
        self.closed += 1

    def _look(self) -> CommandResult:
        self.lamp.asked += 1
        if self.lamp.before_look:
            raise self.lamp.before_look.pop(0)
        return CommandResult(0, stdout=Output(f"{self.lamp.state} {self.lamp.generation} {self.lamp.circuit}".encode()))


def look_at(transport: Transport, looks: frozenset[str]) -> LampState:
    lamp, generation, circuit = transport.run(Command("look")).stdout.text.split()
    return LampState(lamp, int(generation), tuple(sorted(looks)), circuit.strip("-"))


class SwitchOn(HostOperation[LampWish, LampState, LampGoal]):
    """Wants the lamp on; ``broken`` cannot be mended, ``warming`` has to be waited for, ``fog`` hides it."""

    name = "lamp.on"
    settle = 10.0
    wish, state, goal_type = LampWish, LampState, LampGoal

    def observe(self, transport: Transport, wish: LampWish, looks: frozenset[str]) -> LampState:
        return look_at(transport, looks)

    def goal(self, pin: LampState, wish: LampWish) -> LampGoal:
        return LampGoal(pin.generation if wish.force else -1)

    def decide(self, state: LampState, memory: Memory[LampState, LampGoal], wish: LampWish) -> Decision:
        if state.lamp == "on" and state.generation > memory.goal.after_generation:
            return Done("the lamp is on", hold=wish.hold)
        plain: dict[str, Decision] = {
            "warming": Wait("warming up", after=3.0),
            "broken": Fail("the lamp is broken", hint="replace it"),
            "locked": Refuse("the lamp is locked", hint="unlock it"),
            "fog": Unknown("cannot see the lamp"),
        }
        if state.lamp in plain:
            return plain[state.lamp]
        if state.lamp == "dim" and not state.looked:
            return Look("closely")
        return Act(self._action(state, wish))

    def _action(self, state: LampState, wish: LampWish) -> Action:
        token = self.token(state)
        call = Command("switch", (token,))
        change = Change("lamp", state.lamp, "on")
        undo = Undo("lamp.off", {}, "switch the lamp off") if wish.undoable else None
        return Action(
            f"switch:{token}",
            Effect(wish.effect),
            "switch the lamp on",
            token,
            call,
            (change,),
            undo=undo,
            disturbs=wish.disturbs,
        )

    def acts_on(self, state: LampState) -> str:
        return state.circuit

    def health(self, state: LampState, wish: LampWish) -> Verdict:
        return Verdict.HEALTHY if state.lamp == "on" else Verdict.DOWN

    def token(self, state: LampState) -> str:
        return f"{state.lamp}:{state.generation}"

    def effect_seen(self, state: LampState, action: Action) -> bool:
        return state.generation > int(action.only_if.partition(":")[2])

    def evidence(self, action: Action, wish: LampWish) -> Command | None:
        return Command("evidence")


class NoWish(msgspec.Struct, frozen=True):
    pass


class SwitchOff(HostOperation[NoWish, LampState, NoGoal]):
    """Takes back what ``SwitchOn`` did: wants the lamp off."""

    name = "lamp.off"
    wish, state, goal_type = NoWish, LampState, NoGoal

    def observe(self, transport: Transport, wish: NoWish, looks: frozenset[str]) -> LampState:
        return look_at(transport, looks)

    def goal(self, pin: LampState, wish: NoWish) -> NoGoal:
        return NoGoal()

    def decide(self, state: LampState, memory: Memory[LampState, NoGoal], wish: NoWish) -> Decision:
        if state.lamp == "off":
            return Done("the lamp is off")
        if state.lamp == "stuck":
            return Fail("the lamp is stuck")
        token = self.token(state)
        change = Change("lamp", state.lamp, "off")
        return Act(
            Action(f"off:{token}", Effect.CONVERGE, "switch the lamp off", token, Command("off", (token,)), (change,))
        )

    def token(self, state: LampState) -> str:
        return f"{state.lamp}:{state.generation}"

    def effect_seen(self, state: LampState, action: Action) -> bool:
        return state.lamp == "off"


class LampIsLit(HostOperation[NoWish, LampState, NoGoal]):
    """Only looks: is ok where the lamp burns."""

    name = "lamp.lit"
    reads_only = True
    wish, state, goal_type = NoWish, LampState, NoGoal

    def observe(self, transport: Transport, wish: NoWish, looks: frozenset[str]) -> LampState:
        return look_at(transport, looks)

    def goal(self, pin: LampState, wish: NoWish) -> NoGoal:
        return NoGoal()

    def decide(self, state: LampState, memory: Memory[LampState, NoGoal], wish: NoWish) -> Decision:
        return Done("it burns") if state.lamp == "on" else Fail(f"it is {state.lamp}")


class Events:
    """An observer that keeps everything."""

    def __init__(self) -> None:
        self.events: list[AnyEvent] = []

    def notice(self, event: AnyEvent) -> None:
        self.events.append(event)

    def count(self, kind: type) -> int:
        return sum(isinstance(event, kind) for event in self.events)


class World:
    """Lamps by name, and a way to run the real engine over them with a fake clock and a real journal."""

    def __init__(self, folder: Path, **lamps: str) -> None:
        self.lamps = {name: Lamp(state) for name, state in lamps.items()}
        self.transports = {name: LampTransport(lamp) for name, lamp in self.lamps.items()}
        self.clock = FakeClock()
        self.folder = folder
        self.seen = Events()
        self.connections: Counter[str] = Counter()
        self.marks = Marks(folder / "owed", folder)
        self.guard: ActGuard = Unguarded()
        self.consent: Consent = lambda ready: None

    def connect(self, target: Target) -> Transport:
        self.connections[target.name] += 1
        return self.transports[target.name]

    def plan(self, rollout: Rollout | None = None, *, steps: int = 1, deadline: float = 60.0, **wish: Any) -> Plan:
        planned = tuple(
            PlannedStep(f"step{number}", "lamp.on", Phase.STEP, dict(wish), attempts=3, deadline=deadline)
            for number in range(1, steps + 1)
        )
        targets = tuple(TargetPlan(Target(name), planned) for name in self.lamps)
        return Plan("recover.lamp", "Light", "all", targets, rollout=rollout or Rollout())

    def run(
        self,
        plan: Plan | None = None,
        options: Options | None = None,
        past: Past | None = None,
        grace: float = 5.0,
    ) -> Verdicts:
        plan, options = plan or self.plan(), options or Options(forks=4)
        first = RunStarted(f"run{len(list(self.folder.glob('run*')))}", "tester", plan, options)
        record = RunFolder.create(self.folder, first, self.clock)
        try:
            self.engine = self.make(first, record, past, grace)
            return self.engine.execute()
        finally:
            record.close()

    def make(self, first: RunStarted, record: RunFolder, past: Past | None = None, grace: float = 5.0) -> Run:
        """The real engine over the lamps; ``first`` is the run's first event."""
        return Run(
            first.plan,
            first.options,
            connect=self.connect,
            record=record,
            stream=Stream(record, [self.seen]),
            clock=self.clock,
            guarding=Guarding(self.consent, Headcount(first.plan, self.connect), self.guard),
            marks=self.marks,
            run=first.run,
            past=past,
            grace=grace,
        )


def lose_answer_after(lamp: Lamp) -> CommandResult | None:
    lamp.switch()
    raise ConnectionLost("the connection broke")


def lose_answer_before(lamp: Lamp) -> CommandResult | None:
    raise ConnectionLost("the connection broke")


def not_sent(lamp: Lamp) -> CommandResult | None:
    raise NotSent("no channel")
