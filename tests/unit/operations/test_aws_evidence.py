"""Evidence is best effort: what does not come in time is left behind, and holds nothing up."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from crashcart.errors import ApiRefused
from crashcart.operations.aws_evidence import LATE, gather_answers
from crashcart.transports.base import ApiCall


class Cloud:
    """Answers one call, refuses another, and keeps the third waiting until the test is over."""

    resource, region, is_emulated = "cl", "eu-west-1", False

    def __init__(self) -> None:
        self.over = threading.Event()

    def read(self, call: ApiCall) -> dict[str, Any]:
        if call.operation == "Silent":
            self.over.wait()
        if call.operation == "Denied":
            raise ApiRefused("no", action="x", code="y")
        return {"said": call.operation}

    def write(self, call: ApiCall) -> dict[str, Any]:
        raise AssertionError(call)

    def cancel(self) -> None: ...

    def close(self) -> None: ...


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    made = Cloud()
    yield made
    made.over.set()


def test_who_is_late_is_named_and_not_waited_for(cloud: Cloud) -> None:
    kept = gather_answers(cloud, [ApiCall("a", name) for name in ("Prompt", "Silent", "Denied")], within=0.05).decode()
    assert '"said": "Prompt"' in kept
    assert LATE in kept
    assert '"answer": "no"' in kept


def test_nothing_is_kept_where_nobody_answers(cloud: Cloud) -> None:
    assert gather_answers(cloud, [ApiCall("a", "Silent"), ApiCall("a", "Denied")], within=0.05) == b""
