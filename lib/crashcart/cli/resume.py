"""``runs.resume``: go on with an interrupted run, from its journal alone."""

from __future__ import annotations

import sys
from pathlib import Path

from crashcart.cli.execution import consent_to, print_document
from crashcart.cli.house import House
from crashcart.engine.run import Run, Verdicts
from crashcart.errors import Refused
from crashcart.events import Intended, RunResumed, Stream
from crashcart.journal.folder import RunFolder
from crashcart.journal.recall import PastRun
from crashcart.plan import Plan
from crashcart.reports.console import make_console
from crashcart.results import EXIT_INTERRUPTED
from crashcart.safety.consent import Needed, check_answers, needed_consent
from crashcart.secrets import MASK
from crashcart.transports.connect import TargetConnector


def resume(house: House, journal: Path, *, as_json: bool) -> int:
    """Go on with a run that was killed or interrupted. Raises ``Refused``.

    A run that came to its own end changes nothing and gives its exit code again.
    """
    past = PastRun.read(journal)
    finished = past.finished
    if finished and finished.exit_code != EXIT_INTERRUPTED:
        if as_json:
            print_document(past.path)
        else:
            print(f"run {past.started.run} is finished ({finished.status}); nothing to go on with")
        return finished.exit_code
    _refuse_masked(past.started.plan)
    _check_answers(past, interactive=house.interactive)
    folder = RunFolder.reopen(journal, house.clock)
    try:
        return _go_on(house, PastRun.read(journal), folder, as_json=as_json)
    finally:
        folder.close()


def _go_on(house: House, past: PastRun, folder: RunFolder, *, as_json: bool) -> int:
    first = past.started
    out = sys.stderr if as_json else sys.stdout
    console = make_console(out, house.clock, journal=folder.journal, journal_hash=lambda: folder.hash, command=sys.argv)
    console.notice(first)
    stream = Stream(folder, [console])
    stream.emit(RunResumed(house.actor))
    connect = TargetConnector()
    run = Run(
        first.plan,
        first.options,
        connect=connect,
        record=folder,
        stream=stream,
        clock=house.clock,
        recalled=past.recall(),
    )
    needed = _still_needed(past)
    try:
        verdicts: Verdicts = run.execute(lambda ready: consent_to(ready, needed, first.options, house))
    finally:
        console.close()
        connect.close()
    if as_json:
        print_document(folder.journal)
    return verdicts.exit_code


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


def _refuse_masked(plan: Plan) -> None:
    """A journal holds no secrets, so a login that needs one from the inventory cannot be taken up again."""
    for target in plan.targets:
        secret = [name for name, value in target.target.variables.items() if value == MASK and name.startswith("ansible_")]
        if secret:
            raise Refused(
                f"{target.target.name} logs in with {secret[0]}, which the journal does not hold",
                hint=f"run inv {plan.playbook} --hosts {plan.pattern!r} again: it starts by looking",
            )
