"""Budgets as an inventory writes them: read strictly."""

from __future__ import annotations

from typing import Any

import pytest

from crashcart import yamlfile
from crashcart.errors import BadInput
from crashcart.journal.spending import KEPT, Allowance
from crashcart.safety.budget import PERIODS, budget_of, parse_budget
from crashcart.targets import Target


def test_the_example_of_the_inventory() -> None:
    raw = yamlfile.parse("{restart: 3/host/hour, failover: 2/target/day}", "x").value
    assert parse_budget(raw, "web1") == (
        Allowance("restart", 3, 3600.0, "3/host/hour"),
        Allowance("failover", 2, 86400.0, "2/target/day"),
    )


def test_none_is_said_in_words() -> None:
    assert parse_budget({}, "web1") == ()
    assert budget_of(Target("web1")) == ()


def test_nothing_at_all_may_be_allowed() -> None:
    assert budget_of(Target("web1", variables={"budget": {"failover": " 0 / target / week "}})) == (
        Allowance("failover", 0, 604800.0, "0/target/week"),
    )


def test_no_period_is_longer_than_the_ledger_remembers() -> None:
    assert max(PERIODS.values()) < KEPT.total_seconds()


@pytest.mark.parametrize(
    ("raw", "message", "hint"),
    [
        (None, "budget: expected kinds of act with how often they are allowed, got nothing", "{} means none"),
        ("3/host/hour", "got '3/host/hour'", "restart: 3/host/hour"),
        ([{"restart": "3/host/hour"}], "got [{'restart'", "restart"),
        ({"Restart!": "3/host/hour"}, "budget.Restart!: expected a kind of act", ""),
        ({True: "3/host/hour"}, "budget.True: expected a kind of act", ""),
        ({"restart": 3}, "budget.restart: expected a number, a unit and a period such as 3/host/hour, got 3", ""),
        ({"restart": None}, "got None", ""),
        ({"restart": "3/hour"}, "got '3/hour'", ""),
        ({"restart": "3/host/hour/x"}, "got '3/host/hour/x'", ""),
        ({"restart": "three/host/hour"}, "got the number 'three'", ""),
        ({"restart": "-1/host/hour"}, "got the number '-1'", ""),
        ({"restart": "1.5/host/hour"}, "got the number '1.5'", ""),
        ({"restart": "٣/host/hour"}, "got the number '٣'", ""),
        ({"restart": "3/hots/hour"}, "budget.restart: unknown unit 'hots'", "did you mean host?"),
        ({"restart": "3/run/hour"}, "unknown unit 'run'", "there are host, target"),
        ({"restart": "3/host/hours"}, "unknown period 'hours'", "did you mean hour?"),
        ({"restart": "3/host/90s"}, "unknown period '90s'", "there are minute, hour, day, week"),
    ],
)
def test_what_cannot_be_read_is_bad_input(raw: Any, message: str, hint: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_budget(raw, "web1")
    assert caught.value.message.startswith("web1: budget")
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_a_target_names_itself() -> None:
    with pytest.raises(BadInput, match="web7: budget"):
        budget_of(Target("web7", variables={"budget": None}))
