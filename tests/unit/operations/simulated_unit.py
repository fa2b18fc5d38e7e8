"""A host with one systemd unit, simulated behind the real seam: it prints what ``systemctl show`` prints, and restarts."""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue

from crashcart.clock import FakeClock
from crashcart.engine.evidence import EvidenceKeeper
from crashcart.engine.guard import Unguarded
from crashcart.engine.reconcile import Reconciler, Surroundings
from crashcart.engine.turn import Again, Finished, Ready
from crashcart.engine.undo import UndoList
from crashcart.errors import ConnectionLost
from crashcart.events import AnyEvent, Pinned, Stream
from crashcart.facts.systemd import SCRIPT
from crashcart.journal.recall import Recalled, _recall_step
from crashcart.operations import find_operation
from crashcart.operations.base import STALE, Action
from crashcart.operations.systemd import EVIDENCE
from crashcart.operations.systemd_rules import RESTART
from crashcart.plan import PlannedStep
from crashcart.results import Evidence, Phase, StepResult
from crashcart.targets import Target
from crashcart.transports.base import Command, CommandResult, HttpReply, Output, Transport

UNIT = "api.service"
URL = "http://127.0.0.1:8000/health"
EPOCH = 1893456000.0
BOOTED = 100_000.0
"""Seconds that the simulated host has been up when the clock stands at zero."""

HEALTH = {
    "ok": "tool=curl\nexit=0\n\nHTTP/1.1 200 OK\n\nok\n",
    "unwell": "tool=curl\nexit=0\n\nHTTP/1.1 503 Service Unavailable\n\ndisk full\n",
    "silent": "tool=curl\nexit=28\n\ncurl: (28) Operation timed out after 5001 milliseconds with 0 bytes received\n",
}


class FakeUnit:
    """One unit on one host. ``starts_as`` says what a start leads to; ``restarts_done`` counts effects, not requests."""

    def __init__(self, clock: FakeClock, *, health: str = "ok", starts_as: str = "well", start_takes: float = 0.0) -> None:
        self.clock = clock
        self.active, self.sub, self.result = "active", "running", "success"
        self.health = health
        self.automatic, self.manual_starts = 0, 0
        self.generation, self.invocation = 1, "inv1"
        self.changed_at = -7200.0
        self.starts_as, self.start_takes = starts_as, start_takes
        self.ready_at = -7200.0
        self.restarts_done = 0
        self.limit_reached = False

    def fail(self, result: str, *, limit_reached: bool = False) -> FakeUnit:
        """Let the unit have failed a while ago."""
        self.active, self.sub, self.result = "failed", "failed", result
        self.changed_at, self.limit_reached = -60.0, limit_reached
        return self

    def stop(self, *, forgotten: bool = False) -> FakeUnit:
        """Let somebody have stopped it; systemd forgets a unit that nothing refers to."""
        self.active, self.sub, self.changed_at = "inactive", "dead", -60.0
        if forgotten:
            self.invocation, self.changed_at = "", -BOOTED
        return self

    def restart(self, *, reset: bool = False) -> None:
        """Do what systemd does: a used-up start limit stops the unit and does not start it."""
        self.limit_reached = self.limit_reached and not reset
        self.automatic = 0
        if self.limit_reached:
            self.fail("start-limit-hit", limit_reached=True)
            return
        self.restarts_done += 1
        self.generation += 1
        self.invocation = f"inv{self.generation}"
        self.changed_at = self.clock.monotonic()
        self.ready_at = self.changed_at + self.start_takes
        outcome = {"well": "ok", "hung": "silent", "looping": "ok"}.get(self.starts_as)
        if outcome is None:
            self.fail(self.starts_as)
            self.changed_at = self.clock.monotonic()
        else:
            self.active, self.sub, self.result, self.health = "active", "running", "success", outcome

    def show(self) -> str:
        """Print what the fact's script prints."""
        now = self.clock.monotonic()
        starting = now < self.ready_at
        if self.starts_as == "looping" and self.restarts_done and not starting:
            self.automatic += 1
        active, sub = ("activating", "start") if starting else (self.active, self.sub)
        stamp = int((BOOTED + self.changed_at) * 1e6)
        up = active == "active"
        lines = [
            f"now={EPOCH + now}",
            f"uptime={BOOTED + now}",
            "LoadState=loaded",
            f"ActiveState={active}",
            f"SubState={sub}",
            f"Result={self.result}",
            f"NRestarts={self.automatic}",
            f"Job={7 if starting else ''}",
            f"InvocationID={self.invocation}",
            "Type=simple",
            f"ActiveEnterTimestampMonotonic={stamp if up else 0}",
            f"InactiveEnterTimestampMonotonic={0 if up else stamp}",
        ]
        health = f"\n[health]\n{HEALTH[self.health]}" if up else ""
        return "\n".join(lines) + "\n" + health


