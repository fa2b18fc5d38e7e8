"""``network.assess`` says whether a host reaches what it depends on: name, TCP, certificate (seed row S0-D16)."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from crashcart.facts import network
from crashcart.facts.network import MOST, Dependency, Network, Route
from crashcart.operations.base import Decision, HostOperation, Memory, NoGoal
from crashcart.operations.findings import Finding, judge
from crashcart.results import Evidence, Verdict
from crashcart.transports.base import Transport
from crashcart.values import Duration, format_span

ELSEWHERE = "find out from other hosts whether it is this one: inv check.network --hosts GROUP"


class NetworkWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the host depends on, such as ``db.example.com:5432``, ``tls://cache:6380``, ``https://api.example.com``."""

    dependencies: tuple[str, ...]
    expires_within: Duration = Duration(14 * 86400)

    def __post_init__(self) -> None:
        if not 1 <= len(self.dependencies) <= MOST:
            raise ValueError(f"dependencies: expected 1 to {MOST}, got {len(self.dependencies)}")
        for text in self.dependencies:
            try:
                Dependency.parse(text)
            except ValueError as error:
                raise ValueError(f"dependencies: {error}") from error

    @property
    def places(self) -> tuple[Dependency, ...]:
        """The dependencies, read."""
        return tuple(map(Dependency.parse, self.dependencies))


class AssessNetwork(HostOperation[NetworkWish, Network, NoGoal]):
    """Says whether a host reaches its dependencies; changes nothing. A host that reaches none of them is down."""

    name = "network.assess"
    reads_only = True
    wish, state, goal_type = NetworkWish, Network, NoGoal

    def observe(self, transport: Transport, wish: NetworkWish, looks: frozenset[str]) -> Network:
        """Try them all at the same time. Raises ``FactUnreadable`` and the transport's errors."""
        return network.observe(transport, wish.places)

    def goal(self, pin: Network, wish: NetworkWish) -> NoGoal:
        """There is none."""
        return NoGoal()

    def decide(self, state: Network, memory: Memory[Network, NoGoal], wish: NetworkWish) -> Decision:
        """Judge by the worst of all routes; nothing is waited for."""
        names = ", ".join(route.dependency.shown for route in state.routes)
        return judge(_findings(state, wish), f"reaches {names}", (_matrix(state),))


def _findings(state: Network, wish: NetworkWish) -> Iterator[Finding]:
    broken = [route for route in state.routes if route.resolved is False or route.reached is False]
    if len(broken) == len(state.routes) > 1:
        yield Finding(Verdict.DOWN, f"reaches none of its {len(broken)} dependencies: {_words(broken[0])}", ELSEWHERE)
    for route in broken:
        yield Finding(Verdict.DEGRADED, f"does not reach {_words(route)}", ELSEWHERE)
    for server in state.mute_servers:
        yield Finding(Verdict.DEGRADED, f"name server {server} of /etc/resolv.conf does not answer")
    for route in state.routes:
        yield from _certificate(route, state.now, wish)
        if route.resolved is None or (route.dependency.port and route.resolved and route.reached is None):
            yield Finding(Verdict.UNKNOWN, f"cannot tell whether it reaches {_words(route)}")


def _certificate(route: Route, now: float, wish: NetworkWish) -> Iterator[Finding]:
    left = None if route.expires is None else route.expires - now
    if left is not None and left < wish.expires_within:
        when = f"ends in {format_span(left)}" if left > 0 else f"ended {format_span(-left)} ago"
        yield Finding(Verdict.DEGRADED, f"the certificate of {route.dependency.shown} {when}")
    elif left is None and route.dependency.tls and route.reached:
        yield Finding(Verdict.UNKNOWN, f"the certificate of {route.dependency.shown} could not be read")
    elif route.untrusted:
        yield Finding(Verdict.DEGRADED, f"the certificate of {route.dependency.shown} is not trusted: {route.untrusted}")


def _words(route: Route) -> str:
    return f"{route.dependency.shown} ({route.said})" if route.said else route.dependency.shown


def _matrix(state: Network) -> Evidence:
    lines = (f"{_words(route)} {', '.join(route.addresses)}{' reached' if route.reached else ''}" for route in state.routes)
    return Evidence("dependencies", lines=tuple(lines))
