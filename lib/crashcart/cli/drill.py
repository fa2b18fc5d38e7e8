"""A drill as a command: its variants are rehearsed one after the other, scored, and the score is shown and kept."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from crashcart.cli.drilling import Say, notes_of, rehearse
from crashcart.cli.ending import write_document
from crashcart.cli.flags import Request, parse_request
from crashcart.cli.house import House
from crashcart.cli.scoring import drills_folder, keep_score
from crashcart.drills.score import DrillScore, table, target_results
from crashcart.errors import BadInput, Refused, nearest
from crashcart.playbooks.schema import Drill
from crashcart.reports.document import RunPart, drill_document
from crashcart.reports.text import columns
from crashcart.results import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, Mode


def run_drill(house: House, drill: Drill, values: Mapping[str, Any], *, dry: bool) -> int:
    """Run a drill and print its score. Raises ``BadInput`` and ``Refused`` before anything is broken."""
    if values.get("check") or dry:
        hint = f"--check belongs to {drill.playbook}"
        raise BadInput("a drill breaks things on purpose, so it has no check mode", hint=hint)
    request = parse_request(values, dry=False)
    names = _variants(drill, values.get("variant"))
    check_nothing_left(house)
    say = say_to(sys.stderr if request.json else sys.stdout)
    score, interrupted = rehearse(house, drill, names, request, say)
    return _report(house, score, request, interrupted=interrupted)


def _report(house: House, score: DrillScore, request: Request, *, interrupted: bool) -> int:
    path = keep_score(house, score)
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
    print(f"score kept in {path}; all of them: {drills_folder(house) / 'drills.html'}")
    return code


def check_nothing_left(house: House) -> None:
    """Refuse to break anything on top of what another drill has broken and not put back. Raises ``Refused``."""
    busy, left = notes_of(house).going_on(), notes_of(house).left()
    if busy:
        raise Refused(f"another drill is under way: {busy[0].text}", hint="wait until it has ended")
    if left:
        raise Refused(
            f"a drill was cut off, and what it broke was not put back: {left[0][1].text}", hint="inv drill.restore"
        )


def _variants(drill: Drill, wanted: str | None) -> list[str]:
    names = [name.strip() for name in wanted.split(",") if name.strip()] if wanted is not None else list(drill.variants)
    for name in names:
        if name not in drill.variants:
            hint = nearest(name, drill.variants) or ", ".join(drill.variants)
            raise BadInput(f"--variant: {drill.name} has no variant {name!r}", hint=hint)
    if not names:
        raise BadInput("--variant: names no variant", hint=", ".join(drill.variants))
    return names


def say_to(out: Any) -> Say:
    """Return what shows a line of progress there."""

    def say(text: str) -> None:
        print(text, file=out, flush=True)

    return say
