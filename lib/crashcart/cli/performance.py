"""A run as a command performs it: journal, guards, console, reports. New, resumed and undoing runs all pass here."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterable
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

import msgspec

from crashcart.cli.ending import write_document
from crashcart.cli.house import House
from crashcart.cli.locking import locked
from crashcart.cli.shipping import Shipper
from crashcart.engine.actguard import Budgets, Guards, Leases
from crashcart.engine.evidence import EvidenceStore
from crashcart.engine.guard import ActGuard, Unguarded
from crashcart.engine.headcount import Headcount
from crashcart.engine.rollout import UNDO_TIME, Consent, Guarding
from crashcart.engine.run import Past, Run, Verdicts
from crashcart.engine.sharedlock import SharedLock, UnderLock
from crashcart.events import RunResumed, RunStarted, Stream
from crashcart.journal.folder import RunFolder, new_run_id
from crashcart.journal.recall import PastRun
from crashcart.journal.spending import Ledger
from crashcart.plan import Options, Plan
from crashcart.reports.console import make_console
from crashcart.reports.document import replay
from crashcart.reports.folder import write_reports
from crashcart.reports.github import is_github, tell_github
from crashcart.results import EXIT_INTERRUPTED, Evidence, Mode
from crashcart.safety.lease import Lease
from crashcart.secrets import Redactor, Secret, secrets_in
from crashcart.transports.connect import TargetConnector

GRACE_ALONE = 4.5
"""Seconds that undos get after an interrupt where nobody watches: CI systems kill 7 to 10 s after they cancel."""

GRACE_WATCHED = 60.0
"""Seconds that undos get where a person can interrupt a second time."""


class Stage(msgspec.Struct, frozen=True):
    """Where a run is told: on the terminal, as one JSON document on stdout, nowhere (drills), and in a report folder."""

    as_json: bool = False
    quiet: bool = False
    report: Path | None = None


class Ended(msgspec.Struct, frozen=True):
    """What a run came to, and its record."""

    verdicts: Verdicts
    run: str

    @property
    def exit_code(self) -> int:
        """The run's exit code."""
        return self.verdicts.exit_code


class RedactedEvidence:
    """Keeps evidence in a run's folder without the secrets that are known."""

    def __init__(self, folder: RunFolder, redactor: Redactor) -> None:
        self._folder, self._redactor = folder, redactor

    def keep(self, target: str, name: str, data: bytes) -> Evidence:
        """Write bytes owner-only and return their place and hash. Raises ``JournalError``."""
        return self._folder.keep(target, name, self._redactor.data(data))


