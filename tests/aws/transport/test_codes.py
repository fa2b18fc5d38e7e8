"""The tables of error codes and IAM names, held against botocore's own models."""

from __future__ import annotations

import json
import re
from typing import Any

import botocore.session
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crashcart.transports.aws_codes import ANYWHERE, OF_SERVICE, Fate, fate_of
from crashcart.transports.aws_iam import iam_action, read_denial, statement
from crashcart.transports.aws_names import Identity, session_name
from crashcart.transports.base import ApiCall

MODELLED = ("rds", "elasticache", "autoscaling", "elbv2")
CALLER = "arn:aws:sts::111122223333:assumed-role/oncall/ana"


def modelled(service: str) -> dict[str, int]:
    """The codes that a service documents, with their HTTP status."""
    model: dict[str, Any] = botocore.session.Session().get_component("data_loader").load_service_model(service, "service-2")
    errors = {name: shape.get("error", {}) for name, shape in model["shapes"].items() if shape.get("exception")}
    return {error.get("code", name): error.get("httpStatusCode", 400) for name, error in errors.items()}


@pytest.mark.parametrize("service", MODELLED)
def test_every_listed_code_exists(service: str) -> None:
    known = modelled(service)
    spelled_twice = {"InvalidDBInstanceStateFault", "DBInstanceNotFoundFault", "ResourceInUse", "PriorityInUse"}
    assert set(OF_SERVICE[service]) - set(known) <= spelled_twice


@pytest.mark.parametrize("service", MODELLED)
def test_every_documented_refusal_is_certain(service: str) -> None:
    """A code of 4xx says that nothing was done, whatever it is called."""
    for code, status in modelled(service).items():
        assert (fate_of(service, code, status) is not Fate.AMBIGUOUS) or status >= 500


@pytest.mark.parametrize("service", MODELLED)
def test_what_is_not_found_is_no_such_resource(service: str) -> None:
    for code, status in modelled(service).items():
        if re.search(r"NotFound(Fault)?$", code):
            assert fate_of(service, code, status) is Fate.NO_SUCH


def test_a_code_means_what_its_service_means() -> None:
    assert fate_of("logs", "LimitExceededException", 400) is Fate.THROTTLED
    assert fate_of("acm", "LimitExceededException", 400) is Fate.TERMINAL
    assert fate_of("elasticache", "APICallRateForCustomerExceeded", 400) is Fate.TERMINAL
    assert fate_of("autoscaling", "ResourceContention", 500) is Fate.BUSY
    assert fate_of("autoscaling", "ValidationError", 400, "AutoScalingGroup name not found - null") is Fate.NO_SUCH
    assert fate_of("autoscaling", "ValidationError", 400, "New SetDesiredCapacity value 9 is above max") is Fate.TERMINAL
    assert fate_of("s3", "404", 404) is Fate.NO_SUCH


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=20), st.integers(0, 599))
def test_unknown_codes_are_judged_by_their_status(code: str, status: int) -> None:
    if code in ANYWHERE:
        return
    fate = fate_of("new-service", code, status)
    assert fate in (
        {Fate.TERMINAL, Fate.THROTTLED, Fate.NO_SUCH} if 400 <= status < 500 or status == 501 else {Fate.AMBIGUOUS}
    )


def test_iam_has_its_own_names() -> None:
    assert iam_action("elbv2", "DescribeTargetHealth") == "elasticloadbalancing:DescribeTargetHealth"
    assert iam_action("s3", "ListObjectsV2") == "s3:ListBucket"
    assert iam_action("cloudwatch", "GetMetricData") == "cloudwatch:GetMetricData"
    assert iam_action("rds", "FailoverDBCluster") == "rds:FailoverDBCluster"


DENIALS = [
    ("rds", "FailoverDBCluster", {"DBClusterIdentifier": "orders"}, "arn:aws:rds:eu-central-1:111122223333:cluster:orders"),
    ("autoscaling", "DescribeAutoScalingGroups", {"AutoScalingGroupName": "api"}, "*"),
    (
        "autoscaling",
        "SetDesiredCapacity",
        {"AutoScalingGroupName": "api"},
        "arn:aws:autoscaling:eu-central-1:111122223333:autoScalingGroup:*:autoScalingGroupName/api",
    ),
    ("elbv2", "RegisterTargets", {"TargetGroupArn": "arn:aws:x"}, "arn:aws:x"),
    ("rds", "DescribeDBInstances", {}, "arn:aws:rds:eu-central-1:111122223333:db:*"),
    ("elasticache", "DescribeCacheClusters", {}, "arn:aws:elasticache:eu-central-1:111122223333:cluster:*"),
    ("rds", "DescribeAccountAttributes", {}, "*"),
    ("rds", "DescribeEvents", {"DBClusterIdentifier": "orders"}, "*"),
]


@pytest.mark.parametrize(("service", "operation", "params", "resource"), DENIALS)
def test_a_terse_denial_is_completed_from_the_call(service: str, operation: str, params: Any, resource: str) -> None:
    denial = read_denial("Access Denied", ApiCall(service, operation, params), "eu-central-1", CALLER)
    assert json.loads(denial.statement) == {
        "Effect": "Allow",
        "Action": iam_action(service, operation),
        "Resource": resource,
    }


def test_what_aws_says_counts_most() -> None:
    said = f"User: {CALLER} is not authorized to perform: kms:Decrypt on resource: arn:aws:kms:x with an explicit deny in a"
    denial = read_denial(said, ApiCall("rds", "FailoverDBCluster", {}), "eu-central-1")
    assert (denial.action, denial.resource, denial.caller) == ("kms:Decrypt", "arn:aws:kms:x", CALLER)
    assert denial.explicit
    assert statement("a:B", "*") == '{"Effect":"Allow","Action":"a:B","Resource":"*"}'


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=100), st.text(max_size=100))
def test_session_names_are_always_allowed(actor: str, run: str) -> None:
    assert re.fullmatch(r"[\w+=,.@-]{2,64}", session_name(actor, run), re.ASCII)
    assert re.fullmatch(r"crashcart/[\w+=,.@-]+", Identity(run=run).user_agent, re.ASCII)


def test_a_long_actor_is_cut_and_the_run_is_not() -> None:
    name = session_name("ana maria " * 20, "20300131-030000-a1b2c3")
    assert name.endswith("-20300131-030000-a1b2c3")
    assert name.startswith("ana-maria-")
    assert len(name) == 64
