"""What GitHub Actions is told: annotations that hold what hosts say, and a step summary within GitHub's limit."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings

from crashcart.reports.document import encode, replay
from crashcart.reports.github import CUT, LARGEST, MOST_ANNOTATIONS, is_github, tell_github, workflow_commands
from crashcart.reports.markdown import markdown
from crashcart.results import Change, Outcome
from tests.unit.reports.runs import plain, result, started, whole
from tests.unit.reports.test_junit import HOSTILE, SAID, broken_off, owing, past

COMMAND = re.compile(r"::(error|warning|notice) title=([^:,\r\n]*)::([^\r\n]*)")
"""A workflow command as the runner reads it: the first ``::`` behind the name ends the properties."""


def read(line: str) -> tuple[str, str, str]:
    found = COMMAND.fullmatch(line)
    assert found, line
    return found[1], unescaped(found[2]), unescaped(found[3])


def unescaped(text: str) -> str:
    """As the runner does it: ``%25`` last, so that what was escaped is not read twice."""
    for code, character in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(code, character)
    return text


def test_errors_and_warnings() -> None:
    results = [
        result("web1", Outcome.FAILED, "50% of it, broken: truly"),
        result("web2", Outcome.REFUSED, "held by alice"),
        result("web3", Outcome.OK, "fine"),
        result("web4", Outcome.UNREACHABLE, "no answer"),
        result("web5", Outcome.UNKNOWN, "who knows"),
        result("web6", Outcome.SKIPPED, "not reached"),
    ]
    assert [read(line) for line in workflow_commands(past(results))] == [
        ("error", "recover.lamp: web1 failed", "50% of it, broken: truly"),
        ("error", "recover.lamp: web4 unreachable", "no answer"),
        ("error", "recover.lamp: web5 unknown", "who knows"),
        ("warning", "recover.lamp: web2 refused", "held by alice"),
    ]


def test_there_are_ten_of_a_kind_and_a_notice_of_the_others() -> None:
    failed = [result(f"f{number}", Outcome.FAILED) for number in range(MOST_ANNOTATIONS + 3)]
    refused = [result(f"r{number}", Outcome.REFUSED) for number in range(MOST_ANNOTATIONS + 2)]
    kinds = [read(line)[0] for line in workflow_commands(past([*failed, *refused]))]
    assert kinds == ["error"] * MOST_ANNOTATIONS + ["warning"] * MOST_ANNOTATIONS + ["notice"]
    last = list(workflow_commands(past([*failed, *refused])))[-1]
    assert read(last)[2].startswith("5 more messages")


def test_nothing_to_look_at_is_no_annotation() -> None:
    assert list(workflow_commands(past([result("web1", Outcome.CHANGED, "done")]))) == []


def test_what_was_not_taken_back_comes_first() -> None:
    first = read(next(workflow_commands(owing())))
    assert first == ("error", "recover.lamp: web1 UNDO OWED", "not taken back: switch the lamp off: stuck")


def test_a_run_that_broke_off_is_an_error() -> None:
    kind, title, message = read(next(workflow_commands(broken_off())))
    assert (kind, title) == ("error", "recover.lamp: unfinished")
    assert "runs.resume" in message


@settings(max_examples=60)
@given(SAID)
def test_no_message_ends_its_command_or_begins_another(said: str) -> None:
    (line,) = workflow_commands(past([result("web1", Outcome.FAILED, said + HOSTILE)]))
    kind, title, message = read(line)
    assert (kind, title) == ("error", "recover.lamp: web1 failed")
    assert message.isprintable()


@pytest.mark.parametrize(("value", "found"), [("true", True), ("false", False), ("", False)])
def test_where_this_is_github(value: str, found: bool) -> None:
    assert is_github({"GITHUB_ACTIONS": value}) is found
    assert not is_github({})


def test_the_summary_is_added_to_what_is_there(tmp_path: Path) -> None:
    place = tmp_path / "summary"
    place.write_text("# before\n")
    for _ in range(2):
        tell_github(past([result("web1", Outcome.OK)]), {"GITHUB_STEP_SUMMARY": str(place)}, io.StringIO())
    assert place.read_text().startswith("# before\n## ")
    assert place.read_text().count("\n## `recover.lamp") == 2


@pytest.mark.parametrize("room", range(150, 650, 41))
def test_a_summary_that_does_not_fit_is_cut_at_a_line(tmp_path: Path, room: int) -> None:
    run = past([result("web1", Outcome.OK)])
    lines = markdown(run).encode().splitlines()
    place = tmp_path / "summary"
    place.write_bytes(b"x" * (LARGEST - room))
    tell_github(run, {"GITHUB_STEP_SUMMARY": str(place)}, io.StringIO())
    added = place.read_bytes().lstrip(b"x")
    assert 0 < len(added) <= room
    assert added.endswith(CUT)
    assert set(added.removesuffix(CUT).splitlines()) <= set(lines)
    assert added.count(b"```") % 2 == 0, "what comes next is no part of a block"


@pytest.mark.parametrize("room", [0, 10, len(CUT)])
def test_a_summary_without_room_is_left_as_it_is(tmp_path: Path, room: int) -> None:
    place = tmp_path / "summary"
    place.write_bytes(b"x" * (LARGEST - room))
    tell_github(past([result("web1", Outcome.OK)]), {"GITHUB_STEP_SUMMARY": str(place)}, io.StringIO())
    assert place.stat().st_size == LARGEST - room


class Gone(io.StringIO):
    """A stream whose reader is gone."""

    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_what_cannot_be_told_fails_no_recovery(tmp_path: Path) -> None:
    environ = {"GITHUB_STEP_SUMMARY": str(tmp_path / "no" / "such" / "file")}
    tell_github(past([result("web1", Outcome.FAILED)]), environ, Gone())


def is_command(line: str) -> bool:
    """As the runner decides it: ``::`` first on a line, blanks aside, or the older ``##[`` anywhere in it."""
    return line.lstrip().startswith("::") or "##[" in line


@settings(max_examples=40)
@given(SAID)
def test_nothing_that_a_host_says_is_a_command_of_the_runner(said: str) -> None:
    """The runner reads the log: whoever writes to it could mask words, set outputs, or switch commands off."""
    failed = result("web1", Outcome.FAILED, f"{said}{HOSTILE}", changes=(Change(HOSTILE, HOSTILE, HOSTILE),))
    told = [plain(whole(started("web1", diff=True), [failed])), encode(replay(past([failed]))).decode()]
    assert not [line for text in told for line in text.splitlines() if is_command(line)]


def test_the_document_still_says_what_the_host_said() -> None:
    document = json.loads(encode(replay(past([result("web1", Outcome.FAILED, "### ##[error]x")]))))
    assert document["targets"][0]["message"] == "### ##[error]x"
