"""The board: what each event makes of a target's row."""

from __future__ import annotations

import pytest

from crashcart.events import Acted, AnyEvent, Decided, Intended, Pinned, StepFinished
from crashcart.reports.board import Board, clock_face
from crashcart.results import Outcome, Phase, StepResult
from tests.unit.reports.runs import finished, looked_at, result, started


@pytest.mark.parametrize(
    ("event", "state", "detail"),
    [
        (Pinned("a", "switch", {}, {}), "looking", "switch"),
        (Decided("a", "switch", "act", "switch it on"), "ready", "switch it on"),
        (Decided("a", "switch", "wait", "warming up"), "waiting", "warming up"),
        (Decided("a", "switch", "done", "shines"), "settling", "shines"),
        (Decided("a", "switch", "unknown", "no reading"), "unsure", "no reading"),
        (Decided("a", "switch", "refuse", "no bulb"), "queued", ""),
        (Intended("a", "switch", "k", "once", "switch it on", "off"), "acting", "switch it on"),
        (Acted("a", "switch", "k", "in_doubt", "line cut"), "in doubt", "line cut"),
        (StepFinished("a", StepResult("switch", "lamp.on", Phase.STEP, Outcome.CHANGED)), "looking", "switch changed"),
    ],
)
def test_a_row_after_an_event(event: AnyEvent, state: str, detail: str) -> None:
    board = Board(started("a"), 0.0)
    board.notice(event, 5.0)
    (row,), _ = board.rows(10)
    assert (row.state, row.detail) == (state, detail)


def test_a_row_counts_from_its_last_change_of_state() -> None:
    board = Board(started("a"), 0.0)
    for second, why in ((5.0, "1 %"), (7.0, "2 %")):
        board.notice(Decided("a", "switch", "wait", why), second)
    (row,), _ = board.rows(10)
    assert (row.since, row.detail) == (5.0, "2 %")


def test_an_act_without_words_keeps_those_of_its_intent() -> None:
    board = Board(started("a"), 0.0)
    board.notice(Intended("a", "switch", "k", "once", "switch it on", "off"), 1.0)
    board.notice(Acted("a", "switch", "k", "applied"), 2.0)
    (row,), _ = board.rows(10)
    assert (row.state, row.detail) == ("applied", "switch it on")


def test_finished_rows_make_room_when_there_are_many() -> None:
    board = Board(started("a", "b", "c"), 0.0)
    for event in (*finished(result("a", Outcome.OK)), *looked_at("b"), Pinned("c", "switch", {}, {})):
        board.notice(event, 1.0)
    shown, left_out = board.rows(2)
    assert [row.name for row in shown] == ["c"]
    assert left_out == {"ready": 1}
    assert (board.finished, board.total) == (1, 3)


@pytest.mark.parametrize(("seconds", "face"), [(0, "0:00"), (67.9, "1:07"), (3723, "1:02:03")])
def test_clock_face(seconds: float, face: str) -> None:
    assert clock_face(seconds) == face
