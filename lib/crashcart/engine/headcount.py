"""The head count before a batch: who serves in each group that the batch would take something away from."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

from crashcart.engine.targetrun import TargetRun
from crashcart.errors import CrashcartError, Refused
from crashcart.operations import find_operation
from crashcart.operations.base import Operation
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
        groups: dict[tuple[str, ...], list[TargetRun]] = {}
        for run in batch:
            if _takes_away(run):
                groups.setdefault((*_group(run.plan.target), *_counted_by(run)), []).append(run)
        admitted, refused = list(free), []
        for runs in groups.values():
            try:
                census = self._census(runs, everyone)
            except CrashcartError as error:
                refused += [
                    (run, Refused(f"how many serve beside {run.name} is not known: {error.message}")) for run in runs
                ]
                continue
            allowed, denied = admit(census, [run.name for run in runs], force=self._force)
            admitted += [run for run in runs if run.name in allowed]
            # What does not fit now gets its turn once those that are under way serve again.
            if not allowed:
                refused += [(run, Refused(why)) for run in runs for name, why in denied if name == run.name]
        return admitted, refused

    def _census(self, runs: Sequence[TargetRun], everyone: Sequence[TargetRun]) -> Census:
        group, step = _group(runs[0].plan.target), runs[0].step
        members = [run for run in everyone if _group(run.plan.target) == group and not run.plan.skip]
        verdicts = self._told(runs, members)
        if verdicts is None:
            peers = [peer for peer in self._plan.peers if _group(peer.target) == group]
            verdicts = {run.name: run.health for run in members} | self._ask(peers, step.name if step else "")
        return Census(group[0], verdicts, self._plan.rollout.min_healthy)

    def _told(self, runs: Sequence[TargetRun], members: Sequence[TargetRun]) -> dict[str, Verdict] | None:
        """Ask who knows better, such as a load balancer, where there is one; what it does not list does not serve.

        Raises the transport's errors: who cannot count refuses.
        """
        counting = _counting(runs[0].plan, runs[0].step)
        if counting is None:
            return None
        operation, wish = counting
        session = self._connect(operation.subject(runs[0].plan.target, wish))
        try:
            told = operation.census(session, wish)
        finally:
            session.close()
        if told is None:
            return None
        names = {_member(run.plan, runs[0].step): run.name for run in members}
        return dict.fromkeys(names.values(), Verdict.DOWN) | {names.get(one, one): how for one, how in told.items()}

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


def _counting(plan: TargetPlan, step: PlannedStep | None) -> tuple[Operation[Any, Any, Any], Any] | None:
    """Return the operation of a target's step of that name, and its wish."""
    own = next((own for own in plan.steps if step and own.name == step.name and not own.skip), None)
    if own is None:
        return None
    operation = find_operation(own.operation)
    return operation, decode(own.args, operation.wish)


def _member(plan: TargetPlan, step: PlannedStep | None) -> str:
    """Return what a target is called by who counts; its own name where that is not known."""
    counting = _counting(plan, step)
    return (counting[0].member(counting[1]) if counting else "") or plan.target.name


def _counted_by(run: TargetRun) -> tuple[str, ...]:
    """Say where a target is counted, if not by the engine."""
    counting = _counting(run.plan, run.step)
    subject = counting[0].subject(run.plan.target, counting[1]) if counting else run.plan.target
    return () if subject is run.plan.target else (subject.kind, subject.name)


def _group(target: Target) -> tuple[str, str]:
    """Say whom a target can be stood in for by: its own kind in its capacity group."""
    return target.capacity_group, target.kind


def _takes_away(run: TargetRun) -> bool:
    return bool(run.wanted and run.wanted.disturbs and run.health is Verdict.HEALTHY)
