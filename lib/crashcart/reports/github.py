"""GitHub Actions: the job's step summary, and one annotation for each target that needs attention.

https://docs.github.com/en/actions/writing-workflows/choosing-what-your-workflow-does/workflow-commands-for-github-actions
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TextIO

from crashcart.journal.recall import PastRun
from crashcart.reports.markdown import markdown
from crashcart.results import BAD, Outcome, TargetResult

MOST_ANNOTATIONS = 10
"""GitHub shows ten of a kind per step."""

LARGEST = 1024 * 1024
"""Bytes of a step summary; GitHub drops one that is larger."""


def is_github(environ: Mapping[str, str]) -> bool:
    """Tell whether this is a job of GitHub Actions."""
    return environ.get("GITHUB_ACTIONS") == "true"


def tell_github(past: PastRun, environ: Mapping[str, str], out: TextIO) -> None:
    """Append the summary, and print annotations. A summary that cannot be written never fails a recovery."""
    place = environ.get("GITHUB_STEP_SUMMARY")
    if place:
        _append(Path(place), markdown(past))
    for line in workflow_commands(past):
        print(line, file=out, flush=True)


def workflow_commands(past: PastRun) -> Iterator[str]:
    """Yield workflow commands: errors for what failed, warnings for what was refused, up to ten of each."""
    playbook = past.started.plan.playbook
    for kind, outcomes in (("error", BAD), ("warning", frozenset({Outcome.REFUSED}))):
        found = [result for result in past.results if result.outcome in outcomes]
        yield from (_annotation(kind, playbook, result) for result in found[:MOST_ANNOTATIONS])


def _annotation(kind: str, playbook: str, result: TargetResult) -> str:
    title = f"{playbook}: {result.name} {result.outcome.value}"
    return f"::{kind} title={_property(title)}::{_data(result.message)}"


def _append(path: Path, text: str) -> None:
    data = text.encode("utf-8", "backslashreplace")
    try:
        with path.open("ab") as file:
            if file.tell() + len(data) <= LARGEST:
                file.write(data)
    except OSError:
        return


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
