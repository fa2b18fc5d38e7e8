"""Hints that mean other targets: they are named where the inventory knows them."""

from __future__ import annotations

from typing import Any

import pytest

from crashcart.plan import Plan, TargetPlan
from crashcart.reports.whereabouts import GROUP, MOST_HOSTS, THEIR_HOSTS, Whereabouts
from crashcart.results import Outcome, Phase, StepResult, TargetResult, Verdict
from crashcart.targets import Target

ASK = f"ask the targets themselves: inv check.service {THEIR_HOSTS}, or inv check.asg on their group"
ELSEWHERE = f"from other hosts: inv check.network {GROUP}"
SICK = "api: 1 of 3 healthy; i-0a unhealthy, i-0b unhealthy"
IDS = {"web 1": "i-0a", "web2": "i-0b", "web3": "i-0c"}


def hint_of(target: Target, hint: str, *others: Target, message: str = SICK) -> tuple[str, str]:
    """The hint of a target and that of its step."""
    plan = Plan("check.all", "Look", "all", tuple(TargetPlan(one) for one in (target, *others)), read_only=True)
    step = StepResult("s", "x.assess", Phase.STEP, Outcome.FAILED, message, hint, Verdict.DOWN)
    told = Whereabouts(plan).located(TargetResult.of(target.name, target.kind, [step]))
    return told.hint, told.steps[0].hint


def group(**variables: Any) -> Target:
    return Target("api", "target_group", variables)


def test_the_hosts_of_a_target_group_are_its_members_that_are_not_well() -> None:
    told = ASK.replace(THEIR_HOSTS, "--hosts 'web 1,web2'")
    assert hint_of(group(members=IDS), ASK) == (told, told)


def test_the_hosts_of_a_target_group_are_the_hosts_with_its_instances() -> None:
    hosts = [Target(name, "linux", {"instance_id": instance}) for name, instance in IDS.items()]
    told = ASK.replace(THEIR_HOSTS, "--hosts 'web 1,web2'")
    assert hint_of(group(), ASK, *hosts) == (told, told)


@pytest.mark.parametrize(
    "members",
    [None, {}, "web1", ["i-0a"], {"web9": "i-0f"}, {"web1": None}, {f"w{n}": "i-0a" for n in range(MOST_HOSTS + 1)}],
)
def test_hosts_that_are_not_known_or_too_many_keep_the_words(members: Any) -> None:
    assert hint_of(group(members=members), ASK) == (ASK, ASK)


def test_a_host_is_compared_with_its_innermost_group() -> None:
    host = Target("web1", "linux", {}, ("all", "fleet", "web"))
    assert hint_of(host, ELSEWHERE)[0] == "from other hosts: inv check.network --hosts web"
    assert hint_of(Target("web1", "linux", {}, ("all",)), ELSEWHERE)[0] == ELSEWHERE
    assert hint_of(Target("web1"), ELSEWHERE)[0] == ELSEWHERE
