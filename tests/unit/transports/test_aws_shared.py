"""One call for all: the first asks, the others get what came of it, whether that was an answer or an error."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from crashcart.errors import Cancelled, NotSent, Throttled
from crashcart.transports.aws_shared import Answer, Answers
from crashcart.transports.base import ApiCall

CALL = ApiCall("health", "DescribeEvents", {"filter": {"regions": ["eu-central-1"]}})


def test_many_threads_send_one_call() -> None:
    answers, sent, release = Answers(), list[int](), threading.Event()

    def ask() -> Answer:
        sent.append(1)
        release.wait(5)
        return {"events": []}

    with ThreadPoolExecutor(8) as pool:
        found = [pool.submit(answers.once, CALL, ask) for _ in range(8)]
        release.set()
        assert [one.result() for one in found] == [{"events": []}] * 8
    assert sent == [1]


def test_another_question_is_another_call() -> None:
    answers = Answers()
    other = ApiCall("health", "DescribeEvents", {"filter": {"regions": ["us-east-1"]}})
    assert answers.once(CALL, lambda: {"n": 1}) == {"n": 1}
    assert answers.once(other, lambda: {"n": 2}) == {"n": 2}
    assert answers.once(CALL, lambda: {"n": 3}) == {"n": 1}


@pytest.mark.parametrize(
    ("raised", "first", "then"),
    [
        (Throttled("slow down"), Throttled, Throttled),
        (Cancelled("ended"), Cancelled, NotSent),  # somebody else's cancelling is not ours
        (ValueError("a defect"), ValueError, NotSent),
    ],
)
def test_an_error_is_everybody_s(raised: Exception, first: type[Exception], then: type[Exception]) -> None:
    answers = Answers()

    def ask() -> Answer:
        raise raised

    with pytest.raises(first):
        answers.once(CALL, ask)
    with pytest.raises(then):
        answers.once(CALL, ask)
