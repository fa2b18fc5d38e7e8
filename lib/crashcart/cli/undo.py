"""``runs.undo``: take back what a run did, newest first, as a run of its own with its own journal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from crashcart.cli.execution import consent_to
from crashcart.cli.flags import options_of
from crashcart.cli.house import House
from crashcart.cli.performance import Performance, Stage
from crashcart.cli.revealing import reveal
from crashcart.errors import BadInput
from crashcart.journal.claims import target_key
from crashcart.journal.recall import PastRun
from crashcart.journal.undos import in_another_run
from crashcart.plan import OnFailure, Options, Plan, Rollout, TargetPlan
from crashcart.results import EXIT_OK
from crashcart.safety.consent import check_answers, needed_consent
from crashcart.targets import Target
from crashcart.transports.connect import TargetConnector

COMMAND = "runs.undo"


def undo(house: House, journal: Path, values: dict[str, Any], *, as_json: bool, dry: bool) -> int:
    """Take back what a run did on its targets; a second time there is nothing left to do. Raises ``Refused``."""
    past = PastRun.read(journal)
    if past.started.plan.playbook == COMMAND:
        raise BadInput(f"{past.started.run} took something back itself", hint="run the playbook again instead")
    plan = plan_undo(past)
    if not any(target.owed for target in plan.targets):
        print(f"{past.started.run}: nothing was done that can be taken back, or it was already")
        return EXIT_OK
    plan = reveal(house, plan)
    options = options_of(values, dry=dry)
    needed = needed_consent(plan)
    check_answers(needed, options, interactive=house.interactive)
    connect = TargetConnector()
    try:
        performance = Performance(house, Stage(as_json=as_json), connect)
        return performance.begin(plan, options, lambda ready: consent_to(ready, needed, options, house)).exit_code
    finally:
        connect.close()


def settle(house: House, connect: TargetConnector, targets: Sequence[Target]) -> None:
    """Take back, quietly, what runs owe to targets; what cannot be taken back yet stays owed. Raises ``Refused``."""
    owed = {target.name: house.marks.owed(target_key(target), target.name) for target in targets}
    plans = tuple(
        TargetPlan(target, owed=tuple(in_another_run(undo) for undo in owed[target.name]))
        for target in targets
        if owed[target.name]
    )
    if plans:
        names = ",".join(plan.target.name for plan in plans)
        whole = Rollout(max_failures="100%")
        plan = Plan(COMMAND, "Take back what is owed", names, plans, rollout=whole, on_failure=OnFailure.KEEP)
        Performance(house, Stage(quiet=True), connect).begin(plan, Options(yes=True), lambda ready: None)


def plan_undo(past: PastRun) -> Plan:
    """Return the plan that takes back what a run did, each target by itself."""
    first = past.started
    return Plan(
        playbook=COMMAND,
        summary=f"Take back what {first.run} did ({first.plan.playbook})",
        pattern=first.plan.pattern,
        targets=tuple(_target(past, plan.target) for plan in first.plan.targets),
        parameters={"run": first.run},
        rollout=Rollout(max_failures="100%"),
        on_failure=OnFailure.KEEP,
    )


def _target(past: PastRun, target: Target) -> TargetPlan:
    owed = tuple(in_another_run(undo) for undo in past.undoable(target.name))
    return TargetPlan(target, owed=owed, skip="" if owed else "nothing to take back")
