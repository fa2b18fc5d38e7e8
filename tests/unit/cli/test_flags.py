"""The common flags, typed by us because Invoke would answer with a traceback."""

from __future__ import annotations

from typing import Any

import pytest

from crashcart.cli.flags import parse_request
from crashcart.errors import BadInput
from crashcart.plan import Rollout
from crashcart.results import Mode


def test_defaults() -> None:
    request = parse_request({"hosts": "lab"}, dry=False)
    assert (request.options.forks, request.options.deadline, request.options.mode) == (32, 900, Mode.APPLY)
    assert request.rollout(Rollout(("1",), "10%")) == Rollout(("1",), "10%")


def test_whether_the_forks_were_given_is_known() -> None:
    assert not parse_request({"hosts": "lab"}, dry=False).forks_given
    assert parse_request({"hosts": "lab", "forks": "32"}, dry=False).forks_given


@pytest.mark.parametrize(("values", "dry"), [({"check": True}, False), ({}, True)])
def test_check_mode(values: dict[str, Any], dry: bool) -> None:
    assert parse_request({"hosts": "lab", **values}, dry=dry).options.mode is Mode.CHECK


def test_overrides() -> None:
    request = parse_request({"hosts": "x", "serial": "1, 50%", "max_failures": "0", "deadline": "1h"}, dry=False)
    assert request.rollout(Rollout(("9",), "10%")) == Rollout(("1", "50%"), "0")
    assert request.options.deadline == 3600


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"hosts": None}, "--hosts is required"),
        ({"forks": "abc"}, "--forks: expected a whole number"),
        ({"forks": "0"}, "--forks"),
        ({"forks": "²"}, "--forks"),
        ({"serial": "x"}, "--serial: expected a count"),
        ({"serial": "0"}, "--serial: expected batch sizes above zero"),
        ({"serial": ","}, "--serial"),
        ({"max_failures": "-1"}, "--max-failures: expected a count"),
        ({"deadline": "soon"}, "--deadline: expected a duration"),
        ({"output": "xml"}, "--output: expected text or json"),
        ({"plan": ""}, "--plan: expected a path, got nothing"),
        ({"plan": "x", "approved": "y"}, "leave one of them out"),
    ],
)
def test_bad_flags_are_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        parse_request({"hosts": "lab", **values}, dry=False)
