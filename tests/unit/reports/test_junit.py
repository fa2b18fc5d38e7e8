"""JUnit XML as CI systems read it: who failed, who could not be asked, and why. Hosts may say anything in it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree as ET

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crashcart.events import AnyEvent, UndoOwed
from crashcart.journal.lines import ORIGIN, Head, Line
from crashcart.journal.recall import PastRun
from crashcart.plan import OwedUndo, PlannedStep
from crashcart.reports.junit import junit
from crashcart.results import Change, Evidence, Outcome, Phase, StepResult, TargetResult
from tests.unit.reports.runs import HASH, JOURNAL, RUN, result, started, whole

NOW = datetime(2030, 1, 1, 3, tzinfo=UTC)

HOSTILE = "a|b\r\n::error::x %0A <img src=x> [x](http://evil) @all `id` \x1b[31m \x00 \ud800 \u202e *_~# ##[error]x ]]>"

SAID = st.text(
    st.sampled_from("a b|`\\<>&@#*_[]()!~:/.\r\n\t\x00\x1b\x85\u2028\u202e\ud800\ufffe\U0001f600-=|$'\""), max_size=40
)
"""What a host may say: marks of every format, and characters that no format may hold."""

UNDO = OwedUndo(RUN, "web1", "undo switch", "switch the lamp off", (PlannedStep("undo switch", "lamp.off", Phase.UNDO, {}),))


def replayed(events: Sequence[AnyEvent]) -> PastRun:
    """A run as its journal would tell it, without the journal."""
    return PastRun(
        JOURNAL, tuple(Line(place, HASH, Head(NOW, ORIGIN), event) for place, event in enumerate(events, start=1))
    )


def past(results: Sequence[TargetResult], **options: Any) -> PastRun:
    """A run that came to its end."""
    return replayed(whole(started(*(each.name for each in results), **options), results))


def owing() -> PastRun:
    """A run that failed on web1 and could not take back what it had done there."""
    events = whole(started("web1"), [result("web1", Outcome.FAILED, "it does not shine")])
    return replayed([*events[:-1], UndoOwed("web1", "stuck", (UNDO,)), events[-1]])


def broken_off() -> PastRun:
    """A run of two targets whose controller died after the first one."""
    events = whole(started("web1", "web2"), [result("web1", Outcome.OK, "it shines")])
    return replayed(events[:-1])


def suite(run: PastRun) -> ET.Element:
    found = ET.fromstring(junit(run)).find("testsuite")  # noqa: S314 -- our own output
    assert found is not None
    return found


def cases(run: PastRun) -> dict[str | None, ET.Element]:
    return {case.get("name"): case for case in suite(run).iter("testcase")}


TAGS = [
    (Outcome.OK, ""),
    (Outcome.CHANGED, ""),
    (Outcome.WOULD_CHANGE, "skipped"),
    (Outcome.SKIPPED, "skipped"),
    (Outcome.REFUSED, "failure"),
    (Outcome.FAILED, "failure"),
    (Outcome.UNREACHABLE, "error"),
    (Outcome.UNKNOWN, "error"),
]


@pytest.mark.parametrize(("outcome", "tag"), TAGS)
def test_each_outcome_has_its_element(outcome: Outcome, tag: str) -> None:
    case = cases(past([result("web1", outcome, "why it is so")]))["web1"]
    assert [child.tag for child in case] == [*([tag] if tag else []), "system-out"]
    if tag:
        assert (case[0].get("type"), case[0].get("message"), case[0].text) == (outcome.value, "why it is so", "why it is so")


def test_the_suite_counts_its_cases() -> None:
    found = suite(past([result(outcome.value, outcome) for outcome, _ in TAGS]))
    counted = {key: found.get(key) for key in ("name", "tests", "failures", "errors", "skipped", "time", "timestamp")}
    assert counted == {
        "name": "recover.lamp",
        "tests": "8",
        "failures": "2",
        "errors": "2",
        "skipped": "2",
        "time": "12.340",
        "timestamp": "2030-01-01T03:00:00",
    }


def test_its_properties_say_who_and_why_and_where_the_journal_is() -> None:
    run = past([result("web1", Outcome.FAILED)], reason="r", incident="INC-7")
    properties = {each.get("name"): each.get("value") for each in suite(run).iter("property")}
    assert properties == {
        "run": RUN,
        "mode": "apply",
        "status": "failed",
        "exit_code": "1",
        "message": "",
        "selection": "web",
        "actor": "ops",
        "reason": "r",
        "incident": "INC-7",
        "journal": str(JOURNAL),
        "journal_sha256": HASH,
    }


def test_a_case_tells_its_steps_changes_and_evidence() -> None:
    changes, evidence = (Change("lamp", "off", "on"),), (Evidence("state", "evidence/web1.txt", "ab"),)
    case = cases(past([result("web1", Outcome.CHANGED, "it shines", changes=changes, evidence=evidence, duration_s=1.5)]))[
        "web1"
    ]
    assert case.get("time") == "1.500"
    assert str(case.findtext("system-out")).splitlines() == [
        "step switch: changed: it shines",
        "  change: lamp: off -> on",
        "  evidence: state: kept in evidence/web1.txt",
        "verify shines: ok: said",
    ]


def test_a_hint_names_its_target() -> None:
    failed = result("web1", Outcome.FAILED, "it is dark", hint="inv recover.bulb --hosts ...")
    assert cases(past([failed]))["web1"].findtext("failure") == "it is dark\nhint: inv recover.bulb --hosts web1"


def test_what_was_not_taken_back_is_an_error_of_its_target() -> None:
    assert cases(owing())["web1"].findtext("system-err") == "NOT TAKEN BACK: switch the lamp off: stuck"


def test_a_run_that_broke_off_has_a_case_for_every_target() -> None:
    found = cases(broken_off())
    assert found["web1"].find("skipped") is None
    assert "the run broke off" in str(found["web2"].findtext("skipped"))
    assert suite(broken_off()).find("properties/property[@name='status']").get("value") == "unknown"  # type: ignore[union-attr]


@settings(max_examples=60)
@given(SAID)
def test_it_is_xml_whatever_a_host_says(said: str) -> None:
    step = msgspec.structs.replace(
        result("web1", Outcome.FAILED, said).steps[0], hint=said, changes=(Change(said, said, said),)
    )
    found = suite(past([TargetResult.of("web1", "linux", (step,))], reason=said))
    texts = [text for element in found.iter() for text in (*element.attrib.values(), element.text or "")]
    assert all(line.isprintable() for text in texts for line in text.split("\n"))
    assert [element.tag for element in found.iter("testcase") for element in element] == ["failure", "system-out"]


def test_the_same_journal_gives_the_same_bytes() -> None:
    run = past([result("web1", Outcome.FAILED, HOSTILE), result("web2", Outcome.OK)])
    assert junit(run) == junit(run)


ALLOWED = {
    "testsuites": ({"name"}, {"testsuite"}),
    "testsuite": ({"name", "tests", "failures", "errors", "skipped", "time", "timestamp"}, {"properties", "testcase"}),
    "properties": (set(), {"property"}),
    "property": ({"name", "value"}, set()),
    "testcase": ({"name", "classname", "time"}, {"failure", "error", "skipped", "system-out", "system-err"}),
    **dict.fromkeys(("failure", "error", "skipped"), ({"type", "message"}, set())),
    **dict.fromkeys(("system-out", "system-err"), (set(), set())),
}
"""What of Jenkins's schema is used: the attributes and children of each element."""


def test_it_holds_to_jenkins_schema() -> None:
    undo = StepResult("undo switch", "lamp.off", Phase.UNDO, Outcome.FAILED, "stuck")
    both = TargetResult.of("both", "linux", (result("both", Outcome.FAILED, HOSTILE).steps[0], undo))
    for run in (past([both, *(result(outcome.value, outcome) for outcome, _ in TAGS)]), owing(), broken_off()):
        for element in ET.fromstring(junit(run)).iter():  # noqa: S314 -- our own output
            attributes, children = ALLOWED[element.tag]
            assert set(element.attrib) <= attributes, element.tag
            assert {child.tag for child in element} <= children, element.tag
