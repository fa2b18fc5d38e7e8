"""The Markdown summary, read by a real Markdown parser: whatever a host says stays text in its cell."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from crashcart.events import RunResumed, StepFinished
from crashcart.journal.recall import PastRun
from crashcart.reports.markdown import LONGEST, MOST_TARGETS, code, markdown
from crashcart.reports.text import visible
from crashcart.reports.undoing import owed_undos
from crashcart.results import Mode, Outcome, Phase, StepResult, TargetResult, Verdict
from tests.unit.reports.runs import HASH, JOURNAL, RUN, result
from tests.unit.reports.test_junit import HOSTILE, SAID, broken_off, owing, past, replayed

PARSER = MarkdownIt("commonmark", {"html": True}).enable("table")

HARMLESS = {"text", "code_inline", "softbreak", "strong_open", "strong_close"}


def inlines(text: str) -> Iterator[Token]:
    for token in PARSER.parse(text):
        yield from token.children or ()


def tables(text: str) -> list[list[list[str]]]:
    """Every table: its rows, each a list of cells as they are shown."""
    found: list[list[list[str]]] = []
    tokens = PARSER.parse(text)
    for place, token in enumerate(tokens):
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append([])
        elif token.type in {"td_open", "th_open"}:
            found[-1][-1].append("".join(child.content for child in tokens[place + 1].children or ()))
    return found


def headlines(text: str) -> list[str]:
    tokens = PARSER.parse(text)
    return [tokens[place + 1].content for place, token in enumerate(tokens) if token.type == "heading_open"]


def test_it_begins_with_what_was_done_to_what_by_whom_and_why() -> None:
    text = markdown(past([result("web1", Outcome.FAILED, "no")], reason="it is dark", incident="INC-7"))
    assert headlines(text) == ["`recover.lamp on web (apply): failed, exit 1, 12.3 s`"]
    banner = dict(tables(text)[0])
    assert banner["APPLY"] == "targets will be changed"
    assert banner["playbook"] == "recover.lamp: Switch lamps on"
    assert (banner["actor"], banner["reason"], banner["incident"]) == ("ops", "it is dark", "INC-7")
    assert banner["hosts"] == "web (1 target: web1)"


def test_check_mode_says_that_nothing_was_changed() -> None:
    text = markdown(past([result("web1", Outcome.WOULD_CHANGE, "would switch it on")], mode=Mode.CHECK))
    assert tables(text)[0][0] == ["CHECK", "nothing will be changed"]
    assert "1 would_change" in text


def test_the_worst_comes_first_and_the_table_is_bounded() -> None:
    results = [result(f"h{number}", Outcome.OK) for number in range(MOST_TARGETS + 5)]
    text = markdown(past([*results, result("bad", Outcome.FAILED, "broken")]))
    rows = tables(text)[1]
    assert rows[0] == ["target", "outcome", "verdict", "message"]
    assert rows[1] == ["bad", "failed", "", "broken"]
    assert len(rows) == 1 + MOST_TARGETS
    assert "6 more targets in the JSON document" in text


def test_a_check_is_counted_by_verdict() -> None:
    results = [
        result("web1", Outcome.OK, verdict=Verdict.HEALTHY),
        result("web2", Outcome.FAILED, "slow", verdict=Verdict.DEGRADED),
    ]
    text = markdown(past(results, read_only=True))
    assert "1 degraded, 1 healthy" in text
    assert tables(text)[1][1] == ["web2", "failed", "degraded", "slow"]


@settings(max_examples=60)
@given(SAID)
def test_no_message_breaks_the_table_or_means_anything(said: str) -> None:
    said += HOSTILE
    text = markdown(past([result("web1", Outcome.FAILED, said)], reason=said, incident=said))
    assert tables(text)[1][1] == ["web1", "failed", "", visible(said, LONGEST).replace("`", "'")]
    assert {token.type for token in inlines(text)} <= HARMLESS
    assert not any(token.type.startswith("html") for token in PARSER.parse(text))


@settings(max_examples=60)
@given(st.one_of(SAID, st.integers(1, 200).map("`".__mul__), st.integers(1, 200).map(lambda many: "`" * many + "<b>")))
def test_a_code_span_is_one_whatever_is_in_it(said: str) -> None:
    shown = code(said)
    tokens = list(inlines(f"x {shown} y"))
    assert [token.type for token in tokens] == (["text", "code_inline", "text"] if shown else ["text"])


def test_what_was_not_taken_back_is_the_loudest() -> None:
    text = markdown(owing())
    owed = "web1: NOT TAKEN BACK: switch the lamp off: stuck"
    assert text.splitlines()[2] == f"**UNDO OWED** `{owed}`: `inv runs.undo {RUN}`"


@pytest.mark.parametrize(
    ("outcome", "said"), [(Outcome.CHANGED, "taken back"), (Outcome.FAILED, "NOT TAKEN BACK (failed)")], ids=["done", "not"]
)
def test_what_came_of_each_undo_is_said(outcome: Outcome, said: str) -> None:
    undo = StepResult("undo switch", "lamp.off", Phase.UNDO, outcome, "so it is")
    whole = TargetResult.of("web1", "linux", (result("web1", Outcome.FAILED, "no").steps[0], undo))
    assert tables(markdown(past([whole])))[2][1] == ["web1", "undo switch", said, "so it is"]


def test_what_a_resumed_run_took_back_is_owed_no_more() -> None:
    undo = StepResult("undo switch", "lamp.off", Phase.UNDO, Outcome.CHANGED, "off")
    events = [line.event for line in owing().lines]
    assert [event.target for event in owed_undos(owing())] == ["web1"]
    assert owed_undos(replayed([*events, RunResumed("ops"), StepFinished("web1", undo)])) == ()


def test_a_run_that_broke_off_says_how_to_go_on() -> None:
    text = markdown(broken_off())
    assert "unfinished" in headlines(text)[0]
    assert f"inv runs.resume {RUN}  # go on where this run stopped" in text


@pytest.mark.parametrize(
    "run", [past([result("web1", Outcome.OK)]), owing(), broken_off()], ids=["ok", "owing", "broken off"]
)
def test_it_ends_with_the_journal(run: PastRun) -> None:
    assert markdown(run).rstrip().splitlines()[-1] == f"journal `{JOURNAL}` sha256 `{HASH}`"