class Performance:
    """Performs plans on one stage, over one connector."""

    def __init__(self, house: House, stage: Stage, connect: TargetConnector, secrets: Iterable[Secret] = ()) -> None:
        self._house, self._stage, self._connect, self._secrets = house, stage, connect, tuple(secrets)

    def begin(self, plan: Plan, options: Options, consent: Consent) -> Ended:
        """Perform a plan for the first time. Raises ``Refused`` before anything is contacted."""
        house = self._house
        # A reason is shown to whoever is kept out, and shipped; the plan, which a resume works from, masks its own secrets.
        options = Redactor([*self._secrets, *secrets_in(plan)]).record(options)
        first = RunStarted(new_run_id(house.clock), house.actor, plan, options, version("crashcart"))
        self._connect.name_run(house.actor, first.run)
        shipper = Shipper(house, self._connect, plan)
        # The folder is made under the locks: a run that may not begin leaves none.
        with locked(house, self._connect, first, self._tell) as lock:
            shipper.owe(first.run)
            with closing(RunFolder.create(house.runs, first, house.clock)) as folder:
                ended = self._perform(first, folder, consent, lock)
        self._ship(shipper, ended)
        return ended

    def go_on(self, first: RunStarted, past: PastRun, folder: RunFolder, consent: Consent) -> Ended:
        """Perform the rest of a run that was killed or interrupted. Raises ``Refused`` while others have its targets.

        ``first`` is how it began, with the secrets that its journal does not hold.
        """
        self._connect.name_run(self._house.actor, first.run)
        shipper = Shipper(self._house, self._connect, first.plan)
        with closing(folder), locked(self._house, self._connect, first, self._tell) as lock:
            shipper.owe(first.run)
            ended = self._perform(first, folder, consent, lock, past)
        self._ship(shipper, ended)
        return ended

    def _ship(self, shipper: Shipper, ended: Ended) -> None:
        """Ship the run; one that was interrupted has no time for others."""
        shipper.ship(ended.run, quiet=self._stage.quiet, others=ended.exit_code != EXIT_INTERRUPTED)

    def _tell(self, note: str) -> None:
        if not self._stage.quiet:
            print(f"note: {note}", file=sys.stderr, flush=True)

    def _perform(
        self, first: RunStarted, folder: RunFolder, consent: Consent, lock: SharedLock | None, past: PastRun | None = None
    ) -> Ended:
        house = self._house
        out = sys.stderr if self._stage.as_json else sys.stdout
        console = make_console(
            out, house.clock, journal=folder.journal, journal_hash=lambda: folder.hash, command=() if past else sys.argv
        )
        redactor = Redactor([*self._secrets, *secrets_in(first.plan)])
        stream = Stream(folder, [] if self._stage.quiet else [console], redactor.record)
        if not self._stage.quiet:
            console.notice(first)
        try:
            if past:
                stream.emit(RunResumed(house.actor))
            for event in lock.events if lock else ():
                stream.emit(event)
            run = self._run(first, RedactedEvidence(folder, redactor), stream, consent, lock, past)
            verdicts = run.execute()
        finally:
            console.close()
        self._report(folder)
        return Ended(verdicts, first.run)

    def _run(
        self,
        first: RunStarted,
        store: EvidenceStore,
        stream: Stream,
        consent: Consent,
        lock: SharedLock | None,
        past: PastRun | None,
    ) -> Run:
        plan, options, house = first.plan, first.options, self._house
        act = self._act_guard(first, past)
        return Run(
            plan,
            options,
            connect=self._connect,
            record=store,
            stream=stream,
            clock=house.clock,
            guarding=Guarding(consent, Headcount(plan, self._connect), UnderLock(lock, act, stream.emit) if lock else act),
            marks=house.marks,
            run=first.run,
            past=Past(past.recall(), past.begun(), past.changed()) if past else None,
            grace=GRACE_WATCHED if house.interactive else GRACE_ALONE,
        )

    def _act_guard(self, first: RunStarted, past: PastRun | None) -> ActGuard:
        plan, options = first.plan, first.options
        if plan.read_only or options.mode is Mode.CHECK:
            return Unguarded()
        lease = Lease(
            run=first.run,
            actor=first.actor,
            controller=socket.gethostname(),
            playbook=plan.playbook,
            started=int(self._house.clock.now().timestamp()),
            reason=options.reason,
            seconds=options.deadline + UNDO_TIME,
        )
        leases = Leases(lease, insist=not options.break_glass, held=past.acted_on if past else ())
        ledger = Ledger(self._house.runs.parent / "spending.jsonl", self._house.clock)
        return Guards(leases, None if options.break_glass else Budgets(ledger, first.run, first.actor))

    def _report(self, folder: RunFolder) -> None:
        """Report from the journal alone, so that the same can be told of a past run; reading it back costs time."""
        in_github = is_github(os.environ) and not self._stage.quiet
        as_json = self._stage.as_json and not self._stage.quiet
        if not (self._stage.report or in_github or as_json):
            return
        past = PastRun.read(folder.journal)
        for note in write_reports(self._stage.report, past) if self._stage.report else ():
            print(f"note: {note}", file=sys.stderr)
        if in_github:
            tell_github(past, os.environ, sys.stderr)
        if as_json:
            write_document(replay(past))


def print_document(journal: Path, *, unshipped: str = "") -> None:
    """Print a run's JSON document, from what its journal says: so ``runs.show`` prints the same.

    Why a run is not in its audit is no part of its journal; it is added where there is something to say.
    """
    document = replay(PastRun.read(journal))
    if unshipped:
        document["run"]["unshipped"] = unshipped
    write_document(document)
