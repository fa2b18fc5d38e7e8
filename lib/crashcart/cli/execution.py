"""One run from the command line: select, compile, guard, execute, report."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from crashcart.cli.approving import Approving
from crashcart.cli.flags import Request
from crashcart.cli.house import House
from crashcart.cli.performance import Ended, Performance, Stage
from crashcart.cli.stamping import stamp_note
from crashcart.engine.rollout import Consent
from crashcart.engine.targetrun import TargetRun
from crashcart.errors import BadInput
from crashcart.inventory import Inventory, select
from crashcart.inventory.peers import peers_of
from crashcart.journal.claims import target_key
from crashcart.journal.owed import Marks
from crashcart.journal.undos import before_another_run
from crashcart.operations import find_operation
from crashcart.plan import Options, OwedUndo, Plan, TargetPlan
from crashcart.playbooks.compile import Compiler
from crashcart.playbooks.schema import Playbook
from crashcart.reports.folder import check_report_folder
from crashcart.reports.wishes import Wish, wishes_text
from crashcart.results import Mode
from crashcart.safety.budget import budget_of
from crashcart.safety.consent import Needed, ask_consent, check_answers, needed_consent
from crashcart.safety.freeze import check_freeze, windows_of
from crashcart.secrets import Secret
from crashcart.targets import Selection
from crashcart.transports.connect import TargetConnector, check_target

MOST_LOOKS = 64
"""Targets that a playbook which only looks asks at a time by itself, so that those which say nothing hold up nobody.

