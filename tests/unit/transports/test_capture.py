from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crashcart.transports.base import Command
from crashcart.transports.capture import Capture, Ending


@given(st.binary(max_size=50), st.binary(max_size=50), st.integers(1, 20))
def test_what_comes_before_the_marker_is_no_output(before: bytes, after: bytes, size: int) -> None:
    capture = Capture(Command("true"), "TOKEN")
    for stream, marker in ((capture.out, b"TOKEN\n"), (capture.err, b"TOKEN 4711\n")):
        data = before + marker + after
        for start in range(0, len(data), size):
            stream.feed(data[start : start + size])
    result = capture.result(Ending(status=0), 0.1)
    assert capture.group == 4711
    assert (result.stdout.data, result.stderr.data) == (after, after)


def test_a_traced_shell_that_prints_the_token_does_not_count() -> None:
    capture = Capture(Command("true"), "TOKEN")
    capture.err.feed(b"+ exec sh -c 'echo TOKEN; echo TOKEN \"$PPID\"'\n")
    assert capture.group is None
    assert capture.complaint.startswith("+ exec")


def test_a_host_that_talks_for_ever_without_a_marker_is_bounded() -> None:
    capture = Capture(Command("true"), "TOKEN")
    for _ in range(100):
        capture.err.feed(b"x" * 10_000)
    assert len(capture.err.preamble) == 64 * 1024
    assert capture.result(Ending(status=0), 0.1).stderr.data == b""


@pytest.mark.parametrize(
    ("ending", "duration", "timed_out"),
    [
        (Ending(status=124), 5.0, True),
        (Ending(status=137), 7.0, True),
        (Ending(signal="SIGKILL"), 7.0, True),
        (Ending(status=124), 1.0, False),
        (Ending(status=0), 5.0, False),
        (Ending(signal="SIGSEGV"), 5.0, False),
    ],
)
def test_a_time_out_is_a_status_and_a_time(ending: Ending, duration: float, timed_out: bool) -> None:
    result = Capture(Command("true", timeout=5.0), "TOKEN").result(ending, duration)
    assert result.timed_out is timed_out
    assert (result.status, result.signal) == (ending.status, ending.signal)
