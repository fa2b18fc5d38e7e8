"""``logs.assess`` counts an application's error lines by signature (seed row S0-D7).

Errors in a log are a hint and not a proof: many of them make a target degraded, none make it down.
"""

from __future__ import annotations

import re

import msgspec

from crashcart.facts import logs
from crashcart.facts.logs import LogState, Signature
from crashcart.facts.systemd import clock_time
from crashcart.operations.base import Decision, HostOperation, Memory, NoGoal, Unknown
from crashcart.operations.findings import Finding, judge
from crashcart.results import Evidence, Verdict
from crashcart.transports.base import Transport
from crashcart.values import AbsolutePath, Duration, UnitName, format_span

SHOWN = 5
"""Signatures that are told."""

_MEANS = {
    "no space left": "inv check.disk --hosts ...",
    "disk quota": "inv check.disk --hosts ...",
    "out of memory": "inv check.host --hosts ...",
    "connection refused": "inv check.network --hosts ...",
    "could not resolve": "inv check.network --hosts ...",
    "too many open files": "inv check.limits --hosts ...",
}
"""Words of a log that name their own cause, and the command that looks at it."""


class LogsWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which log: a file, else a unit's journal, else the whole journal's errors; how far back, and what an error is.

    Degraded at ``degraded_from`` error lines in the window. ``pattern`` is an extended regular expression, case ignored.
    """

    path: str = ""
    unit: str = ""
    window: Duration = Duration(600)
    pattern: str = ""
    degraded_from: int = 20

    def __post_init__(self) -> None:
        for name, kind, text in (("path", AbsolutePath, self.path), ("unit", UnitName, self.unit)):
            try:
                _ = text and kind.parse(text)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error
        if self.degraded_from < 1:
            raise ValueError(f"degraded_from: expected at least 1, got {self.degraded_from}")
        if "\n" in self.pattern or "\0" in self.pattern:
            raise ValueError(f"pattern: expected one line, got {self.pattern!r}")

    @property
    def place(self) -> str:
        """Which log it is, for people."""
        return self.path or (f"the journal of {self.unit}" if self.unit else "the journal")


class AssessLogs(HostOperation[LogsWish, LogState, NoGoal]):
    """Says what an application's log complains of; changes nothing."""

    name = "logs.assess"
    reads_only = True
    wish, state, goal_type = LogsWish, LogState, NoGoal

    def observe(self, transport: Transport, wish: LogsWish, looks: frozenset[str]) -> LogState:
        """Read the log's end. Raises ``FactUnreadable`` and the transport's errors."""
        return logs.observe(transport, wish.path, wish.unit, wish.window, wish.pattern)

    def goal(self, pin: LogState, wish: LogsWish) -> NoGoal:
        """There is none."""
        return NoGoal()

    def decide(self, state: LogState, memory: Memory[LogState, NoGoal], wish: LogsWish) -> Decision:
        """Judge by how many error lines there are."""
        troubles = {"absent": "does not exist", "special": "is no regular file", "none": "cannot be read: no journalctl"}
        if state.source == "pattern":
            return Unknown(
                f"grep on this host does not understand {wish.pattern!r}", "--pattern takes an extended regular expression"
            )
        if state.source in troubles:
            return Unknown(f"{wish.place} {troubles[state.source]}", "--path takes another log, --unit a unit's journal")
        span = f"in {format_span(wish.window)}" if state.dated else "in its last part (its lines have no dates)"
        words = f"{wish.place}: {state.lines} error lines {span}" if state.lines else f"{wish.place}: no errors {span}"
        top = f"; {state.signatures[0].count} times: {state.signatures[0].text}" if state.signatures else ""
        finding = Finding(Verdict.DEGRADED, f"{words}{top}", _hint(state))
        evidence = Evidence("error", lines=tuple(_line(one, state.now) for one in state.signatures[:SHOWN]))
        return judge([finding] if state.lines >= wish.degraded_from else [], f"{words}{top}", (evidence,))


def _line(one: Signature, now: float) -> str:
    since = f", {clock_time(one.first, now)} to {clock_time(one.last, now)}" if one.first and one.last else ""
    return f"{one.count} x {one.text}{since}"


def _hint(state: LogState) -> str:
    """Return the command that looks at what the most frequent errors name as their cause."""
    for one in state.signatures[:SHOWN]:
        for words, hint in _MEANS.items():
            if re.search(words, one.text, re.IGNORECASE):
                return hint
    return ""
