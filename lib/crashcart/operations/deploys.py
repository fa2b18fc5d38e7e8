"""``deploy.assess`` answers whether something was deployed to a host lately, and by whom (seed row S0-D6).

That something changed is no trouble: it is told. Beside it, ``host.assess`` tells of packages, files and starts.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import msgspec

from crashcart.facts import deploys
from crashcart.facts.deploys import Deployed
from crashcart.facts.systemd import clock_time
from crashcart.operations.base import Decision, Done, Fail, HostOperation, Memory, NoGoal
from crashcart.results import Evidence, Verdict
from crashcart.transports.base import Transport
from crashcart.values import AbsolutePath, Duration, format_span


class DeployWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The folder that is deployed to (a git checkout, a symlink to a release, or plain files), and how far back to look."""

    path: AbsolutePath
    window: Duration = Duration(3600)


class Change(msgspec.Struct, frozen=True):
    """One thing that changed: when (seconds since 1970), and in words."""

    at: float
    words: str


class AssessDeploys(HostOperation[DeployWish, Deployed, NoGoal]):
    """Says whether something was deployed within a window, and by whom; changes nothing and fetches nothing."""

    name = "deploy.assess"
    reads_only = True
    wish, state, goal_type = DeployWish, Deployed, NoGoal

    def observe(self, transport: Transport, wish: DeployWish, looks: frozenset[str]) -> Deployed:
        """Look at the folder. Raises ``FactUnreadable`` and the transport's errors."""
        return deploys.observe(transport, wish.path, wish.window)

    def goal(self, pin: Deployed, wish: DeployWish) -> NoGoal:
        """There is none."""
        return NoGoal()

    def decide(self, state: Deployed, memory: Memory[Deployed, NoGoal], wish: DeployWish) -> Decision:
        """Answer yes or no."""
        if state.kind not in {"git", "plain"}:
            what = "does not exist" if state.kind == "absent" else "is no folder"
            return Fail(f"{wish.path} {what}", "deploy_dir names the folder that is deployed to", Verdict.UNKNOWN)
        if state.git not in {"", "read", "none"} and not state.moves:
            hint = f"git -C {shlex.quote(wish.path)} log -5 on the host"
            return Fail(f"git does not tell what is deployed in {wish.path}", hint, Verdict.UNKNOWN)
        changes = sorted(_changes(state), key=lambda change: -change.at)
        lines = tuple(f"{clock_time(change.at, state.now)} {change.words}" for change in changes)
        recent = [line for change, line in zip(changes, lines, strict=True) if state.now - change.at <= wish.window]
        span, found = format_span(wish.window), _current(state)
        if recent:
            why = f"{wish.path} was changed within {span}: {recent[0]}{found}"
            return Done(why, Verdict.HEALTHY, evidence=(Evidence("changed lately", lines=tuple(recent)),))
        last = f"; last: {lines[0]}" if lines else ""
        return Done(f"{wish.path} was not changed within {span}{last}{found}", Verdict.HEALTHY)


def _changes(state: Deployed) -> Iterator[Change]:
    """Yield what was done on this host; a commit's own date counts only where there is nothing better."""
    subjects = {commit.commit: commit for commit in state.commits}
    for move in state.moves:
        made = next((one for short, one in subjects.items() if move.commit.startswith(short)), None)
        what = f"{move.commit} {made.subject!r} of {made.author}" if made else move.commit
        yield Change(move.at, f"deployed by {move.who}: {what}{f' ({move.how})' if move.how else ''}")
    if state.linked is not None:
        yield Change(state.linked, f"linked by {state.owner} to {state.to}")
    if not state.moves:
        for commit in state.commits:
            yield Change(commit.at, f"commit {commit.commit} of {commit.author}: {commit.subject!r}")
    if state.kind == "plain" and state.linked is None and state.modified is not None:
        yield Change(state.modified, "the folder itself was changed, nobody knows by whom")


def _current(state: Deployed) -> str:
    now = state.revision or (state.commits[0].commit if state.commits else "")
    return f"; now at {now}" if now else ""
