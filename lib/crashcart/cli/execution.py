"""One run from the command line: select, compile, guard, execute, report."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from crashcart.cli.ending import write_document
from crashcart.cli.flags import Request
from crashcart.cli.house import House
from crashcart.engine.run import Run, Verdicts
from crashcart.engine.targetrun import TargetRun
from crashcart.errors import BadInput
from crashcart.events import RunStarted, Stream
from crashcart.inventory import select
from crashcart.journal.folder import RunFolder, new_run_id
from crashcart.journal.recall import PastRun
from crashcart.plan import Options, Plan
from crashcart.playbooks.compile import Compiler
from crashcart.playbooks.schema import Playbook
from crashcart.reports.console import make_console
from crashcart.reports.document import replay
from crashcart.safety.consent import Needed, ask_consent, check_answers, needed_consent
from crashcart.secrets import Secret
from crashcart.targets import Selection
from crashcart.transports.base import Connector
from crashcart.transports.connect import TargetConnector, check_target

MOST_NOTES = 5
"""Notes on the inventory that a run shows."""


class Ended(msgspec.Struct, frozen=True):
    """What a run came to, and its record."""

    verdicts: Verdicts
    run: str

    @property
    def exit_code(self) -> int:
        """The run's exit code."""
        return self.verdicts.exit_code


class Execution:
    """Runs playbooks with the flags of one command line."""

    def __init__(self, house: House, request: Request, *, quiet: bool = False) -> None:
        self._house, self._request, self._quiet = house, request, quiet

    def run(self, playbook: Playbook, given: Mapping[str, Any]) -> Ended:
        """Run a playbook to its end. Raises ``BadInput`` and ``Refused`` before anything is contacted."""
        inventory = self._house.inventory(self._request.inventory)
        selection = select(inventory, self._request.hosts)
        if not self._quiet:
            say_notes(inventory.notes)
        plan = Compiler(playbook, given, inventory.left_out).plan(selection, self._request.rollout(playbook.rollout))
        check_targets(selection, playbook.kinds)
        needed = needed_consent(plan)
        check_answers(needed, self._request.options, interactive=self._house.interactive)
        connector = TargetConnector(
            accept_new_host_keys=self._request.accept_new_host_keys, become_password=self._become_password()
        )
        try:
            return self._execute(plan, needed, connector)
        finally:
            connector.close()
            say_notes(connector.notes)

    def _execute(self, plan: Plan, needed: Needed, connect: Connector) -> Ended:
        options = self._request.options
        first = RunStarted(new_run_id(self._house.clock), self._house.actor, plan, options, version("crashcart"))
        folder = RunFolder.create(self._house.runs, first, self._house.clock)
        out = sys.stderr if self._request.json else sys.stdout
        console = make_console(
            out, self._house.clock, journal=folder.journal, journal_hash=lambda: folder.hash, command=sys.argv
        )
        stream = Stream(folder, [] if self._quiet else [console])
        if not self._quiet:
            console.notice(first)
        try:
            run = Run(plan, options, connect=connect, record=folder, stream=stream, clock=self._house.clock)
            verdicts = run.execute(lambda ready: consent_to(ready, needed, options, self._house))
        finally:
            console.close()
            folder.close()
        return self._ended(first, verdicts, folder)

    def _ended(self, first: RunStarted, verdicts: Verdicts, folder: RunFolder) -> Ended:
        if self._request.json and not self._quiet:
            print_document(folder.journal)
        return Ended(verdicts, first.run)

    def _become_password(self) -> Secret | None:
        if not self._request.ask_become_pass:
            return None
        if not self._house.interactive:
            raise BadInput("--ask-become-pass needs a terminal", hint="use passwordless sudo for jobs without one")
        return Secret(getpass.getpass("sudo password: ", stream=sys.stderr))


def consent_to(ready: Sequence[TargetRun], needed: Needed, options: Options, house: House) -> None:
    """Show what the ready targets want and have it confirmed, where something needs it. Raises ``Refused``."""
    wishes = [f"  {run.name}: {run.wanted.summary}" for run in ready if run.wanted]
    ask_consent(needed, options, "\n".join(wishes), house.ask)


def say_notes(notes: Sequence[str]) -> None:
    """Name what was found but not honoured, on stderr: each thing once, and not more than fit."""
    for note in notes[:MOST_NOTES]:
        print(f"note: {note}", file=sys.stderr)
    if len(notes) > MOST_NOTES:
        print(f"note: and {len(notes) - MOST_NOTES} more; inv inventory.show lists them", file=sys.stderr)


def print_document(journal: Path) -> None:
    """Print a run's JSON document, from what its journal says: so ``runs.show`` prints the same."""
    write_document(replay(PastRun.read(journal)))


def check_targets(selection: Selection, kinds: Sequence[str]) -> None:
    """Check what each target's transport needs (key files, ports) before anything is contacted. Raises ``BadInput``."""
    for target in selection.targets:
        if target.kind in kinds and target.kind == "linux":
            check_target(target)
