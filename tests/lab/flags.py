"""A recovery made for tests of undo, on real hosts: it raises a flag (a file below /run), and taking back lowers it.

python -m tests.lab.flags recover.flag --hosts lab1 --after fail
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import msgspec
from invoke import Program

from crashcart import operations
from crashcart.cli.namespace import build_namespace
from crashcart.operations.base import (
    Act,
    Action,
    Decision,
    Done,
    Effect,
    Fail,
    HostOperation,
    Memory,
    NoGoal,
    Wait,
)
from crashcart.plan import Undo
from crashcart.results import Change
from crashcart.transports.base import Command, Transport

FLAG = "/run/crashcart-test-flag"
SLEEPER = "/run/crashcart-test-sleeper"

PLAYBOOK = f"""
summary: Raise a flag
kinds: [linux]
params:
  after: {{type: str, default: ok, help: "what happens once the flag is up: ok, fail, wait, or an act that hangs"}}
  lower: {{type: str, default: ok, help: "how lowering it goes: ok, or hang"}}
steps:
  - flag.raise: {{path: {FLAG}, after: "{{{{ after }}}}", lower: "{{{{ lower }}}}"}}
    retry: {{deadline: 2m}}
"""


class FlagWish(msgspec.Struct, frozen=True):
    path: str
    after: str = "ok"
    lower: str = "ok"


class FlagState(msgspec.Struct, frozen=True):
    is_up: bool


class Flag(HostOperation[FlagWish, FlagState, NoGoal]):
    """What raising and lowering have in common."""

    wish, state, goal_type = FlagWish, FlagState, NoGoal

    def observe(self, transport: Transport, wish: FlagWish, looks: frozenset[str]) -> FlagState:
        return FlagState(transport.run(Command('test -e "$1"', (wish.path,))).ok)

    def goal(self, pin: FlagState, wish: FlagWish) -> NoGoal:
        return NoGoal()

    def token(self, state: FlagState) -> str:
        return str(state.is_up)

    def effect_seen(self, state: FlagState, action: Action) -> bool:
        return str(state.is_up) != action.only_if


class RaiseFlag(Flag):
    """Raises the flag; what comes after that is for the test to say."""

    name = "flag.raise"

    def decide(self, state: FlagState, memory: Memory[FlagState, NoGoal], wish: FlagWish) -> Decision:
        if not state.is_up:
            return Act(self._raise(wish))
        if wish.after == "fail":
            return Fail("it is up, and that was no good")
        return Wait("it is up", 0.5) if wish.after == "wait" else Done("the flag is up")

    def _raise(self, wish: FlagWish) -> Action:
        hang = f"echo $$ >{SLEEPER}; sleep 300" if wish.after == "hang" else ":"
        call = Command(f'touch "$1" && {hang}', (wish.path,), timeout=400)
        undo = Undo("flag.lower", {"path": wish.path, "lower": wish.lower}, "lower the flag")
        return Action("raise", Effect.ONCE, "raise the flag", "False", call, (Change("flag", "down", "up"),), undo=undo)


class LowerFlag(Flag):
    """Lowers the flag."""

    name = "flag.lower"

    def decide(self, state: FlagState, memory: Memory[FlagState, NoGoal], wish: FlagWish) -> Decision:
        if not state.is_up:
            return Done("the flag is down")
        hang = "sleep 300; " if wish.lower == "hang" else ""
        call = Command(hang + 'rm "$1"', (wish.path,), timeout=400)
        return Act(Action("lower", Effect.CONVERGE, "lower the flag", "True", call, (Change("flag", "up", "down"),)))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        book = Path(folder) / "recover" / "flag.yml"
        book.parent.mkdir()
        book.write_text(PLAYBOOK)
        operations.SHIPPED |= {"flag.raise": "tests.lab.flags:RaiseFlag", "flag.lower": "tests.lab.flags:LowerFlag"}
        Program(name="inv", namespace=build_namespace(Path(folder))).run(["inv", *sys.argv[1:]])
