"""``runs.resume``: go on with an interrupted run, from its journal alone."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from crashcart.cli.execution import consent_to
from crashcart.cli.house import House
from crashcart.cli.performance import Performance, Stage, print_document
from crashcart.cli.revealing import reveal
from crashcart.errors import Refused
from crashcart.events import Intended
from crashcart.journal.folder import RunFolder
from crashcart.journal.index import ensure_indexed
from crashcart.journal.recall import PastRun
from crashcart.results import EXIT_INTERRUPTED
from crashcart.safety.consent import Needed, check_answers, needed_consent
from crashcart.transports.connect import TargetConnector


def resume(house: House, journal: Path, *, as_json: bool) -> int:
    """Go on with a run that was killed or interrupted. Raises ``Refused``.

    A run that came to its own end changes nothing and gives its exit code again.
    """
    past = PastRun.read(journal)
    finished = past.finished
    if finished and finished.exit_code != EXIT_INTERRUPTED:
        if journal.parent.parent == house.runs:
            ensure_indexed(house.runs, past.started.run, past.lines[-1].hash, house.clock)
        if as_json:
            print_document(past.path)
        else:
            print(f"run {past.started.run} is finished ({finished.status}); nothing to go on with")
        return finished.exit_code
    first = replace(past.started, plan=reveal(house, past.started.plan))
    _check_answers(past, interactive=house.interactive)
    folder = RunFolder.reopen(journal, house.clock)
    past = PastRun.read(journal)
    needed, connect = _still_needed(past), TargetConnector()
    try:
        performance = Performance(house, Stage(as_json=as_json), connect)
        return performance.go_on(
            first, past, folder, lambda ready: consent_to(ready, needed, past.started.options, house)
        ).exit_code
    finally:
        connect.close()


def _check_answers(past: PastRun, *, interactive: bool) -> None:
    try:
        check_answers(_still_needed(past), past.started.options, interactive=interactive)
    except Refused as refusal:
        plan = past.started.plan
        hint = f"nothing was done yet, so begin anew: inv {plan.playbook} --hosts {plan.pattern!r} {refusal.hint}"
        raise Refused(refusal.message, hint=hint) from refusal


def _still_needed(past: PastRun) -> Needed:
    """What must be confirmed now: nothing once an act was sent, since consent comes before the first one."""
    acted = any(isinstance(line.event, Intended) for line in past.lines)
    return Needed() if acted else needed_consent(past.started.plan)
