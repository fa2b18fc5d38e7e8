"""``host.ping``: tells whether we can log in and become root."""

from __future__ import annotations

import msgspec

from crashcart.facts import host
from crashcart.facts.host import HostState
from crashcart.operations.base import Decision, Done, HostOperation, Memory, NoGoal
from crashcart.results import Verdict
from crashcart.transports.base import Transport


class Ping(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing to say: the login is the question."""


class PingHost(HostOperation[Ping, HostState, NoGoal]):
    """Logs in and runs one command as root (MISSION S0-D3: a host that cannot be asked is not down)."""

    name = "host.ping"
    reads_only = True
    wish, state, goal_type = Ping, HostState, NoGoal

    def observe(self, transport: Transport, wish: Ping, looks: frozenset[str]) -> HostState:
        """Ask the host who we are."""
        return host.observe(transport)

    def goal(self, pin: HostState, wish: Ping) -> NoGoal:
        """There is none."""
        return NoGoal()

    def decide(self, state: HostState, memory: Memory[HostState, NoGoal], wish: Ping) -> Decision:
        """Report the answer."""
        return Done(f"{state.system}, {state.kernel}, as {state.user}", Verdict.HEALTHY)
