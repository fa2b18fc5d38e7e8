"""What must be confirmed, and how."""

from __future__ import annotations

import pytest

from crashcart.errors import Refused
from crashcart.plan import Options, Plan, PlannedStep, TargetPlan
from crashcart.results import Mode, Phase
from crashcart.safety.consent import Needed, ask_consent, check_answers, needed_consent
from crashcart.targets import Target

LAB = TargetPlan(Target("lab1", groups=("all", "lab")))
PROD = TargetPlan(Target("db1", variables={"protected": True}, groups=("all", "prod")))
ELSEWHERE = TargetPlan(Target("cl", variables={"protected": True}), skip="not a host")


def plan(*targets: TargetPlan, read_only: bool = False) -> Plan:
    return Plan("recover.x", "X", "all", targets, read_only=read_only)


def test_ordinary_targets_need_none() -> None:
    assert needed_consent(plan(LAB)).reasons == ()


def test_a_target_that_is_left_alone_does_not_count() -> None:
    assert needed_consent(plan(LAB, ELSEWHERE)).reasons == ()


def test_looking_needs_none() -> None:
    assert needed_consent(plan(PROD, read_only=True)).reasons == ()


def test_protected_targets_are_confirmed_by_their_group() -> None:
    assert needed_consent(plan(LAB, PROD)) == Needed(("protected: db1",), "prod")


def test_emptying_live_logs_is_confirmed_whatever_the_target() -> None:
    step = PlannedStep("s", "disk.reclaim", Phase.STEP, {"truncate_open": ["/var/log/app/app.log"]})
    needed = needed_consent(plan(TargetPlan(LAB.target, (step,))))
    assert len(needed.reasons) == 1
    assert "app.log" in needed.reasons[0]


@pytest.mark.parametrize(
    ("options", "interactive", "hint"),
    [
        (Options(), False, "--reason"),
        (Options(), True, "--reason"),
        (Options(reason="r"), False, "--yes"),
        (Options(reason="r"), True, None),
        (Options(reason="r", yes=True), False, None),
        (Options(reason="r", break_glass=True), False, None),
        (Options(yes=True), False, "--reason"),
        (Options(mode=Mode.CHECK), False, None),
    ],
)
def test_missing_answers_are_refused_with_the_flag(options: Options, interactive: bool, hint: str | None) -> None:
    needed = Needed(("protected: db1",), "prod")
    if hint is None:
        check_answers(needed, options, interactive=interactive)
        return
    with pytest.raises(Refused) as refused:
        check_answers(needed, options, interactive=interactive)
    assert hint in refused.value.hint


@pytest.mark.parametrize(("typed", "accepted"), [("prod\n", True), ("yes\n", False), ("", False), ("PROD", False)])
def test_the_word_must_be_typed(typed: str, accepted: bool) -> None:
    shown: list[str] = []

    def ask(question: str) -> str:
        shown.append(question)
        return typed

    needed = Needed(("protected: db1",), "prod")
    if accepted:
        ask_consent(needed, Options(reason="r"), "  db1: restart", ask)
    else:
        with pytest.raises(Refused):
            ask_consent(needed, Options(reason="r"), "  db1: restart", ask)
    assert "db1: restart" in shown[0]


def test_nothing_is_asked_when_nothing_is_needed() -> None:
    ask_consent(Needed(), Options(), "", pytest.fail)
