"""``database.answers`` proves that a database serves its clients after a recovery; ``database.assess`` says how it is now.

Seed rows S0-D8 and S0-D10. Both speak to the endpoint that clients use (``endpoint_url``), from the controller
and as a client does, where the other operations on the same target ask AWS. That something answers is not enough: it has to
be the writer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, TypeVar

import msgspec

from crashcart.facts import database
from crashcart.facts.database import DatabaseState, Silence
from crashcart.facts.database_queries import Blocked, Load, Role
from crashcart.operations.base import (
    Action,
    ActResult,
    Decision,
    Done,
    Memory,
    NoGoal,
    Operation,
    Rejected,
    Wait,
)
from crashcart.operations.findings import Finding, judge
from crashcart.results import Evidence, Verdict
from crashcart.targets import Target
from crashcart.transports.base import DatabaseTransport
from crashcart.transports.database_access import DATABASE, URL, EndpointUrl, check_means
from crashcart.values import Duration, Percent, format_span

KINDS = ("rds_cluster", "rds_instance", "elasticache_replication_group")
AGAIN = 2.0
"""Seconds between two looks while the name of an endpoint still leads elsewhere; clients cache it for five."""

STALE_NAME = "the name may still lead to the old one: inv check.database --hosts ..."
FROM_THERE = "find out whether its clients reach it: inv check.network --hosts GROUP"


class Wanted(StrEnum):
    """Which role an endpoint has to have; ``any`` where it does not matter who answers."""

    WRITER = "writer"
    READER = "reader"
    ANY = "any"


class AnswersWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What answers at ``url`` shall be the writer, or have another ``role``."""

    url: str
    role: Wanted = Wanted.WRITER

    def __post_init__(self) -> None:
        try:
            EndpointUrl.parse(self.url)
        except ValueError as error:
            raise ValueError(f"url: {error}") from None


class DatabaseWish(AnswersWish, frozen=True, forbid_unknown_fields=True):
    """The same, and what is degraded: an answer that takes longer than ``slow``, connections beyond ``full``, locks."""

    slow: Duration = Duration(1)
    full: Percent = Percent(90)
    blocked_for: Duration = Duration(30)


W = TypeVar("W", AnswersWish, DatabaseWish)


class _AtTheEndpoint(Operation[W, DatabaseState, NoGoal]):
    """What both have in common: whom they speak to, and that they only look."""

    kinds = KINDS
    reads_only = True
    state, goal_type = DatabaseState, NoGoal

    def subject(self, target: Target, wish: W) -> Target:
        """Return the database behind the target, at the URL of the wish and with the target's own password."""
        return Target(target.name, DATABASE, {**target.variables, URL: wish.url}, target.groups)

    def goal(self, pin: DatabaseState, wish: W) -> NoGoal:
        """There is none."""
        return NoGoal()

    def act(self, transport: DatabaseTransport, action: Action, wish: W) -> ActResult:
        """Never asked for."""
        return Rejected("it only looks")


class AnswerClients(_AtTheEndpoint[AnswersWish]):
    """Waits until a database answers its clients in the role that it should have; changes nothing.

    The name of an endpoint may lead to the old writer for a while after a failover, so everything but a denied login is
    waited for. Of a ``tcp://`` or ``http://`` endpoint only that it answers can be told, and the message says so.
    """

    name = "database.answers"
    wish = AnswersWish

    def check(self, target: Target, args: Mapping[str, Any]) -> None:
        """Check that this machine can log in there, before anything is changed. Raises ``BadInput``."""
        check_means(target, str(args["url"]))

    def observe(self, transport: DatabaseTransport, wish: AnswersWish, looks: frozenset[str]) -> DatabaseState:
        """Connect anew and ask. Raises ``AuthenticationFailed`` and ``FactUnreadable``."""
        return database.observe_patiently(transport)

    def decide(self, state: DatabaseState, memory: Memory[DatabaseState, NoGoal], wish: AnswersWish) -> Decision:
        """Wait for the role, or for an answer."""
        if state.silence is not Silence.NONE:
            return Wait(state.said, AGAIN, FROM_THERE if state.silence is Silence.NO_CONNECTION else "")
        if _is_wanted(state.role, wish.role):
            return Done(_well(state), Verdict.HEALTHY)
        return Wait(_misplaced(state, wish), AGAIN, STALE_NAME)


