"""One target in the HTML report: its line, its lane, and what its line opens to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from crashcart.reports.diff import change_lines
from crashcart.reports.html_axis import Axis, span
from crashcart.reports.html_story import Told
from crashcart.reports.html_timeline import Bar, Kind
from crashcart.reports.text import bounded, visible
from crashcart.reports.tones import OUTCOME_TONES, Tone
from crashcart.results import Change, Evidence, StepResult, TargetResult

MOST_CHANGES = 50
"""Changes of one step that are shown; the journal has the whole."""

MOST_EVIDENCE = 40
"""Lines of one piece of evidence that are shown."""


class Shape(msgspec.Struct, frozen=True):
    """A bar as it is drawn: place and width in per cent, and its meaning as a tooltip."""

    kind: Kind
    x: str
    width: str
    title: str
    open: bool


class Kept(msgspec.Struct, frozen=True):
    """A piece of evidence: where it is, its hash, or its lines."""

    name: str
    file: str
    sha256: str
    lines: tuple[str, ...]


class StepRow(msgspec.Struct, frozen=True):
    """One step of a target. ``changes`` are lines: before and after, or a diff of texts; ``undo`` takes them back."""

    name: str
    operation: str
    phase: str
    outcome: str
    tone: Tone
    message: str
    hint: str
    attempts: int
    took: str
    changes: tuple[str, ...]
    undo: str
    evidence: tuple[Kept, ...]


class TargetRow(msgspec.Struct, frozen=True, kw_only=True):
    """One target. ``batch`` is 0 where it was not acted on in one; ``found`` is what its line says beside the message."""

    name: str
    kind: str
    outcome: str
    tone: Tone
    verdict: str
    message: str
    hint: str
    found: str
    batch: int
    is_open: bool
    needs_attention: bool
    bars: tuple[Shape, ...]
    steps: tuple[StepRow, ...]
    story: tuple[Told, ...]


def make_row(
    target: TargetResult,
    *,
    axis: Axis,
    bars: Sequence[Bar],
    story: Sequence[Told],
    found: str,
    batch: int,
    is_open: bool,
    needs_attention: bool,
) -> TargetRow:
    """Make a target's row from its result and from what happened there."""
    return TargetRow(
        name=visible(target.name),
        kind=visible(target.kind),
        outcome=target.outcome.value,
        tone=OUTCOME_TONES[target.outcome],
        verdict=target.verdict.value if target.verdict else "",
        message=visible(target.message),
        hint=visible(target.hint),
        found=found,
        batch=batch,
        is_open=is_open,
        needs_attention=needs_attention,
        bars=tuple(_shape(axis, bar) for bar in bars),
        steps=tuple(_step(step) for step in target.steps),
        story=tuple(story),
    )


def _shape(axis: Axis, bar: Bar) -> Shape:
    return Shape(bar.kind, axis.x(bar.start), axis.x(bar.end - bar.start), bar.title, bar.open)


def _step(step: StepResult) -> StepRow:
    return StepRow(
        name=visible(step.name),
        operation=visible(step.operation),
        phase=step.phase.value,
        outcome=step.outcome.value,
        tone=OUTCOME_TONES[step.outcome],
        message=visible(step.message),
        hint=visible(step.hint),
        attempts=step.attempts,
        took=span(step.duration_s) if step.duration_s else "",
        changes=tuple(bounded(list(_changes(step.changes)), MOST_CHANGES)),
        undo=visible(step.undo),
        evidence=tuple(_kept(evidence) for evidence in step.evidence),
    )


def _changes(changes: Sequence[Change]) -> Iterator[str]:
    for change in changes:
        yield from change_lines(change)


def _kept(evidence: Evidence) -> Kept:
    lines = bounded([visible(line) for line in evidence.lines], MOST_EVIDENCE)
    return Kept(visible(evidence.name), visible(evidence.file), visible(evidence.sha256), tuple(lines))
