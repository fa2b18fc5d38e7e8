"""``runs.resume``: go on with an interrupted run, from its journal alone."""

from __future__ import annotations

import sys
from pathlib import Path

from crashcart.cli.execution import print_document
from crashcart.cli.house import House
from crashcart.engine.run import Run, Verdicts
from crashcart.errors import Refused
from crashcart.events import RunResumed, Stream
from crashcart.journal.folder import RunFolder
from crashcart.journal.recall import PastRun
from crashcart.plan import Plan
from crashcart.reports.console import make_console
from crashcart.results import EXIT_INTERRUPTED
from crashcart.secrets import MASK
from crashcart.transports.connect import TargetConnector


def resume(house: House, journal: Path, *, as_json: bool) -> int:
    """Go on with a run that was killed or interrupted. Raises ``Refused``.

    A run that came to its own end changes nothing and gives its exit code again.
    """
    past = PastRun.read(journal)
    if past.finished and past.finished.exit_code != EXIT_INTERRUPTED:
        return _already_finished(past, as_json=as_json)
    _refuse_masked(past.started.plan)
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
    try:
        # What needed consent was asked before the first act; a resume asks nothing that was answered.
        verdicts: Verdicts = run.execute(lambda ready: None)
    finally:
        console.close()
        connect.close()
    if as_json:
        print_document(folder.journal)
    return verdicts.exit_code


def _already_finished(past: PastRun, *, as_json: bool) -> int:
    assert past.finished is not None  # noqa: S101 -- the caller checked
    if as_json:
        print_document(past.path)
    else:
        print(f"run {past.started.run} is finished ({past.finished.status}); nothing to go on with")
    return past.finished.exit_code


def _refuse_masked(plan: Plan) -> None:
    """A journal holds no secrets, so a login that needs one from the inventory cannot be taken up again."""
    for target in plan.targets:
        secret = [name for name, value in target.target.variables.items() if value == MASK and name.startswith("ansible_")]
        if secret:
            raise Refused(
                f"{target.target.name} logs in with {secret[0]}, which the journal does not hold",
                hint=f"run inv {plan.playbook} --hosts {plan.pattern!r} again: it starts by looking",
            )
