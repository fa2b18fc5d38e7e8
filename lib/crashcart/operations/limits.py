"""``limits.set`` gives a unit other limits, without a restart and without the disk; ``limits.assess`` says how near it is.

Seed row S0-R2 and defect 12: what is in force is left alone, nothing is set that the host has not, and a change ends by
itself at the next boot, or much sooner where nobody says with ``limits.keep`` that it was verified. The rules are in
``limits_rules``.
"""

from __future__ import annotations

import msgspec

from crashcart.facts import limits
from crashcart.facts.limits import LimitsState
from crashcart.facts.systemd import MOVING, RESTING
from crashcart.operations.base import (
    ActResult,
    Decision,
    Done,
    Fail,
    HostOperation,
    InDoubt,
    Memory,
    NoGoal,
    Rejected,
    Unknown,
    W,
)
from crashcart.operations.limits_rules import Scene, cannot_load, decide_keep, decide_restore, decide_set, token_of
from crashcart.operations.limits_wish import LimitsWish, RestoreWish, SetWish
from crashcart.operations.systemd_rules import restart_hint
from crashcart.results import Verdict
from crashcart.transports.base import CommandResult, Transport
from crashcart.values import Percent, UnitName, format_size


class LimitsOperation(HostOperation[W, LimitsState, NoGoal]):
    """What operations on limits have in common."""

    state, goal_type = LimitsState, NoGoal

    def goal(self, pin: LimitsState, wish: W) -> NoGoal:
        """There is none: limits are absolute."""
        return NoGoal()

    def token(self, state: LimitsState) -> str:
        """Name the values that an act is decided from."""
        return token_of(state)

    def _judge(self, result: CommandResult, wish: W) -> ActResult:
        """Doubt what systemctl could not hear the answer of: one look tells."""
        judged = super()._judge(result, wish)
        said = result.stderr.text
        broken = "bus" in said or "timed out" in said or "disconnected" in said
        return InDoubt(judged.why) if isinstance(judged, Rejected) and broken else judged


class SetLimits(LimitsOperation[SetWish]):
    """Sets a unit's limits until the next boot, with a timer on the host that takes them back (S0-R2).

    Refuses a unit that is missing or masked, or that is down (a limit alone does not bring it back), more memory or CPU
    than the host has, and less memory than the unit uses, at which the kernel would kill it. Is taken back by
    ``limits.restore``, and by the host itself when ``undo_after`` is over and nobody has kept it.
    """

    name = "limits.set"
    wish = SetWish

    def observe(self, transport: Transport, wish: SetWish, looks: frozenset[str]) -> LimitsState:
        """Read the unit's limits. Raises ``FactUnreadable`` and the transport's errors."""
        return limits.observe(transport, wish.unit)

    def decide(self, state: LimitsState, memory: Memory[LimitsState, NoGoal], wish: SetWish) -> Decision:
        """Judge by the rules of ``limits_rules``."""
        return decide_set(Scene(state, memory, wish))


class RestoreLimits(LimitsOperation[RestoreWish]):
    """Takes back what ``limits.set`` did, and its timer; what somebody changed since then stays.

    Refuses while the unit uses more memory than the limit that would be put back, at which the kernel would kill it.
    """

    name = "limits.restore"
    wish = RestoreWish

    def observe(self, transport: Transport, wish: RestoreWish, looks: frozenset[str]) -> LimitsState:
        """Read the unit's limits. Raises ``FactUnreadable`` and the transport's errors."""
        return limits.observe(transport, wish.unit)

    def decide(self, state: LimitsState, memory: Memory[LimitsState, NoGoal], wish: RestoreWish) -> Decision:
        """Judge by the rules of ``limits_rules``; a unit that is gone has no limits to put back."""
        told = cannot_load(state)
        return Done(f"nothing to put back: {told[0]}") if told else decide_restore(state, wish, acted=memory.acted)


class KeepLimits(LimitsOperation[LimitsWish]):
    """Disarms the timer of ``limits.set``, as the last step: all else was verified."""

    name = "limits.keep"
    wish = LimitsWish

    def observe(self, transport: Transport, wish: LimitsWish, looks: frozenset[str]) -> LimitsState:
        """Read the unit's limits. Raises ``FactUnreadable`` and the transport's errors."""
        return limits.observe(transport, wish.unit)

    def decide(self, state: LimitsState, memory: Memory[LimitsState, NoGoal], wish: LimitsWish) -> Decision:
        """Judge by the rules of ``limits_rules``."""
        told = cannot_load(state)
        return Fail(*told) if told else decide_keep(state, wish)


class AssessWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which unit, and how much of its memory limit it may use before it counts as degraded."""

    unit: UnitName
    degraded_above: Percent = Percent(90)


class AssessLimits(LimitsOperation[AssessWish]):
    """Says whether a unit has memory left: healthy, degraded (near its limit) or down; changes nothing (S0-D15, S0-R2)."""

    name = "limits.assess"
    reads_only = True
    wish = AssessWish

    def observe(self, transport: Transport, wish: AssessWish, looks: frozenset[str]) -> LimitsState:
        """Read the unit's limits. Raises ``FactUnreadable`` and the transport's errors."""
        return limits.observe(transport, wish.unit)

    def decide(self, state: LimitsState, memory: Memory[LimitsState, NoGoal], wish: AssessWish) -> Decision:
        """Judge the state as it is now; nothing is waited for."""
        told = cannot_load(state)
        if told:
            return Fail(*told, Verdict.DOWN)
        if state.active not in MOVING | RESTING:
            return Unknown(f"systemd calls {state.id} {state.active!r}, which is not known here")
        if state.active != "active":
            verdict = Verdict.DEGRADED if state.active in MOVING else Verdict.DOWN
            return Fail(f"{state.id} is {state.shortly}", restart_hint(state.id), verdict)
        return _assess_memory(state, wish.degraded_above)


def _assess_memory(state: LimitsState, above: float) -> Decision:
    limit = state.memory_limit
    if limit is None:
        return Done(f"{state.id} {state.standing}", Verdict.HEALTHY)
    if state.used is None:
        return Unknown(f"{state.id} has a MemoryMax of {format_size(limit)}, but nobody can tell what it uses")
    share = 100 * state.used / max(1, limit)
    words = f"{state.id} {state.standing}: {share:.0f}% of it in use"
    if share < above:
        return Done(words, Verdict.HEALTHY)
    more = max(limit, state.used) * 2 // 1024**2
    return Fail(words, f"inv recover.service-limits --unit {state.id} --memory-max {more}M --hosts ...", Verdict.DEGRADED)
