"""``http.healthy``: a health URL answers well, as seen from its host."""

from __future__ import annotations

import msgspec

from crashcart.facts import http
from crashcart.facts.http import LIMIT, Health, Probe
from crashcart.operations.base import Decision, Done, HostOperation, Memory, NoGoal, Unknown, Wait
from crashcart.results import Verdict
from crashcart.transports.base import Transport
from crashcart.values import Duration, Url


class HealthyWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The URL shall answer with a status from 200 to 399, each try within ``timeout`` seconds."""

    url: Url
    timeout: Duration = Duration(LIMIT)


class HttpHealthy(HostOperation[HealthyWish, Probe, NoGoal]):
    """Waits until a health URL answers well; the step's deadline fails it (seed row S0-R1, verification)."""

    name = "http.healthy"
    reads_only = True
    wish, state, goal_type = HealthyWish, Probe, NoGoal

    def observe(self, transport: Transport, wish: HealthyWish, looks: frozenset[str]) -> Probe:
        """Probe the URL from its host. Raises ``FactUnreadable`` and the transport's errors."""
        return http.observe(transport, wish.url, wish.timeout)

    def goal(self, pin: Probe, wish: HealthyWish) -> NoGoal:
        """There is none."""
        return NoGoal()

    def decide(self, state: Probe, memory: Memory[Probe, NoGoal], wish: HealthyWish) -> Decision:
        """Take a good answer; wait for one otherwise."""
        if state.health is Health.OK:
            return Done(f"{wish.url} answers {state.words}", Verdict.HEALTHY)
        if state.health is Health.UNKNOWN:
            return Unknown(f"{wish.url}: {state.words}")
        return Wait(f"{wish.url}: {state.words}")
