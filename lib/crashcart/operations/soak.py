"""``systemd.soak`` watches a service for a while after a recovery: it has to stay as well as it is now (seed row S0-V1)."""

from __future__ import annotations

import msgspec

from crashcart.facts import systemd
from crashcart.facts.http import Health
from crashcart.facts.systemd import UnitState
from crashcart.operations.base import Decision, Done, Fail, HostOperation, Memory, Unknown, Wait
from crashcart.operations.systemd_rules import WORKING, UnitWish, restart_hint
from crashcart.results import Verdict
from crashcart.transports.base import Transport
from crashcart.values import Duration, format_span

LONGEST = 3000.0
"""Seconds that a soak may take; verify.soak gives its step an hour."""


class SoakWish(UnitWish, frozen=True, forbid_unknown_fields=True):
    """The unit shall stay up and well, without a new start, for ``during`` seconds; looked at ``every`` so many."""

    during: Duration = Duration(300)
    every: Duration = Duration(10)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.during > LONGEST:
            raise ValueError(f"during: expected at most {format_span(LONGEST)}, got {format_span(self.during)}")


class SoakGoal(msgspec.Struct, frozen=True):
    """Until when (seconds since 1970, the host's clock), and what has to stay as it is."""

    until: float
    invocation: str
    oom_kills: int


class SoakUnit(HostOperation[SoakWish, UnitState, SoakGoal]):
    """Waits, and fails at the first sign that a service does not stay well; changes nothing."""

    name = "systemd.soak"
    reads_only = True
    wish, state, goal_type = SoakWish, UnitState, SoakGoal

    def observe(self, transport: Transport, wish: SoakWish, looks: frozenset[str]) -> UnitState:
        """Read the unit and probe its health URL. Raises ``FactUnreadable`` and the transport's errors."""
        return systemd.observe(transport, wish.unit, wish.health_url)

    def goal(self, pin: UnitState, wish: SoakWish) -> SoakGoal:
        """Fix the end, and the start of the service that has to last until then."""
        return SoakGoal(pin.now + wish.during, pin.invocation, pin.oom_kills)

    def decide(self, state: UnitState, memory: Memory[UnitState, SoakGoal], wish: SoakWish) -> Decision:
        """Fail at the first bad look; one that could not be taken is taken again."""
        words, goal = f"{state.name} is {state.standing}", memory.goal
        if state.load != "loaded" or state.active != "active" or state.answer not in {*WORKING, Health.UNKNOWN}:
            verdict = Verdict.DEGRADED if state.active == "active" and state.answer is not Health.SILENT else Verdict.DOWN
            return Fail(words, restart_hint(state.name), verdict)
        if state.invocation != goal.invocation:
            return Fail(f"{words}: it was started anew meanwhile", _logs(state), Verdict.DEGRADED)
        if state.oom_kills > goal.oom_kills:
            return Fail(words, f"inv check.limits --unit {state.name} --hosts ...", Verdict.DEGRADED)
        if state.answer is Health.UNKNOWN:
            return Unknown(f"{state.name} is {state.steady}")
        left = goal.until - state.now
        if left > 0:
            return Wait(f"{state.name} is well, for {format_span(left)} more", min(wish.every, left))
        return Done(f"{words}; it stayed so for {format_span(wish.during)}", Verdict.HEALTHY)


def _logs(state: UnitState) -> str:
    return f"inv check.logs --unit {state.name} --hosts ..."
