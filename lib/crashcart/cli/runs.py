"""``runs.*``: what has been run, and going on with what was interrupted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from invoke import Context, Task

from crashcart.cli.ending import ended
from crashcart.cli.flags import OUTPUT, UNDO_FLAGS, Flag, wants_json
from crashcart.cli.house import House, to_json
from crashcart.cli.tasks import make_task
from crashcart.errors import BadInput

RUN = Flag("run", "a run's id, 'last', or the path of its journal", value="run")


REPORT = Flag(
    "report", "file (.html, .md, .xml) or folder to write to (default: report.html in the run's own folder)", value="path"
)
TO_REVIEW = Flag("to_review", "only break-glass runs that nobody has signed off yet", switch=True)


def runs_tasks(house: House) -> list[Task[Any]]:
    """Return the commands on past runs."""
    with_run = [RUN, OUTPUT]
    return [
        _task("list", "List runs, the newest last", [TO_REVIEW, OUTPUT], lambda values: _list(house, values)),
        _task("show", "Show what a run did", with_run, lambda values: _show(house, values)),
        _task("resume", "Go on with an interrupted run", with_run, lambda values: _resume(house, values)),
        _task(
            "undo", "Take back what a run did, newest first", [*with_run, *UNDO_FLAGS], lambda values: _undo(house, values)
        ),
        _task(
            "ship", "Ship a run to its audit, or 'all' that still are to be", with_run, lambda values: _ship(house, values)
        ),
        _task("report", "Write the reports of a past run", [RUN, REPORT, OUTPUT], lambda values: _report(house, values)),
        _task(
            "known-good",
            "Print what a run saw of security groups and network ACLs, as an inventory to compare with",
            with_run,
            lambda values: _known_good(house, values),
        ),
        _task("verify", "Check that a journal was not altered", with_run, lambda values: _verify(house, values)),
    ]


def _task(name: str, summary: str, flags: list[Flag], command: Callable[[dict[str, Any]], int]) -> Task[Any]:
    def body(context: Context, values: dict[str, Any]) -> None:
        ended(lambda: command(values), as_json=values.get("output") == "json")

    return make_task(name, body, flags, summary, positional=("run",) if RUN in flags else ())


def _list(house: House, values: dict[str, Any]) -> int:
    from crashcart.cli.shipping import marks_of
    from crashcart.journal.folder import EVENTS, run_ids
    from crashcart.journal.reviews import to_review
    from crashcart.journal.summary import summarize_run

    as_json = wants_json(values)
    names = [review.run for review in to_review(house.runs.parent, house.runs)] if values.get("to_review") else None
    marks = marks_of(house)
    found = [
        summarize_run(house.runs / name / EVENTS, marks.why(name))
        for name in (run_ids(house.runs) if names is None else names)
    ]
    nothing = f"no runs in {house.runs}" if names is None else "no runs to review"
    text = "\n".join(summary.text for summary in found) or nothing
    print(to_json({"schema": 1, "runs": found}) if as_json else text)
    return 0


def _show(house: House, values: dict[str, Any]) -> int:
    from crashcart.cli.performance import print_document
    from crashcart.cli.shipping import unshipped
    from crashcart.journal.folder import find_run
    from crashcart.journal.recall import PastRun
    from crashcart.reports.past import run_text

    as_json = wants_json(values)
    journal = find_run(house.runs, _named(values))
    why = unshipped(house, journal)
    if as_json:
        print_document(journal, unshipped=why)
    else:
        print(run_text(PastRun.read(journal)))
        if why:
            print(f"audit: not shipped: {why}; inv runs.ship {journal.parent.name}")
    return 0


def _ship(house: House, values: dict[str, Any]) -> int:
    from crashcart.cli.shipping import ship_runs

    return ship_runs(house, _named(values), as_json=wants_json(values))


def _resume(house: House, values: dict[str, Any]) -> int:
    from crashcart.cli.resume import resume
    from crashcart.journal.folder import find_run

    return resume(house, find_run(house.runs, _named(values)), as_json=wants_json(values))


def _undo(house: House, values: dict[str, Any]) -> int:
    from crashcart.cli.undo import undo
    from crashcart.journal.folder import find_run

    journal = find_run(house.runs, _named(values))
    return undo(house, journal, values, as_json=wants_json(values), dry=False)


def _report(house: House, values: dict[str, Any]) -> int:
    from crashcart.cli.reporting import report
    from crashcart.journal.folder import find_run

    as_json = wants_json(values)
    return report(find_run(house.runs, _named(values)), values.get("report"), as_json=as_json)


def _verify(house: House, values: dict[str, Any]) -> int:
    from crashcart.journal.folder import find_run
    from crashcart.journal.recall import verify

    as_json = wants_json(values)
    found = verify(find_run(house.runs, _named(values)))
    print(to_json(found) if as_json else found.message)
    return found.exit_code


def _known_good(house: House, values: dict[str, Any]) -> int:
    from crashcart.cli.known_good import known_good
    from crashcart.journal.folder import find_run

    wants_json(values)  # an inventory in JSON either way
    print(to_json(known_good(find_run(house.runs, _named(values)))))
    return 0


def _named(values: dict[str, Any]) -> str:
    name = values.get("run")
    if not name:
        raise BadInput("which run? an id, 'last', or the path of a journal", hint="inv runs.list shows them")
    return str(name)
