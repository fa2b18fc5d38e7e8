"""The policies of the documentation: made from what operations declare, fresh, and as narrow as IAM allows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.loaders
import pytest

from crashcart.cli.policies import main
from crashcart.operations import SHIPPED, find_operation
from crashcart.operations.aws_calls import ANY, AwsCall, Grants
from crashcart.operations.base import CloudOperation
from crashcart.playbooks.library import Library
from crashcart.playbooks.policy import ON_ANY, Policy, Statement, calls_of, policies
from crashcart.transports.aws_iam import iam_action

WRITTEN = Path(__file__).resolve().parents[3] / "docs/aws/policies"
ROLES = WRITTEN.parent / "roles.md"
TRUST = WRITTEN.parents[1] / "ci/policies"
LIBRARY = Library(None)
MADE = policies(LIBRARY, Grants())
LONGEST = 6144
"""Characters of a managed policy, white space not counted."""

KINDS = {
    "rds:DescribeDBClusters": {"cluster"},
    "rds:DescribeDBInstances": {"db"},
    "rds:DescribePendingMaintenanceActions": {"cluster", "db"},
    "rds:DescribeDBClusterParameters": {"cluster-pg"},
    "rds:DescribeDBParameters": {"pg"},
    "rds:FailoverDBCluster": {"cluster"},
    "rds:RebootDBInstance": {"db"},
    "elasticache:DescribeReplicationGroups": {"replicationgroup"},
    "elasticache:DescribeCacheClusters": {"cluster"},
    "elasticache:ModifyReplicationGroup": {"replicationgroup"},
    "elasticache:TestFailover": {"replicationgroup"},
    "elasticache:RebootCacheCluster": {"cluster"},
    "autoscaling:SetDesiredCapacity": {"autoScalingGroup"},
    "autoscaling:UpdateAutoScalingGroup": {"autoScalingGroup"},
    "elasticloadbalancing:RegisterTargets": {"targetgroup"},
    "elasticloadbalancing:DeregisterTargets": {"targetgroup"},
}
"""The resource types of each action in AWS's service authorization reference."""

WITHOUT_RESOURCE = {
    "rds:DescribeEvents",
    "elasticache:DescribeEvents",
    "cloudwatch:GetMetricData",
    "autoscaling:DescribeAutoScalingGroups",
    "autoscaling:DescribeScalingActivities",
    "autoscaling:DescribePolicies",
    "autoscaling:DescribeInstanceRefreshes",
    "elasticloadbalancing:DescribeTargetGroups",
    "elasticloadbalancing:DescribeTargetHealth",
    "elasticloadbalancing:DescribeLoadBalancers",
    "elasticloadbalancing:DescribeTargetGroupAttributes",
    "ec2:DescribeInstances",
    "ec2:DescribeInstanceStatus",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeNetworkAcls",
    "cloudtrail:LookupEvents",
    "health:DescribeEvents",
    "elasticache:DescribeUpdateActions",
}
"""Actions for which the reference has no resource type: only ``*`` can be allowed."""

SERVICES = ("rds", "elasticache", "autoscaling", "elbv2", "ec2", "cloudwatch", "cloudtrail", "health")


def cloud_operations() -> Iterator[CloudOperation[object, object, object]]:
    for operation in map(find_operation, SHIPPED):
        if isinstance(operation, CloudOperation):
            yield operation


ASKS_NO_API = {"check.database"}
"""Playbooks over AWS resources that speak to them as their clients do, and not to AWS."""


def declared() -> set[AwsCall]:
    return {call for operation in cloud_operations() for call in operation.calls}


def by_action(call: AwsCall) -> str:
    return call.action


ORDERED = sorted(declared(), key=by_action)


def statements() -> list[tuple[str, Statement]]:
    return [(f"{name}-{one.sid}", one) for name, policy in MADE.items() for one in policy.statement]


def test_the_files_are_what_the_generator_makes() -> None:
    written = {path.stem: path.read_text() for path in WRITTEN.glob("*.json")}
    assert written == {name: policy.text for name, policy in MADE.items()}, (
        "run: python -m crashcart.cli.policies docs/aws/policies (and delete the file of a playbook that is gone)"
    )


def test_every_playbook_over_aws_has_one_and_no_other() -> None:
    playbooks = [LIBRARY.playbook(name) for name in LIBRARY.entries if not LIBRARY.head(name).drill]
    over_aws = {one.name for one in playbooks if set(one.kinds) - {"linux"}} - ASKS_NO_API
    assert over_aws <= set(MADE)
    assert all(calls_of(one) for one in playbooks if one.name in MADE)


