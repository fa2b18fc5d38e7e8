"""Changes and evidence as lines: before and after on one line where both are short, a diff where they are texts."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator

from crashcart.reports.text import bounded, visible
from crashcart.results import Change, Evidence, StepResult

MOST_LINES = 10
"""Lines that one change or one piece of evidence may take; the journal has them all."""

NOTHING = "(nothing)"


def change_lines(change: Change) -> list[str]:
    """Return what changed: one line, or a diff of two texts, bounded."""
    what = visible(change.what)
    if "\n" not in change.before.strip() + change.after.strip():
        return [f"{what}: {visible(change.before) or NOTHING} -> {visible(change.after) or NOTHING}"]
    texts = (change.before.splitlines(), change.after.splitlines())
    marked = list(difflib.unified_diff(*texts, lineterm="", n=1))[2:]
    return bounded([f"{what}: {line[:1]} {visible(line[1:])}" for line in marked], MOST_LINES)


def changes_lines(changes: Iterable[Change]) -> list[str]:
    """Return the lines of several changes, bounded as a whole."""
    return bounded([line for change in changes for line in change_lines(change)], MOST_LINES)


def evidence_lines(evidence: Evidence) -> list[str]:
    """Return what was kept: the file and its hash, or the lines themselves, bounded."""
    name = visible(evidence.name)
    kept = [f"{name}: kept in {visible(evidence.file)}"] if evidence.file else []
    return kept + bounded([f"{name}: {visible(line)}" for line in evidence.lines], MOST_LINES)


def step_lines(result: StepResult) -> Iterator[tuple[str, str]]:
    """Yield what ``--diff`` shows of a step: pairs of a word and a line."""
    for change in result.changes:
        yield from (("change", line) for line in change_lines(change))
    for evidence in result.evidence:
        yield from (("evidence", line) for line in evidence_lines(evidence))
