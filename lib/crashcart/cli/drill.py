"""A drill as a command: the lab is started if need be, then each variant is rehearsed and scored."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import msgspec

from crashcart.cli.ending import write_document
from crashcart.cli.execution import Execution, check_targets
from crashcart.cli.flags import Request, parse_request
from crashcart.cli.house import House
from crashcart.cli.lab import DEFAULT_COUNT, progress
from crashcart.drills.rehearsal import Interrupted, PlaybookRun, Rehearsal, check_drillable
from crashcart.drills.score import DrillScore, VariantScore, store, table, target_results
from crashcart.errors import BadInput, Refused, nearest
from crashcart.lab import Lab
from crashcart.playbooks.schema import Drill
from crashcart.reports.document import RunPart, drill_document
from crashcart.reports.text import columns
from crashcart.results import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, Mode
from crashcart.targets import Selection
from crashcart.transports.connect import TargetConnector


def run_drill(house: House, drill: Drill, values: Mapping[str, Any], *, dry: bool) -> int:
    """Run a drill and print its score. Raises ``BadInput`` and ``Refused`` before anything is broken."""
    if values.get("check") or dry:
        hint = f"--check belongs to {drill.playbook}"
        raise BadInput("a drill breaks things on purpose, so it has no check mode", hint=hint)
    request = parse_request(values, dry=False)
    names = _variants(drill, values.get("variant"))
    _refuse_clouds(drill, names)
    selection = _select(house, request)
    check_drillable(selection)
    check_targets(selection, ["linux"])
    connect = TargetConnector(accept_new_host_keys=request.accept_new_host_keys)
    say = _say_to(sys.stderr if request.json else sys.stdout)
    rehearsal = Rehearsal(drill, selection, run=_runner(house, request), connect=connect.host, clock=house.clock, say=say)
    say(f"{drill.name}: {drill.summary}; on {', '.join(target.name for target in selection.targets)}")
    started = house.clock.now()
    try:
        scores, interrupted = _rehearse(rehearsal, names)
    finally:
        connect.close()
    targets = tuple(target.name for target in selection.targets)
    score = DrillScore(drill.name, drill.playbook, started, targets, scores, version("crashcart"))
    return _report(house, score, request, interrupted=interrupted)


def _rehearse(rehearsal: Rehearsal, names: Sequence[str]) -> tuple[tuple[VariantScore, ...], bool]:
    """Run the variants in order; tell whether somebody stopped it."""
    scores: list[VariantScore] = []
    try:
        scores.extend(rehearsal.rehearse(name) for name in names)
    except (Interrupted, KeyboardInterrupt):
        return tuple(scores), True
    return tuple(scores), False


def _report(house: House, score: DrillScore, request: Request, *, interrupted: bool) -> int:
    path = store(score, house.runs.parent / "drills")
    code = EXIT_INTERRUPTED if interrupted else EXIT_OK if score.passed else EXIT_FAILED
    if request.json:
        status = "interrupted" if interrupted else "ok" if score.passed else "failed"
        run = RunPart(
            status=status,
            exit_code=code,
            message=f"score kept in {path}",
            playbook=score.drill,
            mode=Mode.APPLY,
            started=score.started,
            finished=house.clock.now(),
            duration_s=round((house.clock.now() - score.started).total_seconds(), 3),
            actor=house.actor,
            selection=request.hosts,
        )
        write_document(drill_document(run, target_results(score), score))
        return code
    print()
    print(columns(table(score)))
    for variant in score.variants:
        for problem in variant.problems:
            print(f"{variant.variant}: {problem}")
    print(f"score kept in {path}")
    return code


def _runner(house: House, request: Request) -> Any:
    """Return what runs a playbook over the drill's targets, quietly."""
    # A drill wants to see every target fail or recover, not where a rollout would have stopped.
    quiet = msgspec.structs.replace(request, json=False, max_failures="100%")

    def run(name: str, params: Mapping[str, Any]) -> PlaybookRun:
        ended = Execution(house, quiet, quiet=True).run(house.library.playbook(name), params)
        verdicts = ended.verdicts
        return PlaybookRun(ended.run, verdicts.results, verdicts.duration_s, verdicts.status == "interrupted")

    return run


def _select(house: House, request: Request) -> Selection:
    """Select targets; an empty lab is started first, since that is what a drill is for."""
    try:
        return house.select(request.inventory, request.hosts)
    except (Refused, BadInput):
        lab = Lab.open()
        if request.hosts.strip() != "lab" or lab.status().hosts:
            raise
        progress("the lab is down; starting it")
        lab.up(DEFAULT_COUNT, progress)
        return house.select(request.inventory, request.hosts)


def _variants(drill: Drill, wanted: str | None) -> list[str]:
    names = [name.strip() for name in wanted.split(",") if name.strip()] if wanted is not None else list(drill.variants)
    for name in names:
        if name not in drill.variants:
            hint = nearest(name, drill.variants) or ", ".join(drill.variants)
            raise BadInput(f"--variant: {drill.name} has no variant {name!r}", hint=hint)
    if not names:
        raise BadInput("--variant: names no variant", hint=", ".join(drill.variants))
    return names


def _refuse_clouds(drill: Drill, names: Sequence[str]) -> None:
    """Refuse what only an emulated cloud could rehearse: this version's lab has hosts only. Raises ``Refused``."""
    clouds = [name for name in names if not drill.variants[name].fault]
    if clouds:
        hint = f"{drill.playbook} can be run with --check, which changes nothing"
        what = f"{drill.name} ({', '.join(clouds)})"
        raise Refused(f"{what} needs an emulated AWS, which drills cannot use yet", hint=hint)


def _say_to(out: Any) -> Any:
    def say(text: str) -> None:
        print(text, file=out, flush=True)

    return say
