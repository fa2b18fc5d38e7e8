"""Whatever happens to a unit, in whatever order: restarts that somebody asked for are counted, and no others."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crashcart.errors import FactUnreadable
from crashcart.facts import restarts
from crashcart.transports.base import CommandResult, Output
from crashcart.transports.fake import FakeTransport

Told = tuple[tuple[str, str], ...]

START: Told = ((restarts.STARTING, "start"), (restarts.STARTED, "start"))
SIMPLE_START: Told = ((restarts.STARTED, "start"),)
FAILED_START: Told = ((restarts.STARTING, "start"), (restarts.START_FAILED, "start"))
STOP: Told = ((restarts.STOPPING, "stop"), (restarts.STOPPED, "stop"))
STOP_TO_RESTART: Told = ((restarts.STOPPING, "stop"), (restarts.STOPPED, "restart"))
SCHEDULED: Told = ((restarts.SCHEDULED, ""), (restarts.STOPPED, "restart"))

starts = st.sampled_from((START, SIMPLE_START, FAILED_START))
by_hand = starts.flatmap(lambda start: st.sampled_from((STOP_TO_RESTART + start, STOP + start, start)))
automatic = starts.flatmap(lambda start: st.sampled_from((SCHEDULED + start, SCHEDULED[:1] + start)))
episodes = st.lists(st.tuples(st.just(1), by_hand) | st.tuples(st.just(0), automatic), max_size=12)


def printed(told: list[tuple[str, str]], asked: int = 1000, oldest: int = 500) -> bytes:
    lines = [f"Id=x.service\nTriggeredBy=\nasked={asked}\noldest={oldest}000000\n\n\n"]
    for number, (message, job) in enumerate(told):
        kind = f"JOB_TYPE={job}\n" if job else ""
        lines.append(f"__REALTIME_TIMESTAMP={2000 + number}000000\n_BOOT_ID=b\n{kind}MESSAGE_ID={message}\n\n")
    return "".join([*lines, "\nstatus=0\n"]).encode()


@given(episodes, st.booleans())
@settings(max_examples=80, deadline=None)
def test_only_what_was_asked_for_is_counted(happened: list[tuple[int, Told]], booted: bool) -> None:
    told = [*START, (restarts.BOOTED, "")] if booted else []
    told += [line for _, lines in happened for line in lines]
    assert restarts.parse(printed(told)).count == sum(count for count, _ in happened)


def test_the_count_begins_where_the_journal_or_the_answer_does() -> None:
    few, many = printed(list(START)), printed(list(SCHEDULED * (restarts.MOST // 2)))
    assert restarts.parse(few) == restarts.RestartCount(1, 1000.0)
    assert restarts.parse(printed([], oldest=1500)).since == 1500.0
    assert restarts.parse(many) == restarts.RestartCount(0, 2000.0)


def test_an_answer_that_was_cut_within_an_automatic_restart_counts_none() -> None:
    told = list((SCHEDULED + SIMPLE_START) * (restarts.MOST // 3 + 1) + STOP_TO_RESTART + SIMPLE_START)[-restarts.MOST :]
    for begin in range(3):
        assert restarts.parse(printed(told[begin:] + [(restarts.STOPPED, "stop")] * begin)).count == 1


@pytest.mark.parametrize(
    "ended",
    [
        CommandResult(timed_out=True),
        CommandResult(status=1, stdout=Output(printed([]))),
        CommandResult(status=0, stdout=Output(printed([]), cut=1)),
        CommandResult(status=0),
    ],
)
def test_no_whole_answer_is_no_count(ended: CommandResult) -> None:
    host = FakeTransport()
    host.on(restarts.SCRIPT, ended)
    with pytest.raises(FactUnreadable):
        restarts.observe(host, "api.service", 3600)
