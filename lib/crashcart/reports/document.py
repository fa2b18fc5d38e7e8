"""A run as the JSON document of the command-line contract. Fields may be added here, never removed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from crashcart.events import Intended, RunStarted, StepFinished
from crashcart.journal.recall import PastRun
from crashcart.plan import PlannedStep, TargetPlan
from crashcart.reports.hints import with_hints
from crashcart.reports.tones import worst_first
from crashcart.reports.whereabouts import Whereabouts
from crashcart.results import EXIT_UNKNOWN, Mode, Outcome, StepResult, TargetResult, summarize
from crashcart.secrets import MASK, encode_secret, is_secret_name

SCHEMA = 1


class JournalRef(msgspec.Struct, frozen=True):
    """Where a run's record is, and the hash of its last line."""

    path: str | None = None
    hash: str | None = None


class RunPart(msgspec.Struct, frozen=True, kw_only=True):
    """The ``run`` of a document. Times are UTC; what there is none of is null or empty. ``hint`` is what would help."""

    id: str | None = None
    playbook: str = ""
    mode: Mode | None = None
    started: datetime | None = None
    finished: datetime | None = None
    duration_s: float = 0.0
    status: str
    exit_code: int
    message: str = ""
    hint: str = ""
    actor: str = ""
    reason: str = ""
    incident: str = ""
    selection: str = ""
    parameters: dict[str, Any] = {}
    journal: JournalRef = JournalRef()


def run_document(
    started: RunStarted,
    results: Sequence[TargetResult],
    *,
    status: str,
    exit_code: int,
    message: str,
    finished: datetime | None,
    duration: float,
    journal_path: Path | str,
    journal_hash: str,
    began: datetime | None = None,
) -> dict[str, Any]:
    """Return the document of a run; ``began`` is needed only where it is not ``duration`` seconds before ``finished``."""
    plan, options = started.plan, started.options
    run = RunPart(
        status=status,
        exit_code=exit_code,
        message=message,
        id=started.run,
        playbook=plan.playbook,
        mode=options.mode,
        started=began or (finished - timedelta(seconds=duration) if finished else None),
        finished=finished,
        duration_s=duration,
        actor=started.actor,
        reason=options.reason,
        incident=options.incident,
        selection=plan.pattern,
        parameters={name: _masked(name, value) for name, value in plan.parameters.items()},
        journal=JournalRef(str(journal_path), journal_hash),
    )
    return _document(run, list(map(Whereabouts(plan).located, results)))


def refusal_document(
    status: str,
    exit_code: int,
    message: str,
    playbook: str = "",
    *,
    mode: Mode | None = None,
    selection: str = "",
    hint: str = "",
) -> dict[str, Any]:
    """Return the document of a command that ran nothing: the same keys, with what is known by then."""
    run = RunPart(
        status=status, exit_code=exit_code, message=message, hint=hint, playbook=playbook, mode=mode, selection=selection
    )
    return _document(run, ())


def drill_document(run: RunPart, results: Sequence[TargetResult], score: Any) -> dict[str, Any]:
    """Return the document of a drill: the same keys, and its score."""
    return {**_document(run, results), "drill": msgspec.to_builtins(score, enc_hook=encode_secret)}


def replay(past: PastRun) -> dict[str, Any]:
    """Return the document of a past run, from its journal alone.

    One without its last record is ``unknown``; its targets that have no outcome are too, if an act was under way there.
    """
    first, last = past.lines[0], past.lines[-1]
    ended = past.finished
    unfinished = f"unfinished; inv runs.resume {past.started.run} goes on with it"
    return run_document(
        past.started,
        past.results if ended else _results_so_far(past),
        status=ended.status if ended else Outcome.UNKNOWN.value,
        exit_code=ended.exit_code if ended else EXIT_UNKNOWN,
        message=ended.message if ended else unfinished,
        began=first.head.time,
        finished=last.head.time if ended else None,
        duration=ended.duration_s if ended else round((last.head.time - first.head.time).total_seconds(), 3),
        journal_path=past.path,
        journal_hash=last.hash,
    )


def encode(document: Mapping[str, Any]) -> bytes:
    """Write a document as indented JSON in UTF-8 with a newline at its end; secrets are masked."""
    # What is not text in UTF-8 (an argument with a stray byte) becomes an escape that JSON knows.
    text = json.dumps(document, indent=2, ensure_ascii=False, default=encode_secret)
    # CI systems take ``##[`` for a command wherever it stands in a log; to JSON the escape is the same text.
    return f"{text}\n".replace("##", "#\\u0023").encode("utf-8", "backslashreplace")


def _document(run: RunPart, results: Sequence[TargetResult]) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "run": msgspec.to_builtins(run, enc_hook=encode_secret),
        "targets": msgspec.to_builtins([with_hints(result) for result in results], enc_hook=encode_secret),
        "summary": summarize(results),
        "worst_first": [result.name for result in worst_first(results)],
    }


def _masked(name: str, value: Any) -> Any:
    """Mask a parameter whose name says that it is a secret, at any depth."""
    if is_secret_name(name) and value:
        return MASK
    if isinstance(value, dict):
        return {key: _masked(str(key), inner) for key, inner in value.items()}
    return value


def _results_so_far(past: PastRun) -> list[TargetResult]:
    """Return a result for every target of a run that broke off."""
    known = {result.name: result for result in past.results}
    steps = _steps_so_far(past)
    return [known.get(plan.target.name) or _result_so_far(plan, steps) for plan in past.started.plan.targets]


def _steps_so_far(past: PastRun) -> dict[tuple[str, str], StepResult | None]:
    """Return by (target, step) what came of each step; None where an act was begun and the step has no end."""
    found: dict[tuple[str, str], StepResult | None] = {}
    for line in past.lines:
        match line.event:
            case Intended(target, step):
                found[target, step] = None
            case StepFinished(target, result):
                found[target, result.name] = result
    return found


def _result_so_far(plan: TargetPlan, known: Mapping[tuple[str, str], StepResult | None]) -> TargetResult:
    name = plan.target.name
    steps = [known.get((name, step.name)) or _open_step(step, acting=(name, step.name) in known) for step in plan.steps]
    return TargetResult.of(name, plan.target.kind, steps)


def _open_step(step: PlannedStep, *, acting: bool) -> StepResult:
    outcome = Outcome.UNKNOWN if acting else Outcome.SKIPPED
    message = "the run broke off after an act was begun" if acting else "the run broke off before this"
    return StepResult(step.name, step.operation, step.phase, outcome, message)