class Killed(BaseException):
    """The controller dies here; nothing may catch it."""


class FakeHost(Transport):
    """Understands the scripts of ``systemd.restart`` and no others.

    ``interfere`` is called before each command with its number, from 0; ``lose`` raises ``ConnectionLost`` around the first
    act, ``before`` or ``after`` its effect; ``die_at`` kills the controller around that command.
    """

    def __init__(self, unit: FakeUnit, *, lose: str = "", die_at: tuple[int, str] = (-1, "")) -> None:
        self.unit = unit
        self.commands: list[Command] = []
        self.interfere: Callable[[Command], None] = lambda command: None
        self._lose, self._die_at = lose, die_at

    def run(self, command: Command) -> CommandResult:
        self.interfere(command)
        number = len(self.commands)
        self.commands.append(command)
        if self._die_at == (number, "before"):
            raise Killed
        result = self._run(command)
        if self._die_at == (number, "after"):
            raise Killed
        return result

    def fetch(self, url: str, timeout: float) -> HttpReply:
        raise AssertionError("not asked for here")

    def cancel(self) -> None:
        """Nothing is in flight."""

    def close(self) -> None:
        """Nothing is open."""

    @property
    def acts(self) -> int:
        return sum(command.script == RESTART for command in self.commands)

    def _run(self, command: Command) -> CommandResult:
        if command.script == SCRIPT:
            return CommandResult(status=0, stdout=Output(self.unit.show().encode()))
        if command.script == EVIDENCE:
            return CommandResult(status=0, stdout=Output(b"journal\n"))
        assert command.script == RESTART, f"unscripted: {command.script}"
        return self._act(*command.args)

    def _act(self, unit: str, token: str, reset: str) -> CommandResult:
        lose, self._lose = self._lose, ""
        if lose == "before":
            raise ConnectionLost("cut")
        if token != f"{self.unit.active} {self.unit.invocation}":
            return CommandResult(status=STALE)
        self.unit.restart(reset=bool(reset))
        if lose == "after":
            raise ConnectionLost("cut")
        return CommandResult(status=0)


class NoMarks:
    """For acts that are never taken back."""

    def add(self, key: str, run: str) -> None:
        raise AssertionError("a restart is not taken back")

    def drop(self, key: str, run: str) -> None:
        pass


class Journal:
    """Keeps events as a run's folder does, and tells a resumed run where the step stood."""

    def __init__(self) -> None:
        self.events: list[AnyEvent] = []

    def notice(self, event: AnyEvent) -> None:
        self.events.append(event)

    def keep(self, target: str, name: str, data: bytes) -> Evidence:
        return Evidence(name)

    def recall(self) -> Recalled | None:
        pinned = [number for number, event in enumerate(self.events) if isinstance(event, Pinned)]
        return _recall_step(self.events[pinned[0] :]) if pinned else None


def run(
    host: FakeHost, wish: dict[str, object], *, journal: Journal | None = None, may_act: bool = True, deadline: float = 120.0
) -> StepResult | Action:
    """Run the step with the real reconciler to its result, or to the act that check mode stops at."""
    journal = journal or Journal()
    step = PlannedStep("restart", "systemd.restart", Phase.STEP, wish, attempts=3, deadline=deadline)
    stream = Stream(journal)
    operation, clock = find_operation("systemd.restart"), host.unit.clock
    surroundings = Surroundings(stream, clock, EvidenceKeeper(journal, stream), Unguarded())
    undos = UndoList("run", "web1", "web1", NoMarks())
    reconciler = Reconciler(Target("web1"), step, operation, surroundings, undos, journal.recall())
    while True:
        match reconciler.turn(host, may_act=may_act):
            case Finished(result):
                return result
            case Ready(action):
                return action
            case Again(after):
                # A real clock moves on by itself; this one stands still when a remainder is lost in rounding.
                clock.wait(SimpleQueue[None](), max(after, 0.001), busy=False)


def result_of(
    host: FakeHost, wish: dict[str, object], *, journal: Journal | None = None, deadline: float = 120.0
) -> StepResult:
    """Run the step to its result."""
    result = run(host, wish, journal=journal, deadline=deadline)
    assert isinstance(result, StepResult)
    return result