A look costs about a descriptor and two threads while it is under way.
"""

MOST_NOTES = 5
"""Notes on the inventory that a run shows."""


class Execution:
    """Runs playbooks with the flags of one command line."""

    def __init__(self, house: House, request: Request, *, quiet: bool = False) -> None:
        self._house, self._request = house, request
        self._stage = Stage(as_json=request.json, quiet=quiet, report=request.report)

    def run(self, playbook: Playbook, given: Mapping[str, Any]) -> Ended:
        """Run a playbook to its end. Raises ``BadInput`` and ``Refused`` before anything is contacted."""
        inventory = self._house.inventory(self._request.inventory)
        selection = select(inventory, self._request.hosts)
        if not self._stage.quiet:
            say_notes(inventory.notes)
        if self._request.report:
            check_report_folder(self._request.report)
        plan = self._plan(Compiler(playbook, given, inventory.left_out), inventory, selection, playbook)
        check_targets(selection, playbook.kinds)
        if self._request.options.mode is Mode.APPLY and not plan.read_only:
            check_distinct(plan)
            check_guards(plan)
        needed = needed_consent(plan)
        check_answers(needed, self._request.options, interactive=self._house.interactive)
        password = self._become_password()
        secrets = (password,) if password else ()
        approving = Approving(self._house, plan, self._request.options, playbook.approval, secrets)
        approving.check(self._request.approved)
        self._say_undrilled(playbook.name)
        ended = self._perform(plan, self._consent(needed, approving), password)
        if self._request.plan:
            approving.write(self._request.plan, ended.verdicts)
        return ended

    def _say_undrilled(self, playbook: str) -> None:
        if not (self._stage.quiet or self._request.options.break_glass):
            note = stamp_note(self._house, playbook)
            say_notes([note] if note else [])

    def _perform(self, plan: Plan, consent: Consent, password: Secret | None) -> Ended:
        connector = TargetConnector(accept_new_host_keys=self._request.accept_new_host_keys, become_password=password)
        secrets = [password] if password else []
        try:
            return Performance(self._house, self._stage, connector, secrets).begin(plan, self._options(plan), consent)
        finally:
            connector.close()
            say_notes(connector.notes)

    def _options(self, plan: Plan) -> Options:
        """Return the run's options; how many targets are looked at together is the playbook's own matter unless told."""
        options = self._request.options
        if self._request.forks_given or not plan.read_only:
            return options
        return replace(options, forks=max(options.forks, min(len(plan.targets), MOST_LOOKS)))

    def _plan(self, compiler: Compiler, inventory: Inventory, selection: Selection, playbook: Playbook) -> Plan:
        rollout = self._request.rollout(playbook.rollout)
        only_looks = self._request.options.mode is Mode.CHECK and not self._request.plan
        if only_looks or compiler.is_read_only:
            return compiler.plan(selection, rollout)
        plan = compiler.plan(selection, rollout, peers_of(selection, inventory) if rollout.guards_capacity else ())
        return with_owed(plan, self._house.marks)

    def _consent(self, needed: Needed, approving: Approving) -> Consent:
        options, house = self._request.options, self._house

        def consent(ready: Sequence[TargetRun]) -> None:
            approving.check_same(wish for run in ready for wish in run.wishes)
            consent_to(ready, needed, options, house)

        return consent

    def _become_password(self) -> Secret | None:
        if not self._request.ask_become_pass:
            return None
        if not self._house.interactive:
            raise BadInput("--ask-become-pass needs a terminal", hint="use passwordless sudo for jobs without one")
        return Secret(getpass.getpass("sudo password: ", stream=sys.stderr))


def with_owed(plan: Plan, marks: Marks) -> Plan:
    """Return the plan with what earlier runs owe to its targets. Raises ``JournalError``: unknown is not nothing."""
    targets = tuple(target if target.skip else replace(target, owed=_owed(target, marks)) for target in plan.targets)
    return replace(plan, targets=targets)


def _owed(plan: TargetPlan, marks: Marks) -> tuple[OwedUndo, ...]:
    left = {name for step in plan.steps for name in find_operation(step.operation).leaves_owed}
    owed = marks.owed(target_key(plan.target), plan.target.name)
    return tuple(before_another_run(undo) for undo in owed if undo.steps[-1].operation not in left)


def check_distinct(plan: Plan) -> None:
    """Refuse two names for one cloud resource: what is done once would be done twice. Raises ``BadInput``.

    Two names for one host are common (an alias, a second address), and there the second look finds what the first act did.
    """
    names: dict[str, str] = {}
    for target in (target.target for target in plan.targets if not target.skip and target.target.kind != "linux"):
        key = target_key(target)
        other = names.setdefault(key, target.name)
        if other != target.name:
            hint = f"select one of them: --hosts '{plan.pattern}:!{target.name}'"
            raise BadInput(f"{other} and {target.name} are one and the same ({key})", hint=hint)


def check_guards(plan: Plan) -> None:
    """Read what the inventory says of freezes and budgets, before anything is contacted. Raises ``BadInput``."""
    targets = [target.target for target in plan.targets if not target.skip]
    windows_of(targets)
    for target in targets:
        budget_of(target)


def consent_to(ready: Sequence[TargetRun], needed: Needed, options: Options, house: House) -> None:
    """Show what the ready targets want and have it confirmed, where something needs it. Raises ``Refused``."""
    check_freeze([run.plan.target for run in ready], house.clock.now(), options)
    acts = ((run.name, wish.action) for run in ready for wish in run.wishes)
    wishes = [Wish(name, act.summary, act.undo.summary if act.undo else "") for name, act in acts]
    ask_consent(needed, options, wishes_text(wishes), house.ask)


def say_notes(notes: Sequence[str]) -> None:
    """Name what was found but not honoured, on stderr: each thing once, and not more than fit."""
    for note in notes[:MOST_NOTES]:
        print(f"note: {note}", file=sys.stderr)
    if len(notes) > MOST_NOTES:
        print(f"note: and {len(notes) - MOST_NOTES} more; inv inventory.show lists them", file=sys.stderr)


def check_targets(selection: Selection, kinds: Sequence[str]) -> None:
    """Check what each target's transport needs (key files, ports) before anything is contacted. Raises ``BadInput``."""
    for target in selection.targets:
        if target.kind in kinds:
            check_target(target)