def test_every_cloud_operation_declares_what_it_calls() -> None:
    for operation in cloud_operations():
        assert operation.calls, operation.name
        assert all(call.action in KINDS.keys() | WITHOUT_RESOURCE for call in operation.calls), operation.name
        assert operation.reads_only is not any(call.writes for call in operation.calls), operation.name


@pytest.mark.parametrize("call", [pytest.param(call, id=call.action) for call in ORDERED])
def test_each_call_is_about_what_iam_can_be_told(call: AwsCall) -> None:
    assert {re.split("[:/]", resource)[0] for resource in call.resources} == KINDS.get(call.action, set())
    assert not call.writes or all("{names}" in resource for resource in call.resources)


def test_the_names_are_those_of_real_calls() -> None:
    models = botocore.loaders.Loader()
    known = {
        iam_action(service, operation)
        for service in SERVICES
        for operation in models.load_service_model(service, "service-2")["operations"]
    }
    assert {call.action for call in declared()} <= known


@pytest.mark.parametrize(("name", "one"), statements(), ids=[name for name, _ in statements()])
def test_a_statement_reads_or_writes_and_says_where(name: str, one: Statement) -> None:
    writes = {call.writes for call in declared() if call.action in one.action}
    assert len(writes) == 1
    assert re.fullmatch(r"[A-Za-z0-9]+", one.sid)
    assert one.sid.startswith("Write" if writes == {True} else "Read") or one.sid.startswith("ReadNamed")
    assert one.sid.startswith(ON_ANY) is (one.resource == (ANY,))
    region = "eu-west-1" if one.sid == ON_ANY else "us-east-1"  # AWS Health has one place for all regions
    assert one.resource != (ANY,) or one.condition == {"StringEquals": {"aws:RequestedRegion": region}}
    assert writes == {False} or all("prod-*" in arn for arn in one.resource)


@pytest.mark.parametrize("policy", MADE.values(), ids=list(MADE))
def test_a_policy_can_be_attached(policy: Policy) -> None:
    assert len(re.sub(r"\s", "", policy.text)) <= LONGEST
    sids = [one.sid for one in policy.statement]
    assert len(sids) == len(set(sids))
    actions = [action for one in policy.statement for action in one.action]
    assert len(actions) == len(set(actions)), "each call is allowed in one place"


def test_what_takes_an_act_back_is_allowed_too() -> None:
    allowed = {action for one in MADE["recover.target-register"].statement for action in one.action}
    assert {"elasticloadbalancing:RegisterTargets", "elasticloadbalancing:DeregisterTargets"} <= allowed


def test_only_a_multi_az_instance_may_be_rebooted_and_a_group_has_a_bound() -> None:
    found = {one.action[0]: one.condition for policy in MADE.values() for one in policy.statement}
    assert found["rds:RebootDBInstance"] == {"Bool": {"rds:MultiAz": "true"}}
    assert found["autoscaling:UpdateAutoScalingGroup"] == {"NumericLessThanEqualsIfExists": {"autoscaling:MaxSize": "40"}}


def test_the_command_writes_them_for_ones_own_account(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = ("--account", "111122223333", "--region", "eu-central-1", "--names", "orders-*", "--partition", "aws-cn")
    assert main([str(tmp_path / "out"), *own]) == 0
    text = (tmp_path / "out/recover.rds-failover.json").read_text()
    assert "arn:aws-cn:rds:eu-central-1:111122223333:cluster:orders-*" in text
    assert not {"123456789012", "eu-west-1", "prod-"} & set(re.findall(r"\d{12}|eu-west-1|prod-", text))
    assert capsys.readouterr().out.count(".json") == len(MADE)


def documents() -> list[dict[str, Any]]:
    """The policies in the text itself."""
    return [json.loads(block) for block in re.findall(r"```json\n(.*?)```", ROLES.read_text(), re.DOTALL)]


@pytest.mark.parametrize("provider", ["github", "gitlab"])
def test_the_trust_policies_that_are_shown_are_those_that_are_used(provider: str) -> None:
    assert json.loads((TRUST / f"trust-{provider}.json").read_text()) in documents()


def test_the_documentation_lists_every_policy_and_no_key() -> None:
    linked = set(re.findall(r"\(policies/([\w.-]+)\.json\)", ROLES.read_text()))
    assert linked == set(MADE), "docs/aws/roles.md has a row for each"
    assert all(one["Version"] == "2012-10-17" for one in documents())
    assert not re.search(r"AKIA|aws_secret|ACCESS_KEY", ROLES.read_text())


def test_there_is_one_place_for_policies() -> None:
    assert {path.name.partition("-")[0] for path in TRUST.glob("*.json")} == {"trust"}
