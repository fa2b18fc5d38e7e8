"""``systemd.restart`` brings a unit back by one restart, ``systemd.assess`` says how it is.

Seed rows S0-R1, S0-D3, S0-D15, S2-G3A and defect 13: never restart what works, never twice, never what
cannot start; a unit is back when it is active and healthy, and stays so. The rules are in ``systemd_rules``.
"""

from __future__ import annotations

from crashcart.facts import restarts, systemd
from crashcart.facts.http import Health
from crashcart.facts.systemd import MOVING, RESTING, UnitState
from crashcart.operations.base import (
    Action,
    ActResult,
    Decision,
    Done,
    Fail,
    HostOperation,
    InDoubt,
    Memory,
    NoGoal,
    NotApplied,
    Rejected,
    Unknown,
)
from crashcart.operations.systemd_rules import (
    WORKING,
    RestartGoal,
    RestartWish,
    Scene,
    UnitWish,
    decide_restart,
    need_hint,
    restart_hint,
    unloadable,
)
from crashcart.results import Verdict
from crashcart.transports.base import Command, CommandResult, Transport
from crashcart.values import Since

EVIDENCE = r"""
# $1 unit. The limits add up to less than evidence may take.
exec 2>&1
within() { timeout --foreground -k 1 "$@"; }
within 2 systemctl --no-pager --full --lines=0 status -- "$1"
printf '\n== journal of %s ==\n' "$1"
within 4 journalctl --no-pager -o short-iso-precise -n 200 -u "$1"
printf '\n== kernel, out of memory ==\n'
within 2 journalctl --no-pager -k -o short-iso-precise -n 50 --grep 'out of memory|oom-kill|killed process'
exit 0
"""

_BROKEN_BUS = ("timed out", "without replying", "Connection reset", "disconnected")
"""What systemctl says when the bus broke after it took the call."""


class RestartUnit(HostOperation[RestartWish, UnitState, RestartGoal]):
    """Restarts a unit at most once, if it does not work, and waits until it does (S0-R1, S2-G3A).

    Refuses a unit that is missing, masked or cannot be loaded, one that requires a unit which has failed or must be
    active first, a health URL that answers 4xx (no restart makes it a health page), and a ``since`` that lies in the
    future. A restart cannot be taken back.
    """

    name = "systemd.restart"
    settle = 10.0
    wish, state, goal_type = RestartWish, UnitState, RestartGoal

    def observe(self, transport: Transport, wish: RestartWish, looks: frozenset[str]) -> UnitState:
        """Read the unit and probe its health URL. Raises ``FactUnreadable`` and the transport's errors."""
        return systemd.observe(transport, wish.unit, wish.health_url)

    def goal(self, pin: UnitState, wish: RestartWish) -> RestartGoal:
        """Pin the invocation that is not wanted any more, and turn a relative ``since`` into the host's own time."""
        return RestartGoal(pin.invocation, Since.parse(wish.since).epoch(pin.now) if wish.since else None)

    def decide(self, state: UnitState, memory: Memory[UnitState, RestartGoal], wish: RestartWish) -> Decision:
        """Judge by the rules of ``systemd_rules``."""
        return decide_restart(Scene(state, memory, wish))

    def token(self, state: UnitState) -> str:
        """Name the state and invocation that a restart is decided from."""
        return f"{state.active} {state.invocation}"

    def effect_seen(self, state: UnitState, action: Action) -> bool:
        """See a restart in its job, or in the new invocation."""
        return bool(state.job) or state.invocation != action.only_if.partition(" ")[2]

    def health(self, state: UnitState, wish: RestartWish) -> Verdict:
        """Call a unit healthy that is active and whose health URL, where there is one, answers well."""
        return Verdict.HEALTHY if state.active == "active" and state.answer in WORKING else Verdict.DOWN

    def spent(self, transport: Transport, wish: RestartWish, window: float) -> int:
        """Count the restarts that people and tools asked for, by the host's own journal."""
        return restarts.observe(transport, wish.unit, window).count

    def evidence(self, action: Action, wish: RestartWish) -> Command:
        """Keep the unit's status and journal, and what the kernel says of memory."""
        return Command(EVIDENCE, (wish.unit,), timeout=10)

    def _judge(self, result: CommandResult, wish: RestartWish) -> ActResult:
        """Tell a systemd that says no from a bus that broke before, or while, it took the call."""
        judged = super()._judge(result, wish)
        if not isinstance(judged, Rejected):
            return judged
        said = result.stderr.text
        if "Failed to connect to bus" in said:
            return NotApplied(judged.why)
        return InDoubt(judged.why) if any(words in said for words in _BROKEN_BUS) else judged


class AssessUnit(HostOperation[UnitWish, UnitState, NoGoal]):
    """Says whether a unit is healthy, degraded or down (S0-D3); changes nothing."""

    name = "systemd.assess"
    reads_only = True
    wish, state, goal_type = UnitWish, UnitState, NoGoal

    def observe(self, transport: Transport, wish: UnitWish, looks: frozenset[str]) -> UnitState:
        """Read the unit and probe its health URL. Raises ``FactUnreadable`` and the transport's errors."""
        return systemd.observe(transport, wish.unit, wish.health_url)

    def goal(self, pin: UnitState, wish: UnitWish) -> NoGoal:
        """There is none."""
        return NoGoal()

    def decide(self, state: UnitState, memory: Memory[UnitState, NoGoal], wish: UnitWish) -> Decision:
        """Judge the state as it is now, by the one fact that decides; nothing is waited for."""
        return _assess_active(state, wish.settle) if state.active == "active" else _assess_other(state)


def _assess_active(state: UnitState, settle: float) -> Decision:
    words = f"{state.name} is {state.standing}"
    young = state.age is not None and state.age < settle
    if state.answer is Health.UNKNOWN:
        return Unknown(f"{state.name} is {state.steady}")
    if state.answer not in WORKING:
        down = state.answer is Health.SILENT and not young
        return Fail(words, restart_hint(state.name), Verdict.DOWN if down else Verdict.DEGRADED)
    return _degraded(state) if state.restarts and young else Done(words, Verdict.HEALTHY)


def _assess_other(state: UnitState) -> Decision:
    if state.load != "loaded":
        return Fail(*unloadable(state), Verdict.DOWN)
    if state.is_finished_oneshot:
        return Done(f"{state.name} is {state.standing}; a oneshot unit need not run", Verdict.HEALTHY)
    if state.active not in MOVING | RESTING:
        return Unknown(f"systemd calls {state.name} {state.active!r}, which is not known here")
    if state.active in MOVING and state.active != "deactivating":
        return _degraded(state)
    return _down(state)


def _degraded(state: UnitState) -> Decision:
    restarts = f"; restarts by systemd: {state.restarts}" if state.restarts else ""
    return Fail(f"{state.name} is {state.standing}{restarts}", restart_hint(state.name), Verdict.DEGRADED)


def _down(state: UnitState) -> Decision:
    need = state.broken_need
    if need is None:
        return Fail(f"{state.name} is {state.standing}", restart_hint(state.name), Verdict.DOWN)
    why = f"{state.name} is {state.standing}; it requires {need.name}, which is {need.trouble}"
    return Fail(why, need_hint(state.name, need), Verdict.DOWN)
