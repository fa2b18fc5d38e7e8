"""A past run as text: its first line says what kind of run it was, as the run itself did."""

from __future__ import annotations

import pytest

from crashcart.reports.past import run_text
from crashcart.results import Mode, Outcome
from tests.unit.reports.runs import result
from tests.unit.reports.test_junit import past

RUNS = [
    (True, Mode.APPLY, "read-only"),
    (True, Mode.CHECK, "read-only"),
    (False, Mode.APPLY, "apply"),
    (False, Mode.CHECK, "check"),
]


@pytest.mark.parametrize(("read_only", "mode", "word"), RUNS)
def test_it_begins_with_what_was_asked(read_only: bool, mode: Mode, word: str) -> None:
    told = run_text(past([result("web1", Outcome.OK)], read_only=read_only, mode=mode))
    assert f": recover.lamp ({word}) on web by ops" in told.splitlines()[0]
