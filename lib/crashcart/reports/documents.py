"""A run as the JSON document of the command-line contract. Fields may be added here, never removed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from crashcart.events import RunFinished
from crashcart.journal.recall import PastRun
from crashcart.results import EXIT_UNKNOWN, TargetResult, summarize
from crashcart.secrets import encode_secret

SCHEMA = 1


class JournalRef(msgspec.Struct, frozen=True):
    """Where a run's record is, and the hash of its last line."""

    path: str | None = None
    hash: str | None = None


class RunPart(msgspec.Struct, frozen=True):
    """The ``run`` of a document. Times are UTC; what is not known, or did not happen, is null."""

    status: str
    exit_code: int
    message: str
    id: str | None = None
    playbook: str | None = None
    mode: str | None = None
    started: datetime | None = None
    finished: datetime | None = None
    duration_s: float | None = None
    actor: str | None = None
    reason: str | None = None
    incident: str | None = None
    selection: str | None = None
    parameters: dict[str, Any] = {}
    journal: JournalRef = JournalRef()


def refusal_document(status: str, exit_code: int, message: str, playbook: str = "") -> dict[str, Any]:
    """Return the document of a command that ran nothing."""
    return _document(RunPart(status, exit_code, message, playbook=playbook or None), ())


def drill_document(run: RunPart, score: Any) -> dict[str, Any]:
    """Return the document of a drill: the same keys, and its score."""
    return {**_document(run, ()), "drill": msgspec.to_builtins(score)}


def replay(past: PastRun) -> dict[str, Any]:
    """Return the document of a past run, from its journal alone; that of an unfinished one says so."""
    first, last = past.started, past.lines[-1]
    unfinished = RunFinished("unfinished", EXIT_UNKNOWN, "the run was interrupted; runs.resume goes on with it", {}, 0.0)
    finished = past.finished or unfinished
    run = RunPart(
        status=finished.status,
        exit_code=finished.exit_code,
        message=finished.message,
        started=past.lines[0].head.time,
        finished=last.head.time if past.finished else None,
        duration_s=finished.duration_s if past.finished else None,
        id=first.run,
        playbook=first.plan.playbook,
        mode=first.options.mode.value,
        actor=first.actor,
        reason=first.options.reason or None,
        incident=first.options.incident or None,
        selection=first.plan.pattern,
        parameters=first.plan.parameters,
        journal=JournalRef(str(past.path), last.hash),
    )
    return _document(run, past.results)


def encode(document: dict[str, Any]) -> str:
    """Write a document as indented JSON with a newline at its end; secrets are masked."""
    raw = msgspec.json.encode(document, enc_hook=encode_secret)
    return msgspec.json.format(raw, indent=2).decode() + "\n"


def _document(run: RunPart, results: Sequence[TargetResult]) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "run": msgspec.to_builtins(run, enc_hook=encode_secret),
        "targets": msgspec.to_builtins(tuple(results), enc_hook=encode_secret),
        "summary": summarize(results),
    }