class AssessDatabase(_AtTheEndpoint[DatabaseWish]):
    """Says whether a database answers its clients, in which role, how fast, with how many connections, and who blocks whom.

    Changes nothing: its transactions may only read and end after 5 s. Query texts are not kept. A login that fails and
    an endpoint that this machine does not reach are unknown: they say nothing of the service.
    """

    name = "database.assess"
    wish = DatabaseWish

    def observe(self, transport: DatabaseTransport, wish: DatabaseWish, looks: frozenset[str]) -> DatabaseState:
        """Connect anew and ask. Raises ``FactUnreadable`` and ``Unreachable``."""
        return database.observe(transport, load=True)

    def decide(self, state: DatabaseState, memory: Memory[DatabaseState, NoGoal], wish: DatabaseWish) -> Decision:
        """Judge by the worst finding; nothing is waited for."""
        return judge(_findings(state, wish), _well(state), _shown(state.load) if state.load else ())

    def health(self, state: DatabaseState, wish: DatabaseWish) -> Verdict:
        """Say whether it serves."""
        serves = state.silence is Silence.NONE and _is_wanted(state.role, wish.role)
        return Verdict.HEALTHY if serves else Verdict.DOWN


def _is_wanted(role: Role, wanted: Wanted) -> bool:
    """Tell whether a role will do; what cannot tell its role is asked for an answer only."""
    if wanted is Wanted.WRITER:
        return role in {Role.WRITER, Role.SHARDED, Role.NOT_ASKED}
    return wanted is Wanted.ANY or role is not Role.WRITER


def _misplaced(state: DatabaseState, wish: AnswersWish) -> str:
    return f"{state.address} answers, but as {state.role.value} and not as {wish.role.value}: {state.detail}"


def _well(state: DatabaseState) -> str:
    role = f"role {state.role.value}" if state.role is not Role.NOT_ASKED else "its role is not asked"
    load = f", {state.load.used} of {state.load.most} connections" if state.load and state.load.most else ""
    return f"{state.address} answers in {state.answered * 1000:.0f} ms, {role}: {state.detail}{load}"


def _findings(state: DatabaseState, wish: DatabaseWish) -> Iterator[Finding]:
    if state.silence is not Silence.NONE:
        yield Finding(Verdict.DOWN, state.said)
        return
    if not _is_wanted(state.role, wish.role):
        yield Finding(Verdict.DOWN if wish.role is Wanted.WRITER else Verdict.DEGRADED, _misplaced(state, wish))
    if state.answered > wish.slow:
        yield Finding(Verdict.DEGRADED, f"{state.address} takes {state.answered * 1000:.0f} ms to answer")
    if state.load:
        yield from _busy(state.address, state.load, wish)


def _busy(address: str, load: Load, wish: DatabaseWish) -> Iterator[Finding]:
    if load.unreadable:
        yield Finding(Verdict.UNKNOWN, f"how busy {address} is cannot be told: {load.unreadable}")
    if load.full > wish.full:
        yield Finding(Verdict.DEGRADED, f"{address}: {load.used} of {load.most} connections are in use{_most(load)}")
    waiting = [one for one in load.blocked if one.seconds >= wish.blocked_for]
    if waiting:
        number = len({one.pid for one in waiting})
        root = roots(load.blocked)[0]
        longest = format_span(max(one.seconds for one in waiting))
        why = f"{address}: {number} {'session waits' if number == 1 else 'sessions wait'} for locks, for up to {longest}"
        yield Finding(
            Verdict.DEGRADED, f"{why}; the first to hold one is {root.by} ({_whose(root.by_application, root.by_state)})"
        )


def _most(load: Load) -> str:
    first = next(iter(load.counts), None)
    return f", most of them {_whose(first.application, first.state)}" if first else ""


def roots(blocked: tuple[Blocked, ...]) -> list[Blocked]:
    """Return one line per blocker that waits for nobody itself, that with the most waiting directly first.

    A circle has none; then its first line stands for it.
    """
    waiting = {one.pid for one in blocked}
    first = {one.by: one for one in reversed(blocked) if one.by not in waiting}
    number = {by: sum(one.by == by for one in blocked) for by in first}
    return sorted(first.values(), key=lambda one: -number[one.by]) or list(blocked[:1])


def tree(blocked: tuple[Blocked, ...]) -> Iterator[str]:
    """Yield the lines of who blocks whom, each session once, below whoever blocks it."""
    told: set[int] = set()
    for root in roots(blocked):
        yield f"{root.by} ({_whose(root.by_application, root.by_state)}) blocks:"
        yield from _below(root.by, blocked, told, 1)


def _below(holder: int, blocked: tuple[Blocked, ...], told: set[int], depth: int) -> Iterator[str]:
    for one in blocked:
        if one.by == holder and one.pid not in told:
            told.add(one.pid)
            yield f"{'  ' * depth}{one.pid} ({_whose(one.application, one.doing)}) for {format_span(one.seconds)}"
            yield from _below(one.pid, blocked, told, depth + 1)


def _shown(load: Load) -> tuple[Evidence, ...]:
    counts = tuple(f"{one.number} {_whose(one.application, one.state)}" for one in load.counts)
    return (
        Evidence("blocked", lines=tuple(tree(load.blocked))),
        Evidence("connections", lines=counts),
        Evidence("facts", lines=load.facts),
    )


def _whose(application: str, doing: str) -> str:
    return f"{application or 'unnamed'}, {doing or 'idle'}"
