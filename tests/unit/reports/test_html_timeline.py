"""The timeline: what was done when, from the journal's times alone, and nothing made up where it has none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crashcart.events import Acted, AnyEvent, Decided, Intended, Pinned, RunResumed, StepFinished, Surveyed
from crashcart.journal.lines import ORIGIN, Head, Line
from crashcart.journal.recall import PastRun
from crashcart.reports.html_axis import LABEL_ROOM, MOST_TICKS, SHORT_BREAK, Axis, Moment, moments_of, span
from crashcart.reports.html_timeline import Bar, Kind, lanes
from crashcart.results import Outcome, Phase
from tests.unit.reports import timed
from tests.unit.reports.timed import HEALTHY, RESTART, START, outcome

PHASES = {("web1", HEALTHY.name): Phase.VERIFY}

Stretch = tuple[str, float, float]


def lane(past: PastRun, name: str) -> list[Stretch]:
    bars = lanes(moments_of(past.lines), {(name, HEALTHY.name): Phase.VERIFY}).get(name, [])
    return [(bar.kind.value, round(bar.start, 2), round(bar.end, 2)) for bar in bars]


def alone(*events: tuple[float, AnyEvent]) -> list[Bar]:
    return lanes([Moment(at, START, event) for at, event in events], PHASES).get("web1", [])


def test_a_target_that_was_well_was_looked_at_for_as_long_as_its_step_took() -> None:
    assert lane(timed.ok(), "web2") == [("observe", 0.21, 0.61)]


def test_a_restart_is_a_mark_of_the_survey_then_looking_acting_waiting_verifying_and_soaking() -> None:
    assert lane(timed.ok(), "web1") == [
        ("observe", 0.8, 0.8),
        ("observe", 1.2, 1.5),
        ("act", 1.5, 3.0),
        ("observe", 3.0, 3.1),
        ("wait", 3.1, 5.2),
        ("verify", 5.2, 6.2),
        ("wait", 6.3, 11.3),
        ("verify", 11.4, 12.4),
    ]


def test_what_is_taken_back_is_one_bar_of_its_own() -> None:
    bars = lane(timed.failed(), "web02.eu-west-1.prod.example.com")
    assert bars[-2:] == [("verify", 16.5, 17.5), ("undo", 17.5, 19.5)]


def test_check_mode_has_marks_only_where_nothing_tells_how_long_a_look_took() -> None:
    assert lane(timed.check(), "web1") == [("observe", 0.8, 0.8)]


def test_an_act_without_a_result_is_open_until_the_last_line() -> None:
    last = lanes(moments_of(timed.killed().lines), {})["web1"][-1]
    assert (last.kind, last.start, last.end, last.open) == (Kind.ACT, 1.5, 3.0, True)
    assert last.title == f"act: {timed.DOING}, 1.5 s; its end is not known"


def test_the_time_in_which_a_run_lay_still_is_cut_out() -> None:
    moments = moments_of(timed.resumed().lines)
    resumed = next(moment for moment in moments if isinstance(moment.event, RunResumed))
    assert resumed.at == 3.0 + SHORT_BREAK
    assert moments[-1].at == pytest.approx(4.0 + 4.1)
    assert [(bar.kind, bar.open) for bar in lanes(moments, {})["web1"] if bar.kind is Kind.ACT] == [(Kind.ACT, True)]


def test_waiting_for_a_batch_is_not_looking() -> None:
    bars = alone(
        (1.0, Pinned("web1", RESTART.name, {}, {})),
        (1.0, Decided("web1", RESTART.name, "act", "x")),
        (2.0, Surveyed(("web1",))),
        (60.0, Intended("web1", RESTART.name, "k", "once", "go", "t")),
        (61.0, Acted("web1", RESTART.name, "k", "applied")),
    )
    assert [(bar.kind, bar.start, bar.end) for bar in bars] == [(Kind.OBSERVE, 1.0, 1.0), (Kind.ACT, 60.0, 61.0)]


@pytest.mark.parametrize("answer", ["in_doubt", "not_applied"])
def test_after_a_doubtful_or_futile_act_there_is_waiting(answer: str) -> None:
    bars = alone(
        (1.0, Intended("web1", RESTART.name, "k", "once", "go", "t")),
        (2.0, Acted("web1", RESTART.name, "k", answer)),
        (5.0, StepFinished("web1", outcome(RESTART, Outcome.UNKNOWN, duration=4.0))),
    )
    assert [(bar.kind, bar.end) for bar in bars] == [(Kind.ACT, 2.0), (Kind.WAIT, 5.0)]


def test_reasons_that_change_while_waiting_are_one_bar() -> None:
    waits = [(1.0 + at, Decided("web1", RESTART.name, "wait", f"lag {at} s")) for at in range(5)]
    bars = alone(*waits, (8.0, StepFinished("web1", outcome(RESTART, Outcome.OK, duration=7.5))))
    assert [(bar.kind, bar.start, bar.end) for bar in bars] == [(Kind.OBSERVE, 0.5, 1.0), (Kind.WAIT, 1.0, 8.0)]


def test_a_clock_that_was_set_back_does_not_turn_the_axis_around() -> None:
    times = [0, 5, -100, -99, 6]
    lines = [Line(n, "", Head(START + timedelta(seconds=at), ORIGIN), RunResumed("x")) for n, at in enumerate(times)]
    places = [moment.at for moment in moments_of(lines)]
    assert places == sorted(places)


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.floats(0, 50), st.sampled_from(["wait", "act", "done", "intent", "applied", "end"])), max_size=12)
)
def test_bars_lie_on_the_axis_in_order_and_none_overlaps(steps: list[tuple[float, str]]) -> None:
    at, moments = 0.0, []
    for passed, what in steps:
        at += passed
        moments.append(Moment(at, START, _event(what, passed)))
    bars = lanes(moments, PHASES).get("web1", [])
    assert all(0 <= bar.start <= bar.end <= at for bar in bars)
    assert all(before.end <= after.start + 0.01 for before, after in pairwise(bars))


def _event(what: str, passed: float) -> AnyEvent:
    match what:
        case "intent":
            return Intended("web1", RESTART.name, "k", "once", "go", "t")
        case "applied":
            return Acted("web1", RESTART.name, "k", "applied")
        case "end":
            return StepFinished("web1", outcome(RESTART, Outcome.OK, duration=passed / 2))
        case _:
            return Decided("web1", RESTART.name, what, "why")


@settings(max_examples=60)
@given(st.floats(0, 1e6))
def test_the_axis_has_few_ticks_that_all_lie_on_it(seconds: float) -> None:
    ticks = Axis(seconds).ticks()
    assert len(ticks) <= MOST_TICKS
    assert all(0 <= float(tick.x) <= 100 for tick in ticks)
    assert len({tick.label for tick in ticks}) == len(ticks)


@pytest.mark.parametrize(
    ("seconds", "labels"),
    [
        (0.0, []),
        (0.9, ["0 s", "0.2 s", "0.4 s", "0.6 s", "0.8 s"]),
        (12.5, ["0 s", "5 s", "10 s"]),
        (160.0, ["0:00", "0:30", "1:00", "1:30", "2:00", "2:30"]),
        (9000.0, ["0:00", "30:00", "1:00:00", "1:30:00", "2:00:00", "2:30:00"]),
    ],
)
def test_ticks_are_times_that_people_count_in(seconds: float, labels: list[str]) -> None:
    assert [tick.label for tick in Axis(seconds).ticks()] == labels


def test_batches_are_marked_and_labels_do_not_lie_upon_each_other() -> None:
    moments = moments_of(timed.many(60).lines)
    assert [mark.label for mark in Axis(moments[-1].at).marks(moments)] == ["batch 1/3", "batch 2/3", "batch 3/3"]
    crowded = Axis(moments[-1].at * 10).marks(moments)
    assert [mark.label for mark in crowded] == ["batch 1/3", "", ""]
    assert float(crowded[2].x) - float(crowded[0].x) < LABEL_ROOM


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.04, "0.0 s"), (9.99, "10 s"), (75, "75 s"), (160, "2 min 40 s"), (180, "3 min"), (10800, "3 h")]
)
def test_spans_are_as_exact_as_they_need_to_be(seconds: float, said: str) -> None:
    assert span(seconds) == said


def test_the_clock_is_that_of_the_journal() -> None:
    assert moments_of(timed.ok().lines)[0].time == datetime(2030, 1, 1, 3, tzinfo=UTC)
