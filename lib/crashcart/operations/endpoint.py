"""``endpoint.assess`` asks URLs from a host, once or many times, and judges answers, times and certificates.

Seed rows S0-D1 and S0-V1: one 200 is no proof, so it can ask many times and hold percentiles against limits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import msgspec

from crashcart.facts import endpoint
from crashcart.facts.endpoint import Endpoint, Endpoints, Sample, Trouble
from crashcart.operations.base import Decision, HostOperation, Memory, NoGoal, Unknown
from crashcart.operations.findings import Finding, judge
from crashcart.results import Verdict
from crashcart.transports.base import Transport
from crashcart.values import Duration, Percent, UnitName, Url, format_span

MOST = 500
"""Requests that one look may send to a URL."""

NO_TOOL = "neither curl nor wget on the host"


class EndpointWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which URLs, how often, and what is good: a status of 2xx (or one of ``expect``), in time, from a lasting certificate.

    ``p50``, ``p95`` and ``p99`` are limits in seconds, 0 for none; ``errors`` is how much of the answers may be bad.
    ``unit`` is the service behind them, for the command that helps.
    """

    urls: tuple[Url, ...]
    samples: int = 1
    timeout: Duration = Duration(5)
    budget: Duration = Duration(10)
    pause: Duration = Duration(0)
    expect: tuple[int, ...] = ()
    errors: Percent = Percent(0)
    p50: Duration = Duration(0)
    p95: Duration = Duration(0)
    p99: Duration = Duration(0)
    expires_within: Duration = Duration(14 * 86400)
    unit: str = ""

    def __post_init__(self) -> None:
        if not self.urls:
            raise ValueError("urls: expected at least one URL, got none")
        if not 1 <= self.samples <= MOST:
            raise ValueError(f"samples: expected a number from 1 to {MOST}, got {self.samples}")
        if self.unit:
            UnitName.parse(self.unit)

    @property
    def limits(self) -> tuple[tuple[int, float], ...]:
        """The percentiles that have a limit, with it."""
        return tuple((share, limit) for share, limit in ((50, self.p50), (95, self.p95), (99, self.p99)) if limit)


class AssessEndpoints(HostOperation[EndpointWish, Endpoints, NoGoal]):
    """Says whether URLs answer a host well, fast enough and with a certificate that lasts; changes nothing."""

    name = "endpoint.assess"
    reads_only = True
    wish, state, goal_type = EndpointWish, Endpoints, NoGoal

    def observe(self, transport: Transport, wish: EndpointWish, looks: frozenset[str]) -> Endpoints:
        """Ask the URLs. Raises ``FactUnreadable`` and the transport's errors."""
        return endpoint.observe(
            transport, wish.urls, samples=wish.samples, timeout=wish.timeout, budget=wish.budget, pause=wish.pause
        )

    def goal(self, pin: Endpoints, wish: EndpointWish) -> NoGoal:
        """There is none."""
        return NoGoal()

    def decide(self, state: Endpoints, memory: Memory[Endpoints, NoGoal], wish: EndpointWish) -> Decision:
        """Judge by the worst URL; nothing is waited for."""
        if state.tool == "none":
            return Unknown(f"the URLs cannot be asked: {NO_TOOL}")
        findings = [finding for one in state.found for finding in _findings(one, state.now, wish)]
        return judge(findings, "; ".join(_well(one) for one in state.found))


def _findings(one: Endpoint, now: float, wish: EndpointWish) -> Iterator[Finding]:
    asked = [sample for sample in one.samples if sample.trouble is not Trouble.TOOL]
    if len(asked) < min(wish.samples, max(1, len(one.samples))) or not asked:
        said = next((sample.said for sample in one.samples if sample.trouble is Trouble.TOOL), "there was no time")
        yield Finding(Verdict.UNKNOWN, f"{one.url} could not be asked: {said}")
        return
    bad = [sample for sample in asked if not _is_good(sample, wish)]
    if len(bad) * 100 > wish.errors * len(asked):
        yield _broken(one, bad, len(asked), wish)
    if len(one.samples) < wish.samples:
        yield Finding(Verdict.UNKNOWN, f"{one.url}: only {len(asked)} of {wish.samples} requests got done in time")
    if len(bad) < len(asked):
        yield from _slow(one, wish)
    yield from _expiring(one, now, wish)


def _is_good(sample: Sample, wish: EndpointWish) -> bool:
    return sample.status in wish.expect if wish.expect else 200 <= sample.status < 300


def _broken(one: Endpoint, bad: list[Sample], of: int, wish: EndpointWish) -> Finding:
    words, number = Counter(sample.words for sample in bad).most_common(1)[0]
    is_down = len(bad) == of and any(sample.status == 0 or sample.status >= 500 for sample in bad)
    how_many = "" if of == 1 else f", {len(bad)} of {of} bad" if number == len(bad) else f" most of {len(bad)} bad of {of}"
    return Finding(Verdict.DOWN if is_down else Verdict.DEGRADED, f"{one.url}: {words}{how_many}", _hint(bad[0], wish))


def _hint(sample: Sample, wish: EndpointWish) -> str:
    if sample.trouble is Trouble.DNS:
        return "inv check.network --hosts ..."
    if wish.unit and (sample.status == 0 or sample.status >= 500) and sample.trouble is not Trouble.TLS:
        return f"inv recover.service-restart --unit {wish.unit} --hosts ..."
    return ""


def _slow(one: Endpoint, wish: EndpointWish) -> Iterator[Finding]:
    for share, limit in wish.limits:
        took = one.percentile(share)
        if took > limit:
            yield Finding(Verdict.DEGRADED, f"{one.url}: p{share} {_ms(took)}, above {_ms(limit)} ({_spread(one)})")


def _expiring(one: Endpoint, now: float, wish: EndpointWish) -> Iterator[Finding]:
    left = None if one.expires is None else one.expires - now
    if left is not None and left < wish.expires_within:
        when = f"ends in {format_span(left)}" if left > 0 else f"ended {format_span(-left)} ago"
        yield Finding(Verdict.DEGRADED if left > 0 else Verdict.DOWN, f"{one.url}: its certificate {when}")


def _well(one: Endpoint) -> str:
    statuses = ", ".join(str(status) for status in sorted({sample.status for sample in one.samples}))
    return f"{one.url} answers {statuses} ({_spread(one)})"


def _spread(one: Endpoint) -> str:
    if len(one.samples) == 1:
        return f"in {_ms(one.samples[0].total)}"
    shares = ", ".join(f"p{share} {_ms(one.percentile(share))}" for share in (50, 95, 99))
    return f"{len(one.samples)} requests: {shares}"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"
