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
from crashcart.errors import BadInput, CrashcartError

_LEFT_OUT = {"check", "plan", "approved", "report", "diff"}
_STAMP = Flag("stamp", "keep the stamps beside the playbooks too, to be committed with them", switch=True)
_ACCEPT = Flag("accept_new_host_keys", "add unknown host keys to known_hosts; changed ones are still refused", switch=True)


def drill_tasks(house: House) -> list[Task[Any]]:
    """Return the commands about all drills."""
    flags = [flag for flag in COMMON if flag.name not in _LEFT_OUT]

    def every(context: Context, values: dict[str, Any]) -> None:
        ended(lambda: _all(house, values), as_json=values.get("output") == "json")

    def schedule(context: Context, values: dict[str, Any]) -> None:
        ended(lambda: _schedule(house))

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
    from crashcart.drills.score import DrillScore

    check_nothing_left(house)
    request = parse_request(values, dry=False)
    say = say_to(sys.stderr if request.json else sys.stdout)
    scores: list[DrillScore] = []
    interrupted = False
    for drill in _drills(house):
        score, interrupted = rehearse(house, drill, list(drill.variants), request, say)
        scores.append(score)
        _keep(house, score, _stamp_folder(house) if values["stamp"] else None)
        if interrupted or not all(variant.restored for variant in score.variants):
            break
    return _tell(house, scores, as_json=request.json, interrupted=interrupted)


def _drills(house: House) -> list[Any]:
    from crashcart.playbooks.schema import Drill

    found = [house.library.get(name) for name in house.library.entries if name.startswith("drill.")]
    return [drill for drill in found if isinstance(drill, Drill)]


def _stamp_folder(house: House) -> Path:
    if house.checkout is None:
        raise BadInput("--stamp keeps stamps in a checkout's playbooks/, and this is none", hint="leave it out")
    return house.checkout / "playbooks"


def _keep(house: House, score: Any, folder: Path | None) -> None:
    from crashcart.cli.stamping import stamp
    from crashcart.drills.score import store

    store(score, house.runs.parent / "drills")
    stamp(house, score)
    if folder:
        stamp(house, score, folder)


def _tell(house: House, scores: list[Any], *, as_json: bool, interrupted: bool) -> int:
    """Show the scores together, and write the pages."""
    from crashcart.drills.score import overview
    from crashcart.reports.drill_scores import read_history
    from crashcart.reports.html_scores import write_scores
    from crashcart.reports.text import columns
    from crashcart.results import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK

    folder = house.runs.parent / "drills"
    for unwritten in write_scores(folder, read_history(folder), house.clock.now()):
        print(unwritten, file=sys.stderr)
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
    print(f"\n{sum(variant.passed for variant in variants)} of {len(variants)} faults passed")
    print(f"their history: {folder / 'drills.html'}")
    return code


def _schedule(house: House) -> int:
    where = house.checkout or Path.cwd()
    print(_SCHEDULE.format(where=where))
    return 0


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
    selection = house.select(values.get("inventory") or underway.inventory, ",".join(underway.targets))
    connect = TargetConnector(accept_new_host_keys=bool(values.get("accept_new_host_keys")))
    try:
        stage_of(selection.targets, connect).restore(drill.variants[underway.variant])
    finally:
        connect.close()


def _line(one: dict[str, Any]) -> str:
    what = f"{one['drill']} ({one['variant']}) on {', '.join(one['targets'])}"
    return f"NOT RESTORED  {what}: {one['problem']}" if one["problem"] else f"restored      {what}"


_SCHEDULE = """\
# crontab: every Monday at 6; cron mails what it prints, and the exit code says whether every fault was passed
0 6 * * 1  cd {where} && inv drill.all --hosts lab --yes

# GitHub Actions: .github/workflows/drills.yml
name: drills
on:
  schedule: [{{cron: "0 6 * * 1"}}]
  workflow_dispatch:
jobs:
  drills:
    runs-on: ubuntu-latest
    timeout-minutes: 30
    steps:
      - uses: actions/checkout@v4
      - run: python3 -m venv .venv && .venv/bin/pip install -e '.[lab]'
      - run: .venv/bin/inv drill.all --hosts lab --yes
        env: {{CRASHCART_STATE: state}}
      - uses: actions/upload-artifact@v4
        if: always()
        with: {{name: drills, path: state/drills}}"""
