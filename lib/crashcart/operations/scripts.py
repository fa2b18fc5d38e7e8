"""``script.assess`` runs the check scripts that an inventory declares (seed row S0-D4).

A script that is missing, is not the declared one, or could be somebody else's is not run, and is unknown: never a pass.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import msgspec

from crashcart.facts import scripts
from crashcart.facts.scripts import MOST, Said, Script, Scripts
from crashcart.operations.base import Decision, Fail, HostOperation, Memory, NoGoal, Unknown
from crashcart.operations.findings import Finding, judge
from crashcart.results import Evidence, Verdict
from crashcart.transports.base import Transport
from crashcart.values import AbsolutePath, Duration

TIMED_OUT = frozenset({124, 137})
"""Exit statuses of ``timeout``."""

SECONDS = 4.0
"""Seconds that a script may take unless its declaration says otherwise."""

LONGEST = 60.0
"""Seconds for all scripts together."""

_SUM = re.compile(r"[0-9a-fA-F]{64}")
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_WHY = {
    "missing": "is not there",
    "special": "is no regular file",
    "unsafe": "is not root's, or others can write it",
    "folder": "is in a folder that is not root's, or that others can write",
    "not-executable": "is not executable",
    "no-user": "cannot be run: its user is not there",
    "no-setpriv": "cannot be run: the host has no setpriv",
}


class ScriptWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A script: its absolute path, the SHA-256 that it has to have, the user to run it as, and how long it may take."""

    path: AbsolutePath
    sha256: str
    user: str = "nobody"
    timeout: Duration | None = None

    def __post_init__(self) -> None:
        if not _SUM.fullmatch(self.sha256):
            raise ValueError(f"scripts: sha256: expected 64 hexadecimal digits (sha256sum FILE), got {self.sha256!r}")
        if not _USER.fullmatch(self.user):
            raise ValueError(f"scripts: user: expected the name of a user such as nobody, got {self.user!r}")
        if not 0 < self.seconds <= LONGEST:
            raise ValueError(f"scripts: timeout: expected more than 0 s and at most 1m, got {self.seconds:g} s")

    @property
    def seconds(self) -> float:
        """How long it may take."""
        return SECONDS if self.timeout is None else float(self.timeout)


class ScriptsWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which scripts to run, in which order."""

    scripts: tuple[ScriptWish, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.scripts) <= MOST:
            raise ValueError(f"scripts: expected 1 to {MOST} in the variable check_scripts, got {len(self.scripts)}")
        if sum(one.seconds for one in self.scripts) > LONGEST:
            raise ValueError("scripts: expected timeouts of at most 1m together")


class AssessScripts(HostOperation[ScriptsWish, Scripts, NoGoal]):
    """Runs declared check scripts as the users that they name, each with its deadline; exit status 0 is healthy.

    Never runs what is not root's, what others can write, or what has another SHA-256 than the declared one.
    """

    name = "script.assess"
    reads_only = True
    wish, state, goal_type = ScriptsWish, Scripts, NoGoal

    def observe(self, transport: Transport, wish: ScriptsWish, looks: frozenset[str]) -> Scripts:
        """Run the scripts. Raises ``FactUnreadable`` and the transport's errors."""
        return scripts.observe(transport, [Script(one.path, one.sha256, one.user, one.seconds) for one in wish.scripts])

    def goal(self, pin: Scripts, wish: ScriptsWish) -> NoGoal:
        """There is none."""
        return NoGoal()

    def decide(self, state: Scripts, memory: Memory[Scripts, NoGoal], wish: ScriptsWish) -> Decision:
        """Judge by the worst of them; nothing is waited for."""
        passed = ", ".join(said.path for said in state.said)
        printed = tuple(f"{said.path}: {line}" for said in state.said for line in said.lines)
        decision = judge(_findings(state), f"passed: {passed}", (Evidence("script", lines=printed),))
        # What was not run today is not run by looking again, and the others would run each time.
        return Fail(decision.why, decision.hint, Verdict.UNKNOWN) if isinstance(decision, Unknown) else decision


def _findings(state: Scripts) -> Iterator[Finding]:
    for said in state.said:
        if said.why:
            yield Finding(Verdict.UNKNOWN, f"{said.path} {_not_run(said.why)}", _hint(said))
        elif said.status:
            last = f": {said.lines[-1]}" if said.lines else ""
            how = "took too long" if said.status in TIMED_OUT else f"failed with exit status {said.status}"
            yield Finding(Verdict.DEGRADED, f"{said.path} {how}{last}")


def _not_run(why: str) -> str:
    word, _, found = why.partition(" ")
    return f"has the SHA-256 {found or 'unknown'}, not the declared one" if word == "hash" else _WHY.get(word, why)


def _hint(said: Said) -> str:
    if said.why.startswith("hash"):
        return "look at what changed there; if it is meant to be so, declare the new sha256 in check_scripts"
    return f"ls -ld {shlex.quote(said.path)} on the host" if said.why in {"unsafe", "folder", "special"} else ""
