"""One drill carried out: who plays in which variant, where, and what runs the playbook meanwhile."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from importlib.metadata import version

from msgspec.structs import replace

from crashcart.cli.execution import Execution, check_targets, consent_to
from crashcart.cli.flags import Request
from crashcart.cli.house import House
from crashcart.cli.lab import DEFAULT_COUNT, progress
from crashcart.cli.performance import Ended, Performance
from crashcart.cli.performance import Stage as Performed
from crashcart.cli.revealing import reveal
from crashcart.cli.undo import plan_undo, settle
from crashcart.drills.cloud import CloudStage, check_emulated
from crashcart.drills.rehearsal import Interrupted, PlaybookRun, Rehearsal, RunPlaybook, TakeBack, check_drillable
from crashcart.drills.score import DrillScore, VariantScore
from crashcart.drills.stage import HostStage, Stage
from crashcart.drills.underway import Notes, Underway
from crashcart.errors import BadInput, Refused
from crashcart.journal.claims import target_key
from crashcart.journal.folder import find_run
from crashcart.journal.recall import PastRun
from crashcart.lab.inventory import AWS_GROUP
from crashcart.lab.lab import Lab
from crashcart.playbooks.render import Renderer
from crashcart.playbooks.schema import Drill, VariantSpec
from crashcart.results import Mode
from crashcart.safety.consent import needed_consent
from crashcart.targets import Selection, Target
from crashcart.transports.connect import HOST, TargetConnector
from crashcart.values import Duration

Say = Callable[[str], None]
"""Shows a line of progress."""


def rehearse(house: House, drill: Drill, names: Sequence[str], request: Request, say: Say) -> tuple[DrillScore, bool]:
    """Run variants of a drill in order and score them; tell whether somebody stopped it.

    Raises ``BadInput`` and ``Refused`` before anything is broken.
    """
    drilling = Drilling(house, drill, request)
    cast = {name: drilling.cast(drill.variants[name]) for name in names}
    everyone = tuple(dict.fromkeys(target.name for targets in cast.values() for target in targets))
    say(f"{drill.name}: {drill.summary}; on {', '.join(everyone)}")
    started, scores = house.clock.now(), list[VariantScore]()
    interrupted = False
    try:
        with _ended_by_sigterm():
            for name, targets in cast.items():
                scores.append(drilling.rehearse(name, targets, say))
                if not scores[-1].restored:
                    break  # nothing is broken on top of what could not be put back
    except (Interrupted, KeyboardInterrupt):
        interrupted = True
    finally:
        drilling.close()
    return drilling.score(started, everyone, scores), interrupted


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end a drill as Ctrl-C does, also between two runs: what is broken is put back."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class Drilling:
    """One drill with its targets: who plays in which variant, and where."""

    def __init__(self, house: House, drill: Drill, request: Request) -> None:
        self._house, self._drill, self._request = house, drill, request
        self._kinds = house.library.playbook(drill.playbook).kinds
        self._targets = self._select()
        self._connect = TargetConnector(accept_new_host_keys=request.accept_new_host_keys)

    @property
    def _on_hosts(self) -> bool:
        return self._kinds == (HOST,)

    @property
    def _in_lab(self) -> bool:
        return not self._on_hosts or all("lab" in target.groups for target in self._targets)

    def cast(self, spec: VariantSpec) -> tuple[Target, ...]:
        """Return the targets of a variant. Raises ``Refused`` where there are none."""
        found = tuple(target for target in self._targets if spec.target in {"", target.name})
        if not found:
            raise Refused(f"{self._drill.name} is played on {spec.target}, which is not selected", hint="--hosts lab")
        return found

    def rehearse(self, name: str, targets: Sequence[Target], say: Say) -> VariantScore:
        """Rehearse one variant. Raises ``Interrupted``."""
        run = _runner(self._house, self._request, targets)
        names = tuple(target.name for target in targets)
        began = self._house.clock.now()
        underway = Underway(self._drill.name, name, names, began, self._request.inventory, in_lab=self._in_lab)
        with notes_of(self._house).noted(underway) as note:
            back = _taker_back(self._house, self._request, self._connect)
            rehearsal = Rehearsal(self._drill, run=run, take_back=back, clock=self._house.clock, say=say)
            self._forget(targets)
            try:
                score = rehearsal.rehearse(name, stage_of(targets, self._connect))
            finally:
                if not rehearsal.restored:
                    note.keep()
                self._settle(targets, rehearsal)
        return score

    def _forget(self, targets: Sequence[Target]) -> None:
        """An account is begun anew for each variant, so that what earlier runs owe it is nothing any more."""
        for target in () if self._on_hosts else targets:
            for undo in self._house.marks.owed(target_key(target), target.name):
                self._house.marks.drop(target_key(target), undo.run)

    def _settle(self, targets: Sequence[Target], rehearsal: Rehearsal) -> None:
        """Take back what the rehearsal's runs owe, which is possible now; an account that was begun anew is owed nothing."""
        if self._on_hosts:
            settle(self._house, self._connect, targets)
            return
        for target in targets:
            for run in rehearsal.runs:
                self._house.marks.drop(target_key(target), run)

    def score(self, started: datetime, names: tuple[str, ...], scores: Sequence[VariantScore]) -> DrillScore:
        """Put the variants' scores together."""
        found, who = tuple(scores), self._drill
        return DrillScore(who.name, who.playbook, started, names, found, version("crashcart"), in_lab=self._in_lab)

    def close(self) -> None:
        """End the connections."""
        self._connect.close()

    def _select(self) -> tuple[Target, ...]:
        """Select the targets that the playbook acts on. Raises ``BadInput`` and ``Refused``."""
        selection = select(self._house, self._request, lab="lab" if self._on_hosts else AWS_GROUP)
        check_drillable(selection)
        check_targets(selection, self._kinds)
        targets = tuple(target for target in selection.targets if target.kind in self._kinds)
        if not targets:
            acts_on = ", ".join(self._kinds)
            raise Refused(f"{self._drill.playbook} acts on {acts_on}, and {selection.pattern} has none", hint="--hosts lab")
        if not self._on_hosts:
            check_emulated(targets, Lab.open().aws.status().url)
        return targets


