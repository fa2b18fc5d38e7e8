"""A run as JUnit XML, which every CI system shows: one test case per target, so that a red line names a host.

A case per step would be the other way to cut it. But the lists of GitLab and Jenkins show cases by their names, steps that
were not got to would make a run look half skipped, and what people ask a red job is *which* target. The steps, their changes
and evidence stand in the case's output.

Failed and refused are failures; unreachable and unknown are errors, since nobody could tell; skipped, and what check mode
would have changed, are skipped with their message. Elements and attributes are those of Jenkins's schema (junit-10.xsd).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.etree import ElementTree as ET

import msgspec

from crashcart.decoding import convert
from crashcart.events import UndoOwed
from crashcart.journal.recall import PastRun
from crashcart.reports.diff import step_lines
from crashcart.reports.document import RunPart, replay
from crashcart.reports.text import visible
from crashcart.reports.undoing import owed_undos
from crashcart.results import Outcome, StepResult, TargetResult

_TAGS = {
    Outcome.FAILED: "failure",
    Outcome.REFUSED: "failure",
    Outcome.UNREACHABLE: "error",
    Outcome.UNKNOWN: "error",
    Outcome.SKIPPED: "skipped",
    Outcome.WOULD_CHANGE: "skipped",
}
"""Outcomes that are not simply passed, and the element that says so."""


class _Document(msgspec.Struct, frozen=True):
    """The run's JSON document, read back: both say the same of a run that broke off, and hints name their targets."""

    run: RunPart
    targets: tuple[TargetResult, ...]


def junit(past: PastRun) -> bytes:
    """Return the run as an XML document in UTF-8; the same bytes for the same journal."""
    told = convert(replay(past), _Document)
    suite = _suite(told)
    _properties(suite, told.run)
    owed = {event.target: event for event in owed_undos(past)}
    for result in told.targets:
        _case(suite, told.run.playbook, result, owed.get(result.name))
    root = ET.Element("testsuites", name="crashcart")
    root.append(suite)
    ET.indent(root)
    text: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _suite(told: _Document) -> ET.Element:
    tags = [_TAGS.get(result.outcome, "") for result in told.targets]
    return ET.Element(
        "testsuite",
        name=visible(told.run.playbook),
        tests=str(len(tags)),
        failures=str(tags.count("failure")),
        errors=str(tags.count("error")),
        skipped=str(tags.count("skipped")),
        time=f"{told.run.duration_s:.3f}",
        timestamp=f"{told.run.started:%Y-%m-%dT%H:%M:%S}",
    )


def _properties(suite: ET.Element, run: RunPart) -> None:
    known = {
        "run": run.id,
        "mode": run.mode,
        "status": run.status,
        "exit_code": str(run.exit_code),
        "message": run.message,
        "selection": run.selection,
        "actor": run.actor,
        "reason": run.reason,
        "incident": run.incident,
        "journal": run.journal.path,
        "journal_sha256": run.journal.hash,
    }
    properties = ET.SubElement(suite, "properties")
    for name, value in known.items():
        ET.SubElement(properties, "property", name=name, value=visible(value or ""))


def _case(suite: ET.Element, playbook: str, result: TargetResult, owed: UndoOwed | None) -> None:
    took = sum(step.duration_s for step in result.steps)
    case = ET.SubElement(suite, "testcase", classname=visible(playbook), name=visible(result.name), time=f"{took:.3f}")
    tag = _TAGS.get(result.outcome)
    if tag:
        said = ET.SubElement(case, tag, type=result.outcome.value, message=visible(result.message))
        said.text = _text(filter(None, (result.message, result.hint and f"hint: {result.hint}")))
    ET.SubElement(case, "system-out").text = "\n".join(line for step in result.steps for line in _step(step))
    if owed:
        ET.SubElement(case, "system-err").text = _text(f"NOT TAKEN BACK: {undo.summary}: {owed.why}" for undo in owed.undos)


def _step(step: StepResult) -> Iterator[str]:
    yield visible(f"{step.phase.value} {step.name}: {step.outcome.value}: {step.message}")
    yield from (f"  {word}: {line}" for word, line in step_lines(step))


def _text(lines: Iterator[str] | Sequence[str]) -> str:
    """Join lines. All that no XML document may hold is no printable character, so what is visible is also valid."""
    return "\n".join(map(visible, lines))
