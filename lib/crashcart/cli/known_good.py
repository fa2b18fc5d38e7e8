"""``runs.known-good``: what a run has seen of the network's rules, as an inventory that says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from crashcart.errors import BadInput
from crashcart.journal.recall import PastRun

OPERATION = "ec2.drift"
VARIABLE = "known_good"


def known_good(journal: Path) -> dict[str, Any]:
    """Return an inventory with the rules that each target of a run had. Raises ``BadInput`` where the run looked at none."""
    past = PastRun.read(journal)
    looked = {
        (plan.target.name, step.name)
        for plan in past.started.plan.targets
        for step in plan.steps
        if step.operation == OPERATION
    }
    hosts = {
        target: {VARIABLE: told.pin["lines"]} for (target, step), told in past.recall().items() if (target, step) in looked
    }
    if not hosts:
        raise BadInput(f"{past.started.run} has not read the rules of any instance", hint="inv check.drift --hosts ... does")
    return {"all": {"hosts": hosts}}
