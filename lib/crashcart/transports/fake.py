"""A transport for tests, part of the library: it answers what it was told to answer, and refuses everything else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec

from crashcart.errors import Cancelled, ConnectionLost
from crashcart.targets import Target
from crashcart.transports.base import Command, CommandResult, HttpReply, Output

Match = str | Callable[[Command], bool]
"""Chooses commands: a piece of their script, or a function that says whether it is meant."""

Reply = str | CommandResult | Exception | Callable[[Command], CommandResult]
"""What a command gets: its stdout, its whole result, an error to be raised, or a function that makes the result."""

Effect = Callable[[Command], None]
"""What a command does to the simulated world."""


_T = TypeVar("_T")


class Unscripted(AssertionError):
    """The code under test sent something that the test did not foresee."""


class _Rule(msgspec.Struct):
    """Replies for the commands that match, in their order; the last one stays."""

    match: Match
    replies: list[Reply]
    effect: Effect | None = None


class _Fault(msgspec.Struct):
    match: Match
    after_effect: bool


def output(text: str = "", *, stderr: str = "", status: int = 0) -> CommandResult:
    """Return the result of a command that ended by itself."""
    return CommandResult(status=status, stdout=Output(head=text.encode()), stderr=Output(head=stderr.encode()))


class FakeTransport:
    """Answers commands by script.

        host = FakeTransport()
        host.on("systemctl show", "ActiveState=failed", "ActiveState=active")
        host.on("systemctl restart", "", effect=lambda command: world.restart())
        host.lose("systemctl restart", after_effect=True)

    Of several rules that match, the latest counts. ``calls`` holds the commands, ``fetched`` the URLs, in their order.
    """

    def __init__(self) -> None:
        self.calls: list[Command] = []
        self.fetched: list[str] = []
        self.closed = False
        self.cancelled = 0
        self._rules: list[_Rule] = []
        self._faults: list[_Fault] = []
        self._fetches: dict[str, list[HttpReply | Exception]] = {}

    def on(self, match: Match, *replies: Reply, effect: Effect | None = None) -> FakeTransport:
        """Answer matching commands with these replies, one after the other; the last one stays. Returns itself."""
        self._rules.append(_Rule(match, list(replies or ("",)), effect))
        return self

    def lose(self, match: Match, *, after_effect: bool) -> FakeTransport:
        """Break the connection in the next matching command: before it has its effect, or after. Returns itself."""
        self._faults.append(_Fault(match, after_effect))
        return self

    def on_fetch(self, url: str, *replies: HttpReply | Exception) -> FakeTransport:
        """Answer requests for this URL, one after the other; the last one stays. Returns itself."""
        self._fetches[url] = list(replies)
        return self

    def run(self, command: Command) -> CommandResult:
        """Answer as scripted.

        Raises ``Unscripted`` for a command that no rule matches, and ``Cancelled`` when its effect called ``cancel``.
        """
        self.calls.append(command)
        rule = self._rule(command)
        fault = next((fault for fault in self._faults if _matches(fault.match, command)), None)
        if fault is not None:
            self._faults.remove(fault)
        if fault is None or fault.after_effect:
            self._apply(rule, command)
        if fault is not None:
            raise ConnectionLost("the connection broke while a command ran: it may have taken effect")
        return _answer(_next(rule.replies), command)

    def fetch(self, url: str, timeout: float) -> HttpReply:
        """Answer as scripted; raises ``Unscripted`` for a URL that was not foreseen."""
        del timeout
        self.fetched.append(url)
        if url not in self._fetches:
            raise Unscripted(f"no reply is scripted for GET {url}; there are: {', '.join(self._fetches) or 'none'}")
        reply = _next(self._fetches[url])
        if isinstance(reply, Exception):
            raise reply
        return reply

    def cancel(self) -> None:
        """Have the command whose effect runs right now raise ``Cancelled``."""
        self.cancelled += 1

    def close(self) -> None:
        """Note it; a closed transport may be used again, as a real one."""
        self.closed = True

    def _rule(self, command: Command) -> _Rule:
        for rule in reversed(self._rules):
            if _matches(rule.match, command):
                return rule
        known = "\n  ".join(str(rule.match) for rule in self._rules) or "nothing"
        raise Unscripted(f"no reply is scripted for\n  {command.script}\nwith {command.args}; there are\n  {known}")

    def _apply(self, rule: _Rule, command: Command) -> None:
        cancelled = self.cancelled
        if rule.effect is not None:
            rule.effect(command)
        if self.cancelled > cancelled:
            raise Cancelled("cancelled")


class FakeConnector:
    """Hands out the fakes of a test by the name of the target; refuses a target that has none."""

    def __init__(self, transports: Mapping[str, FakeTransport]) -> None:
        self.transports = dict(transports)
        self.connected: list[str] = []

    def __call__(self, target: Target) -> FakeTransport:
        """Return the target's fake."""
        self.connected.append(target.name)
        if target.name not in self.transports:
            raise Unscripted(f"there is no fake for {target.name}; there are: {', '.join(self.transports) or 'none'}")
        return self.transports[target.name]


def _matches(match: Match, command: Command) -> bool:
    return match in command.script if isinstance(match, str) else match(command)


def _next(replies: list[_T]) -> _T:
    """Take the next reply; the last one stays."""
    return replies.pop(0) if len(replies) > 1 else replies[0]


def _answer(reply: Reply, command: Command) -> CommandResult:
    if isinstance(reply, Exception):
        raise reply
    if isinstance(reply, CommandResult):
        return reply
    return output(reply) if isinstance(reply, str) else reply(command)
