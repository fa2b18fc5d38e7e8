"""What CI systems read: JUnit XML, the Markdown summary, GitHub's annotations. Hosts may say anything in them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crashcart.errors import BadInput
from crashcart.events import AnyEvent
from crashcart.journal.lines import ORIGIN, Head, Line
from crashcart.journal.recall import PastRun
from crashcart.reports.folder import REPORTS, check_report_folder, write_reports
from crashcart.reports.github import LARGEST, MOST_ANNOTATIONS, tell_github, workflow_commands
from crashcart.reports.junit import junit
from crashcart.reports.markdown import MOST_TARGETS, markdown
from crashcart.results import Outcome, Phase, StepResult, TargetResult
from tests.unit.reports.runs import HASH, JOURNAL, result, started, whole

NOW = datetime(2030, 1, 1, 3, tzinfo=UTC)

HOSTILE = "a|b\r\n::error::x %0A <img src=x> [x](http://evil) @all `id` \x1b[31m \x00 \ud800 *_~#"


def past(results: Sequence[TargetResult], **options: object) -> PastRun:
    events: list[AnyEvent] = whole(started(*(each.name for each in results), **options), results)  # type: ignore[arg-type]
    lines = [Line(number, HASH, Head(NOW, ORIGIN), event) for number, event in enumerate(events, start=1)]
    return PastRun(JOURNAL, tuple(lines))


def suite(run: PastRun) -> ET.Element:
    found = ET.fromstring(junit(run)).find("testsuite")  # noqa: S314 -- our own output
    assert found is not None
    return found


def test_every_outcome_has_its_place_in_junit() -> None:
    results = [result(outcome.value, outcome, "why") for outcome in Outcome]
    found = suite(past(results))
    assert {key: found.get(key) for key in ("tests", "failures", "errors", "skipped")} == {
        "tests": "8",
        "failures": "2",
        "errors": "2",
        "skipped": "1",
    }
    tags = {case.get("name"): next(child.tag for child in case) for case in found.iter("testcase")}
    assert tags["failed"] == tags["refused"] == "failure"
    assert tags["unreachable"] == tags["unknown"] == "error"
    assert tags["ok"] == tags["changed"] == "system-out"


def test_junit_says_who_and_why_and_where_the_journal_is() -> None:
    properties = {
        each.get("name"): each.get("value")
        for each in suite(past([result("web1", Outcome.OK)], reason="r", incident="INC-7")).iter("property")
    }
    assert (properties["actor"], properties["reason"], properties["incident"]) == ("ops", "r", "INC-7")
    assert (properties["journal"], properties["journal_sha256"]) == (str(JOURNAL), HASH)


@given(st.text())
def test_junit_is_xml_whatever_a_host_says(said: str) -> None:
    assert suite(past([result("web1", Outcome.FAILED, said)])).find("testcase/failure") is not None


@given(st.text(min_size=1))
def test_no_message_breaks_the_table_or_links_anywhere(said: str) -> None:
    text = markdown(past([result("web1", Outcome.FAILED, f"{said}{HOSTILE}")]))
    (row,) = [line for line in text.splitlines() if line.startswith("| web1")]
    assert row.replace("\\\\", "").replace("\\|", "").count("|") == 5
    assert not any(raw in row.replace("\\\\", "") for raw in ("<img", "](", " @all", "\x1b", "\x00"))


def test_the_summary_is_bounded_worst_first() -> None:
    results = [result(f"h{number}", Outcome.OK) for number in range(MOST_TARGETS + 5)]
    text = markdown(past([*results, result("bad", Outcome.FAILED, "broken")]))
    rows = [line for line in text.splitlines() if line.startswith("| ")][1:]
    assert len(rows) == MOST_TARGETS
    assert rows[0].startswith("| bad | failed")
    assert "6 more targets" in text


def test_what_was_not_taken_back_is_said() -> None:
    undo = StepResult("undo switch", "lamp.off", Phase.UNDO, Outcome.FAILED, "stuck")
    whole_result = TargetResult.of("web1", "linux", (result("web1", Outcome.FAILED, "no").steps[0], undo))
    assert "**NOT TAKEN BACK**" in markdown(past([whole_result]))


def test_annotations_are_escaped_and_few() -> None:
    results = [result(f"h{number}", Outcome.FAILED, HOSTILE) for number in range(MOST_ANNOTATIONS + 3)]
    lines = list(workflow_commands(past([*results, result("w", Outcome.REFUSED, "held: by, alice")])))
    assert len(lines) == MOST_ANNOTATIONS + 1
    assert all(line.startswith("::error title=recover.lamp%3A h") and "\n" not in line for line in lines[:-1])
    assert lines[-1] == "::warning title=recover.lamp%3A w refused::held: by, alice"


def test_the_step_summary_is_appended_up_to_githubs_limit(tmp_path: Path) -> None:
    place, run = tmp_path / "summary", past([result("web1", Outcome.OK)])
    tell_github(run, {"GITHUB_STEP_SUMMARY": str(place)}, io.StringIO())
    tell_github(run, {"GITHUB_STEP_SUMMARY": str(place)}, io.StringIO())
    assert place.read_text().count("## recover") == 2
    place.write_bytes(b"x" * LARGEST)
    tell_github(run, {"GITHUB_STEP_SUMMARY": str(place)}, io.StringIO())
    assert place.stat().st_size == LARGEST
    tell_github(run, {"GITHUB_STEP_SUMMARY": str(tmp_path / "no" / "such")}, io.StringIO())


def test_reports_appear_whole_and_readable(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "reports"
    check_report_folder(folder)
    write_reports(folder, past([result("web1", Outcome.FAILED, HOSTILE)]))
    assert {path.name for path in folder.iterdir()} == set(REPORTS)
    assert all(path.stat().st_mode & 0o777 == 0o644 for path in folder.iterdir())


def test_a_report_folder_that_cannot_be_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match=r"--report: .* cannot be written"):
        check_report_folder(tmp_path / "file" / "reports")
