"""A run as JUnit XML, which every CI system shows: one test case per target, so that a red line names a host.

What failed or was refused is a failure; what could not be reached or told is an error; what was left out is skipped.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from crashcart.journal.recall import PastRun
from crashcart.results import Outcome, StepResult, TargetResult

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_TAGS = {
    Outcome.FAILED: "failure",
    Outcome.REFUSED: "failure",
    Outcome.UNREACHABLE: "error",
    Outcome.UNKNOWN: "error",
    Outcome.SKIPPED: "skipped",
}
"""Outcomes that are not simply passed, and the element that says so."""


def junit(past: PastRun) -> bytes:
    """Return the run as an XML document in UTF-8."""
    first, results, ended = past.started, past.results, past.finished
    tags = [_TAGS.get(result.outcome, "") for result in results]
    suite = ET.Element(
        "testsuite",
        name=_xml(first.plan.playbook),
        tests=str(len(results)),
        failures=str(tags.count("failure")),
        errors=str(tags.count("error")),
        skipped=str(tags.count("skipped")),
        time=f"{ended.duration_s if ended else 0:.3f}",
        timestamp=f"{past.lines[0].head.time:%Y-%m-%dT%H:%M:%S}",
    )
    _properties(suite, past)
    for result in results:
        _case(suite, first.plan.playbook, result)
    root = ET.Element("testsuites", name="crashcart")
    root.append(suite)
    ET.indent(root)
    text: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _properties(suite: ET.Element, past: PastRun) -> None:
    first, ended = past.started, past.finished
    known = {
        "run": first.run,
        "mode": first.options.mode.value,
        "status": ended.status if ended else "unfinished",
        "selection": first.plan.pattern,
        "actor": first.actor,
        "reason": first.options.reason,
        "incident": first.options.incident,
        "journal": str(past.path),
        "journal_sha256": past.lines[-1].hash,
    }
    properties = ET.SubElement(suite, "properties")
    for name, value in known.items():
        ET.SubElement(properties, "property", name=name, value=_xml(value))


def _case(suite: ET.Element, playbook: str, result: TargetResult) -> None:
    took = sum(step.duration_s for step in result.steps)
    case = ET.SubElement(suite, "testcase", classname=_xml(playbook), name=_xml(result.name), time=f"{took:.3f}")
    tag = _TAGS.get(result.outcome)
    if tag:
        said = ET.SubElement(case, tag, message=_xml(result.message))
        if tag != "skipped":
            said.set("type", result.outcome.value)
            said.text = _xml("\n".join(filter(None, (result.message, result.hint))))
    ET.SubElement(case, "system-out").text = _xml("\n".join(line for step in result.steps for line in _step(step)))


def _step(step: StepResult) -> list[str]:
    changes = [f"  {change.what}: {change.before} -> {change.after}" for change in step.changes]
    evidence = [f"  evidence: {kept.name} {kept.file}".rstrip() for kept in step.evidence]
    return [f"{step.phase.value} {step.name}: {step.outcome.value}: {step.message}", *changes, *evidence]


def _xml(text: str) -> str:
    """Leave out what no XML document may hold; a host's output may be anything."""
    return _NOT_XML.sub("?", text)