def stage_of(targets: Sequence[Target], connect: TargetConnector) -> Stage:
    """Return where a variant is played: on hosts, or in the lab's AWS."""
    if all(target.kind == HOST for target in targets):
        return HostStage(targets, connect.host)
    return CloudStage(targets, Lab.open().aws)


def notes_of(house: House) -> Notes:
    """Return the notes of what drills have broken and not yet put back."""
    return Notes(house.runs.parent / "drills" / "underway")


def _runner(house: House, request: Request, targets: Sequence[Target]) -> RunPlaybook:
    """Return what runs a playbook over a variant's targets, quietly."""
    # A drill wants to see every target fail or recover, not where a rollout would have stopped.
    quiet = replace(request, hosts=",".join(target.name for target in targets), json=False, max_failures="100%", report=None)
    render = Renderer().render

    def run(name: str, spec: VariantSpec, mode: Mode) -> PlaybookRun:
        deadline = float(Duration.parse(spec.deadline)) if spec.deadline else request.options.deadline
        asked = replace(quiet, options=replace(request.options, mode=mode, deadline=deadline, yes=True))
        params = render(spec.params, targets[0].variables)
        return _came_to(Execution(house, asked, quiet=True).run(house.library.playbook(name), params))

    return run


def _taker_back(house: House, request: Request, connect: TargetConnector) -> TakeBack:
    """Return what takes a run back, quietly, as ``runs.undo`` does."""
    options = replace(request.options, mode=Mode.APPLY, yes=True)

    def take_back(run: str) -> PlaybookRun:
        plan = reveal(house, plan_undo(PastRun.read(find_run(house.runs, run))))
        needed = needed_consent(plan)
        performance = Performance(house, Performed(quiet=True), connect)
        return _came_to(performance.begin(plan, options, lambda ready: consent_to(ready, needed, options, house)))

    return take_back


def _came_to(ended: Ended) -> PlaybookRun:
    verdicts = ended.verdicts
    return PlaybookRun(ended.run, verdicts.results, verdicts.duration_s, verdicts.status == "interrupted")


def select(house: House, request: Request, *, lab: str) -> Selection:
    """Select targets; ``lab`` is what the whole lab means here, and is started first where it is down."""
    pattern = lab if request.hosts.strip() == "lab" else request.hosts
    try:
        return house.select(request.inventory, pattern)
    except (Refused, BadInput):
        status = Lab.open().status()
        if request.hosts.strip() != "lab" or (status.hosts and status.aws.running):
            raise
        progress("the lab is down; starting it")
        Lab.open().up(max(DEFAULT_COUNT, len(status.hosts)), progress)
        return house.select(request.inventory, pattern)
