"""The head count before a batch: who serves in each group that the batch would take something away from."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait

from crashcart.engine.targetrun import TargetRun
from crashcart.errors import CrashcartError, Refused
from crashcart.operations import find_operation
from crashcart.plan import Plan, PlannedStep, TargetPlan
from crashcart.results import Verdict
from crashcart.safety.capacity import Census, admit
from crashcart.targets import Target
from crashcart.transports.base import Opener
from crashcart.values import decode

LIMIT = 10.0
"""Seconds that counting peers may hold up a batch; who has not answered by then is down."""

AT_ONCE = 64
"""Peers that are looked at in parallel."""


class Headcount:
    """Counts over the selection and its peers. Peers are asked only when a healthy target is to be disturbed."""

    def __init__(self, plan: Plan, connect: Opener) -> None:
        self._plan, self._connect = plan, connect
        self._force = plan.parameters.get("force") is True

    def admit(
        self, batch: Sequence[TargetRun], everyone: Sequence[TargetRun]
    ) -> tuple[list[TargetRun], list[tuple[TargetRun, Refused]]]:
        """Return those of a batch that may be acted on now, and those that may not at all, with the reason."""
        free = [run for run in batch if not _takes_away(run)]
        groups: dict[tuple[str, str], list[TargetRun]] = {}
        for run in batch:
            if _takes_away(run):
                groups.setdefault(_group(run.plan.target), []).append(run)
        admitted, refused = list(free), []
        for group, runs in groups.items():
            census = self._census(group, runs[0].step, everyone)
            allowed, denied = admit(census, [run.name for run in runs], force=self._force)
            admitted += [run for run in runs if run.name in allowed]
            # What does not fit now gets its turn once those that are under way serve again.
            if not allowed:
                refused += [(run, Refused(why)) for run in runs for name, why in denied if name == run.name]
        return admitted, refused

    def _census(self, group: tuple[str, str], step: PlannedStep | None, everyone: Sequence[TargetRun]) -> Census:
        members = [run for run in everyone if _group(run.plan.target) == group and not run.plan.skip]
        verdicts = {run.name: run.health for run in members}
        peers = [peer for peer in self._plan.peers if _group(peer.target) == group]
        verdicts |= self._ask(peers, step.name if step else "")
        return Census(group[0], verdicts, self._plan.rollout.min_healthy)

    def _ask(self, peers: Sequence[TargetPlan], step: str) -> dict[str, Verdict]:
        if not peers:
            return {}
        pool = ThreadPoolExecutor(max_workers=min(AT_ONCE, len(peers)))
        asked = {pool.submit(self._look, peer, step): peer.target.name for peer in peers}
        answered, _ = wait(asked, timeout=LIMIT)
        pool.shutdown(wait=False, cancel_futures=True)
        silent = dict.fromkeys(asked.values(), Verdict.DOWN)
        return silent | {asked[future]: future.result() for future in answered}

    def _look(self, peer: TargetPlan, name: str) -> Verdict:
        step = next((step for step in peer.steps if step.name == name and not step.skip), None)
        if step is None:
            return Verdict.UNKNOWN
        operation = find_operation(step.operation)
        wish = decode(step.args, operation.wish)
        session = self._connect(peer.target)
        try:
            return operation.health(operation.observe(session, wish, frozenset()), wish)
        except CrashcartError:
            return Verdict.DOWN
        finally:
            session.close()


def _group(target: Target) -> tuple[str, str]:
    """Say whom a target can be stood in for by: its own kind in its capacity group."""
    return target.capacity_group, target.kind


def _takes_away(run: TargetRun) -> bool:
    return bool(run.wanted and run.wanted.disturbs and run.health is Verdict.HEALTHY)
