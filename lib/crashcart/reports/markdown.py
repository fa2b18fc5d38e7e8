"""A run as Markdown: ``summary.md``, and the step summary of a CI job. Nothing from a host can break it or link anywhere."""

from __future__ import annotations

import re
from collections.abc import Iterator

from crashcart.journal.recall import PastRun
from crashcart.reports.text import visible
from crashcart.reports.tones import urgency
from crashcart.results import EXIT_INTERRUPTED, GOOD, Phase, TargetResult, summarize

MOST_TARGETS = 100
"""Targets that the table shows, those first that need attention most."""

LONGEST = 300

_MARKS = re.compile(r"([\\`*_{}\[\]()#+!|<>~@:/&$-])")


def markdown(past: PastRun) -> str:
    """Return the run as GitHub-flavoured Markdown."""
    return "\n".join([*_head(past), "", *_table(past), *_undos(past), "", *_tail(past)]) + "\n"


def _head(past: PastRun) -> Iterator[str]:
    first, ended = past.started, past.finished
    options = first.options
    yield f"## {_plain(first.plan.playbook)}: {_plain(ended.status if ended else 'unfinished')}"
    yield ""
    yield f"{_plain(first.plan.summary)}; {options.mode.value} on {_code(first.plan.pattern)} by {_plain(first.actor)}"
    for label, text in (("Reason", options.reason), ("Incident", options.incident)):
        if text:
            yield f"\n{label}: {_plain(text)}"
    if ended and ended.message:
        yield f"\n**{_plain(ended.message)}**"
    counts = {outcome: count for outcome, count in summarize(past.results).items() if count}
    yield "\n" + (", ".join(f"{count} {outcome}" for outcome, count in counts.items()) or "no targets")


def _table(past: PastRun) -> Iterator[str]:
    read_only = past.started.plan.read_only
    results = sorted(past.results, key=lambda result: urgency(result, by_verdict=read_only))
    if not results:
        return
    yield "| target | outcome | verdict | message |"
    yield "|---|---|---|---|"
    yield from (_row(result) for result in results[:MOST_TARGETS])
    if len(results) > MOST_TARGETS:
        yield f"\n{len(results) - MOST_TARGETS} more targets are in the JSON document and the journal."


def _row(result: TargetResult) -> str:
    verdict = result.verdict.value if result.verdict else ""
    return f"| {_plain(result.name)} | {result.outcome.value} | {verdict} | {_plain(result.message)} |"


def _undos(past: PastRun) -> Iterator[str]:
    steps = [(result.name, step) for result in past.results for step in result.steps if step.phase is Phase.UNDO]
    for name, step in steps:
        taken = "taken back" if step.outcome in GOOD else "**NOT TAKEN BACK**"
        yield f"\n- {_plain(name)}: {_plain(step.name)}: {taken}: {_plain(step.message)}"


def _tail(past: PastRun) -> Iterator[str]:
    ended, run = past.finished, past.started.run
    if ended is None or ended.exit_code == EXIT_INTERRUPTED:
        yield f"To go on: {_code(f'inv runs.resume {run}')}\n"
    yield f"Run {_code(run)}, journal {_code(str(past.path))}, sha256 {_code(past.lines[-1].hash)}"


def _plain(text: str) -> str:
    """Return text that reads as it is: one line, every mark of Markdown, HTML and mentions escaped."""
    return _MARKS.sub(r"\\\1", visible(text, LONGEST)).replace("\\<", "&lt;").replace("\\>", "&gt;").replace("\\@", "&#64;")


def _code(text: str) -> str:
    return f"`{visible(text, LONGEST).replace('`', '?')}`"
