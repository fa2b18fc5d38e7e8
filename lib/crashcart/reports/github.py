"""GitHub Actions: the job's step summary, and one annotation for each target that needs attention.

https://docs.github.com/en/actions/writing-workflows/choosing-what-your-workflow-does/workflow-commands-for-github-actions
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TextIO

import msgspec

from crashcart.journal.recall import PastRun
from crashcart.reports.markdown import markdown
from crashcart.reports.text import counted, visible
from crashcart.reports.tones import urgency
from crashcart.reports.undoing import owed_undos
from crashcart.results import BAD, Outcome

MOST_ANNOTATIONS = 10
"""GitHub shows ten of a kind per step."""

LARGEST = 1024 * 1024
"""Bytes of a step summary; GitHub drops one that is larger."""

_LONGEST_TITLE, _LONGEST_MESSAGE = 200, 1000

_FENCE = b"\n```"
CUT = b"\n\nThe rest did not fit into the step summary; the journal has the whole.\n"


class Annotation(msgspec.Struct, frozen=True):
    """A message that GitHub shows on the run's page; ``kind`` is error, warning or notice."""

    kind: str
    title: str
    message: str

    @property
    def command(self) -> str:
        """The workflow command that makes it: one line, which nothing in title or message can end or begin anew."""
        title, message = visible(self.title, _LONGEST_TITLE), visible(self.message, _LONGEST_MESSAGE)
        return f"::{self.kind} title={_property(title)}::{_data(message)}"


def is_github(environ: Mapping[str, str]) -> bool:
    """Tell whether this is a job of GitHub Actions."""
    return environ.get("GITHUB_ACTIONS") == "true"


def tell_github(past: PastRun, environ: Mapping[str, str], out: TextIO) -> None:
    """Append the summary, and print annotations to ``out``. A summary or stream that cannot be written fails no recovery.

    ``out`` is stderr: GitHub reads commands from both streams, and stdout may be a JSON document.
    """
    place = environ.get("GITHUB_STEP_SUMMARY")
    if place:
        _append(Path(place), markdown(past))
    try:
        for line in workflow_commands(past):
            print(line, file=out, flush=True)
    except (OSError, ValueError):
        return


def workflow_commands(past: PastRun) -> Iterator[str]:
    """Yield workflow commands: errors for what was not taken back and what failed, warnings for what was refused.

    Ten of a kind, those first that need attention most; a notice says how many there are besides.
    """
    found = list(notable(past))
    left_out = 0
    for kind in ("error", "warning"):
        alike = [annotation for annotation in found if annotation.kind == kind]
        left_out += max(0, len(alike) - MOST_ANNOTATIONS)
        yield from (annotation.command for annotation in alike[:MOST_ANNOTATIONS])
    if left_out:
        more = f"{counted(left_out, 'more message')} like these; the step summary has the targets, worst first"
        yield Annotation("notice", past.started.plan.playbook, more).command


def notable(past: PastRun) -> Iterator[Annotation]:
    """Yield one for each thing that somebody has to look at, the most urgent first."""
    playbook, read_only = past.started.plan.playbook, past.started.plan.read_only
    if past.finished is None:
        yield Annotation("error", f"{playbook}: unfinished", f"inv runs.resume {past.started.run} goes on with it")
    for event in owed_undos(past):
        what = ", ".join(undo.summary for undo in event.undos)
        yield Annotation("error", f"{playbook}: {event.target} UNDO OWED", f"not taken back: {what}: {event.why}")
    for result in sorted(past.results, key=lambda result: urgency(result, by_verdict=read_only)):
        if result.outcome in BAD or result.outcome is Outcome.REFUSED:
            kind = "error" if result.outcome in BAD else "warning"
            yield Annotation(kind, f"{playbook}: {result.name} {result.outcome.value}", result.message)


def _append(path: Path, text: str) -> None:
    """Append as many whole lines as GitHub takes; jobs may have written to the file before."""
    try:
        with path.open("ab") as file:
            file.write(_fitting(text.encode("utf-8", "backslashreplace"), LARGEST - file.tell()))
    except OSError:
        return


def _fitting(data: bytes, room: int) -> bytes:
    if len(data) <= room:
        return data
    whole = data[: max(0, room - len(_FENCE + CUT))].rpartition(b"\n")[0]
    is_open = whole.count(_FENCE) % 2
    return whole + (_FENCE if is_open else b"") + CUT if whole else b""


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
