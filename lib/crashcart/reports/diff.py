"""Changes and evidence as lines: before and after on one line where both are short, a diff where they are texts."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator

from crashcart.reports.text import bounded, visible
from crashcart.reports.tones import Tone
from crashcart.results import Change, Evidence, StepResult

MOST_LINES = 10
"""Lines that one change or one piece of evidence may take; the journal has them all."""

NOTHING = "(nothing)"
_TONES = {"- ": Tone.BAD, "+ ": Tone.GOOD, "@@": Tone.QUIET}


def change_lines(change: Change) -> list[str]:
    """Return what changed: one line, or a diff of two texts, bounded."""
    what = visible(change.what)
    if not _is_text(change):
        return [f"{what}: {visible(change.before) or NOTHING} -> {visible(change.after) or NOTHING}"]
    texts = (change.before.splitlines(), change.after.splitlines())
    marked = list(difflib.unified_diff(*texts, lineterm="", n=1))[2:]
    return bounded([f"{what}: {_marked(line)}" for line in marked], MOST_LINES)


def changes_lines(changes: Iterable[Change]) -> list[str]:
    """Return the lines of several changes, bounded as a whole."""
    return bounded([line for change in changes for line in change_lines(change)], MOST_LINES)


def diff_tones(change: Change) -> list[tuple[str, Tone]]:
    """Return what ``change_lines`` returns, each line with its tone: what goes and what comes, as every diff has them."""
    before = f"{visible(change.what)}: "
    if not _is_text(change):
        return [(line, Tone.PLAIN) for line in change_lines(change)]
    return [(line, _TONES.get(line.removeprefix(before)[:2], Tone.PLAIN)) for line in change_lines(change)]


def _is_text(change: Change) -> bool:
    return "\n" in change.before.strip() + change.after.strip()


def _marked(line: str) -> str:
    """Set a line of a diff off from its mark; the head of a hunk stays as it is."""
    return line if line.startswith("@@") else f"{line[:1]} {visible(line[1:])}"


def evidence_lines(evidence: Evidence) -> list[str]:
    """Return what was kept: the file and its hash, or the lines themselves, bounded."""
    name = visible(evidence.name)
    kept = [f"{name}: kept in {visible(evidence.file)}"] if evidence.file else []
    return kept + bounded([f"{name}: {visible(line)}" for line in evidence.lines], MOST_LINES)


def step_lines(result: StepResult) -> Iterator[tuple[str, str]]:
    """Yield what ``--diff`` shows of a step: pairs of a word and a line."""
    yield from ((word, line) for word, line, _ in step_tones(result))


def step_tones(result: StepResult) -> Iterator[tuple[str, str, Tone]]:
    """Yield what ``--diff`` shows of a step: a word, a line, and the line's tone."""
    for change in result.changes:
        yield from (("change", line, tone) for line, tone in diff_tones(change))
    for evidence in result.evidence:
        yield from (("evidence", line, Tone.QUIET) for line in evidence_lines(evidence))
