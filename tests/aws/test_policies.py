"""Each playbook, for real against the emulator, sends what its policy allows, on what it allows, and no more."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import msgspec
import pytest

from crashcart.lab.aws.account import REGION, RESOURCES
from crashcart.lab.aws.compute_seed import GROUP
from crashcart.operations.aws_calls import Grants
from crashcart.playbooks.library import Library
from crashcart.playbooks.policy import Policy, Statement, policies
from crashcart.transports.aws_iam import iam_action, resource_arn
from crashcart.transports.base import ApiCall
from tests.aws.commandline import Commands
from tests.emulator import Emulator, running_emulator

ACCOUNT = "123456789012"
GRANTS = Grants(account=ACCOUNT, region=REGION, names="lab-*")
LIBRARY = Library(None)
MADE = policies(LIBRARY, GRANTS)
SETTLE = 30.0
"""Seconds in which everything that was seeded is up."""

MISSPELT = {
    "rds_cluster": "lab-arora",
    "elasticache_replication_group": "lab-rdis",
    "autoscaling_group": "lab-sag",
    "target_group": "lab-wbe",
}
"""Targets that are not there: the nearest name is asked for."""

Words = tuple[str, ...]
OK, FAILED = 0, 1


class Case(msgspec.Struct, frozen=True):
    """Command lines of one playbook, each with the exit code that it comes to, over parts of the account.

    INSTANCE and OTHER in them are instances. When the last one is run, the target group ``sick`` fails its health check;
    with ``undo``, it is taken back.
    """

    parts: str
    lines: tuple[tuple[int, Words], ...]
    sick: str = ""
    undo: bool = False


def instances(emulator: Emulator) -> list[str]:
    """The instances of the scaling group."""
    groups = emulator.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[GROUP])
    return [str(member["InstanceId"]) for member in groups["AutoScalingGroups"][0]["Instances"]]


CASES = {
    "check.rds": Case("databases", ((OK, ("--hosts", "lab-aurora,lab-db")), (FAILED, ("--hosts", "lab-arora")))),
    "recover.rds-failover": Case(
        "databases",
        (
            (OK, ("--hosts", "lab-aurora", "--force")),
            (OK, ("--hosts", "lab-db", "--force")),
            (FAILED, ("--hosts", "lab-arora", "--force")),
        ),
    ),
    "check.elasticache": Case(
        "caches", ((OK, ("--hosts", "lab-redis,lab-redis-cluster")), (FAILED, ("--hosts", "lab-rdis")))
    ),
    "recover.elasticache-failover": Case(
        "caches",
        (
            (OK, ("--hosts", "lab-redis", "--force")),
            (OK, ("--hosts", "lab-redis-cluster", "--node-group", "0001", "--force")),
            (FAILED, ("--hosts", "lab-rdis", "--force")),
        ),
    ),
    "recover.elasticache-reboot": Case(
        "caches",
        ((OK, ("--hosts", "lab-redis", "--cluster", "lab-redis-002", "--node-ids", "0001", "--yes")),),
    ),
    "check.asg": Case(
        "compute",
        ((OK, ("--hosts", "lab-asg")), (FAILED, ("--hosts", "lab-sag")), (FAILED, ("--hosts", "lab-asg"))),
        sick="lab-web",
    ),
    "recover.asg-scale": Case(
        "compute",
        (
            (OK, ("--hosts", "lab-asg", "--at-least", "3")),
            (OK, ("--hosts", "lab-asg", "--at-least", "5", "--raise-max", "--yes")),
            (FAILED, ("--hosts", "lab-sag", "--at-least", "3")),
        ),
    ),
    "recover.asg-restore": Case(
        "compute",
        ((OK, ("--hosts", "lab-asg", "--desired", "1")), (OK, ("--hosts", "lab-asg", "--max-size", "3"))),
    ),
    "check.instance": Case("compute", ((FAILED, ("--hosts", "INSTANCE")),)),
    "check.drift": Case("compute", ((FAILED, ("--hosts", "INSTANCE")),)),
    "check.aws-health": Case("", ((OK, ("--hosts", "lab-aurora")),)),
    "check.all": Case(
        "databases caches compute",
        ((FAILED, ("--hosts", "lab-aurora,lab-db,lab-redis,lab-asg,lab-web,INSTANCE")),),
        sick="lab-web",
    ),
    "check.targets": Case("compute", ((OK, ("--hosts", "lab-web")), (FAILED, ("--hosts", "lab-wbe")))),
    "recover.target-register": Case(
        "compute",
        (
            (OK, ("--hosts", "lab-hosts", "--member", "OTHER", "--accept-asg", "--force")),
            (OK, ("--hosts", "lab-hosts", "--member", "INSTANCE", "--accept-asg", "--force")),
        ),
        undo=True,
    ),
    "recover.target-deregister": Case(
        "compute", ((OK, ("--hosts", "lab-web", "--member", "INSTANCE", "--force")),), undo=True
    ),
}


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with running_emulator() as running:
        yield running


@pytest.fixture
def commands(
    emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Commands:
    return Commands(emulator, tmp_path, monkeypatch, capsys)


def inventory(member: str) -> dict[str, dict[str, dict[str, Any]]]:
    """What the emulator holds, an instance of it, and what it does not hold."""
    found: dict[str, dict[str, dict[str, Any]]] = {kind: {name: {} for name in names} for kind, names in RESOURCES.items()}
    if member:
        found["ec2_instance"] = {member: {"known_good": ["uses sg-0a1 of yore"]}}
    found["misspelt"] = {name: {"kind": kind} for kind, name in MISSPELT.items()}
    return found


def test_there_is_a_case_for_every_policy() -> None:
    """Hosts behind a load balancer need hosts: what ``recover.service-restart`` sends is tested in the lab."""
    over_hosts = {name for name in MADE if LIBRARY.playbook(name).kinds == ("linux",)}
    assert set(CASES) == set(MADE) - over_hosts, "add command lines that make the playbook send what its policy allows"
    assert over_hosts == {"recover.service-restart"}


def allowed_by(name: str) -> set[str]:
    return {action for one in MADE[name].statement for action in one.action}


@pytest.mark.parametrize("name", CASES)
def test_what_a_playbook_sends_is_what_its_policy_allows(
    name: str, commands: Commands, emulator: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    case, policy = CASES[name], MADE[name]
    emulator.reset(*case.parts.split())
    emulator.advance(SETTLE)
    member, other = instances(emulator) if "compute" in case.parts else ("", "")
    commands.write(inventory(member))
    emulator.forget_requests()
    for number, (code, given) in enumerate(case.lines, 1):
        words = tuple(word.replace("INSTANCE", member).replace("OTHER", other) for word in given)
        if case.sick and number == len(case.lines):
            emulator.fault("aws.unhealthy", resource=case.sick)
        before = len(emulator.writes())
        checked = commands(name, *words, "--check")
        assert (checked.code, len(emulator.writes())) == (code, before), checked.all
        applied = commands(name, *words)
        assert applied.code == code, applied.all
    if case.undo:
        undone = commands("runs.undo", applied.run, "--yes")
        assert undone.code == OK, undone.all
    requests = emulator.requests()
    for request in requests:
        assert allows(policy, request), request
    seen = {action_of(request) for request in requests}
    listed = allowed_by(name)
    assert seen == listed
    writes = [request["action"] for request in requests if request["writes"]]
    assert bool(writes) is name.startswith("recover")
    with capsys.disabled():
        print(f"\n{name}: {len(requests)} requests, {len(seen)} of {len(listed)} calls of the policy, writes {writes}")


def test_nothing_outside_the_names_is_allowed() -> None:
    act = {
        "service": "rds",
        "action": "FailoverDBCluster",
        "region": REGION,
        "params": {"DBClusterIdentifier": "lab-aurora"},
    }
    policy = MADE["recover.rds-failover"]
    assert allows(policy, act)
    assert not allows(policy, act | {"params": {"DBClusterIdentifier": "orders"}})
    assert not allows(policy, act | {"region": "eu-west-1"})
    assert not allows(policy, act | {"action": "DeleteDBCluster"})
    assert not allows(MADE["check.rds"], act)


def action_of(request: dict[str, Any]) -> str:
    return iam_action(request["service"], request["action"])


def allows(policy: Policy, request: dict[str, Any]) -> bool:
    """Judge a request as IAM does: action, resource and conditions of one statement have to fit."""
    return any(_fits(statement, request) for statement in policy.statement)


def _fits(statement: Statement, request: dict[str, Any]) -> bool:
    call = ApiCall(request["service"], request["action"], request["params"])
    arn = resource_arn(call, request["region"], f"arn:aws:iam::{ACCOUNT}:user/tester")
    listed = action_of(request) in statement.action and any(fnmatchcase(arn, allowed) for allowed in statement.resource)
    return listed and all(
        _holds(operator, key, value, request)
        for operator, wanted in statement.condition.items()
        for key, value in wanted.items()
    )


def _holds(operator: str, key: str, value: str, request: dict[str, Any]) -> bool:
    match operator, key:
        case "StringEquals", "aws:RequestedRegion":
            return bool(request["region"] == value)
        case "NumericLessThanEqualsIfExists", "autoscaling:MaxSize":
            return int(request["params"].get("MaxSize", "0")) <= int(value)
        case "Bool", "rds:MultiAz":
            return bool(request["params"]["DBInstanceIdentifier"] == "lab-db")  # the one that is Multi-AZ
    raise AssertionError(f"no rule for {operator} {key}")
