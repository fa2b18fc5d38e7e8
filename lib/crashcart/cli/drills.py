"""``drill.all``, ``drill.schedule`` and ``drill.restore``: all drills at once, regularly, and after a killed one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from invoke import Context, Task

from crashcart.cli.ending import ended
from crashcart.cli.flags import COMMON, INVENTORY, OUTPUT, Flag, parse_request, wants_json
from crashcart.cli.house import House, to_json
from crashcart.cli.tasks import make_task
from crashcart.errors import BadInput, CrashcartError, LabError, Refused

_LEFT_OUT = {"check", "plan", "approved", "report", "diff"}
_STAMP = Flag("stamp", "keep the stamps beside the playbooks too, to be committed with them", switch=True)
_ACCEPT = Flag("accept_new_host_keys", "add unknown host keys to known_hosts; changed ones are still refused", switch=True)


def drill_tasks(house: House) -> list[Task[Any]]:
    """Return the commands about all drills."""
    flags = [flag for flag in COMMON if flag.name not in _LEFT_OUT]

    def every(context: Context, values: dict[str, Any]) -> None:
        ended(lambda: _all(house, values), as_json=values.get("output") == "json")

    def schedule(context: Context, values: dict[str, Any]) -> None:
        from crashcart.cli.drillschedule import print_schedule

        ended(lambda: print_schedule(house.checkout))

    def restore(context: Context, values: dict[str, Any]) -> None:
        ended(lambda: _restore(house, values), as_json=values.get("output") == "json")

    return [
        make_task("all", every, [*flags, _STAMP], "Run every drill, and score them together"),
        make_task("schedule", schedule, [], "Print a cron entry and a CI job that run every drill"),
        make_task("restore", restore, [INVENTORY, _ACCEPT, OUTPUT], "Put back what a drill broke that was killed"),
    ]


def _all(house: House, values: dict[str, Any]) -> int:
    from crashcart.cli.drill import check_nothing_left, say_to
    from crashcart.cli.drilling import rehearse
    from crashcart.cli.scoring import all_drills, keep_score
    from crashcart.drills.score import DrillScore

    stamps = _stamp_folder(house) if values["stamp"] else None
    check_nothing_left(house)
    request = parse_request(values, dry=False)
    say = say_to(sys.stderr if request.json else sys.stdout)
    scores: list[DrillScore] = []
    interrupted = False
    for drill in all_drills(house):
        score, interrupted = rehearse(house, drill, list(drill.variants), request, say)
        scores.append(score)
        keep_score(house, score, stamps)
        if interrupted or not all(variant.restored for variant in score.variants):
            break
    return _tell(house, scores, as_json=request.json, interrupted=interrupted)


def _stamp_folder(house: House) -> Path:
    if house.checkout is None:
        raise BadInput("--stamp keeps stamps in a checkout's playbooks/, and this is none", hint="leave it out")
    return house.checkout / "playbooks"


def _tell(house: House, scores: list[Any], *, as_json: bool, interrupted: bool) -> int:
    """Show the scores together, and what was not rehearsed."""
    from crashcart.cli.scoring import declared_faults, drills_folder
    from crashcart.drills.score import overview
    from crashcart.reports.text import columns
    from crashcart.results import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK

    folder, declared = drills_folder(house), len(declared_faults(house))
    passed = bool(scores) and all(score.passed for score in scores)
    code = EXIT_INTERRUPTED if interrupted else EXIT_OK if passed else EXIT_FAILED
    if as_json:
        print(to_json({"schema": 1, "passed": passed, "exit_code": code, "drills": scores, "folder": str(folder)}))
        return code
    print("\n" + columns(overview(scores)))
    for score in scores:
        for variant in score.variants:
            for problem in variant.problems:
                print(f"{score.drill} {variant.variant}: {problem}")
    variants = [variant for score in scores for variant in score.variants]
    missing = f", {declared - len(variants)} not rehearsed" if len(variants) < declared else ""
    print(f"\n{sum(variant.passed for variant in variants)} of {declared} faults passed{missing}")
    print(f"their history: {folder / 'drills.html'}")
    return code


def _restore(house: House, values: dict[str, Any]) -> int:
    as_json = wants_json(values)
    told = [_put_back(house, values, path, underway) for path, underway in _notes(house).left()]
    failed = [one for one in told if one["problem"]]
    if as_json:
        print(to_json({"schema": 1, "restored": told}))
    else:
        print("\n".join(_line(one) for one in told) or "no drill has left anything broken")
    return 1 if failed else 0


def _notes(house: House) -> Any:
    from crashcart.cli.drilling import notes_of

    return notes_of(house)


def _put_back(house: House, values: dict[str, Any], path: Path, underway: Any) -> dict[str, Any]:
    """Take one variant's fault out again; its note goes only then."""
    problem = ""
    try:
        _restore_variant(house, values, underway)
        _notes(house).drop(path)
    except CrashcartError as error:
        problem = f"{error.message}{f' ({error.hint})' if error.hint else ''}"
    return {"drill": underway.drill, "variant": underway.variant, "targets": underway.targets, "problem": problem}


def _restore_variant(house: House, values: dict[str, Any], underway: Any) -> None:
    from crashcart.cli.drilling import stage_of
    from crashcart.playbooks.schema import Drill
    from crashcart.transports.connect import TargetConnector

    drill = house.library.get(underway.drill)
    if not isinstance(drill, Drill) or underway.variant not in drill.variants:
        raise BadInput(f"{underway.drill} has no variant {underway.variant!r} any more", hint="inv lab.reset")
    selection = _selected(house, values, underway)
    connect = TargetConnector(accept_new_host_keys=bool(values.get("accept_new_host_keys")))
    try:
        stage_of(selection.targets, connect).restore(drill.variants[underway.variant])
    finally:
        connect.close()


def _selected(house: House, values: dict[str, Any], underway: Any) -> Any:
    """Select the targets of a drill that was cut off. Raises ``LabError`` while the lab that they belong to is not there."""
    from crashcart.lab.aws.account import RESOURCES
    from crashcart.lab.lab import Lab

    try:
        return house.select(values.get("inventory") or underway.inventory, ",".join(underway.targets))
    except (BadInput, Refused):
        status = Lab.open().status() if underway.in_lab else None
        if status is None:
            raise
        there = {host.name for host in status.hosts} | {
            name for names in RESOURCES.values() if status.aws.running for name in names
        }
        if gone := [name for name in underway.targets if name not in there]:
            what = f"of lab {status.name!r}, {', '.join(gone)} is gone" if status.hosts else f"lab {status.name!r} is down"
            raise LabError(what, hint="inv lab.up first, then inv drill.restore") from None
        raise


def _line(one: dict[str, Any]) -> str:
    what = f"{one['drill']} ({one['variant']}) on {', '.join(one['targets'])}"
    return f"NOT RESTORED  {what}: {one['problem']}" if one["problem"] else f"restored      {what}"
