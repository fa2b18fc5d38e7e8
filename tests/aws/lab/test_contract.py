"""What the behaviour layer answers to is what botocore can ask: a break after an update of moto or botocore shows here."""

from __future__ import annotations

import inspect
from functools import cache
from typing import Any

import botocore.session
import pytest
from botocore import xform_name

from crashcart.lab.aws.autoscaling import LabAutoScaling
from crashcart.lab.aws.cloudtrail import LabCloudTrail
from crashcart.lab.aws.cloudwatch import LabCloudWatch
from crashcart.lab.aws.ec2 import LabEc2
from crashcart.lab.aws.elasticache import LabElastiCache
from crashcart.lab.aws.elbv2 import LabElbV2
from crashcart.lab.aws.emulator import MOTO, why_not
from crashcart.lab.aws.health import LabHealth
from crashcart.lab.aws.rds import LabRds

LAYERS = {
    "rds": LabRds,
    "elasticache": LabElastiCache,
    "autoscaling": LabAutoScaling,
    "elbv2": LabElbV2,
    "ec2": LabEc2,
    "cloudwatch": LabCloudWatch,
    "cloudtrail": LabCloudTrail,
    "health": LabHealth,
}
ACTIONS = [
    (service, name)
    for service, layer in LAYERS.items()
    for name, member in vars(layer).items()
    if inspect.isfunction(member) and not name.startswith("_")
]
CODES = {
    "rds": ["DBClusterNotFoundFault", "DBInstanceNotFound", "InvalidDBClusterStateFault", "InvalidDBInstanceState"],
    "elasticache": [
        "APICallRateForCustomerExceeded",
        "CacheClusterNotFound",
        "InvalidCacheClusterState",
        "InvalidParameterCombination",
        "InvalidParameterValue",
        "InvalidReplicationGroupState",
        "NodeGroupNotFoundFault",
        "ReplicationGroupNotFoundFault",
    ],
    "autoscaling": ["ScalingActivityInProgress", "InstanceRefreshInProgress", "ActiveInstanceRefreshNotFound"],
    "elbv2": ["TargetGroupNotFound", "InvalidTarget"],
}


@cache
def model(service: str) -> Any:
    return botocore.session.get_session().get_service_model(service)


@pytest.mark.parametrize("service", LAYERS)
def test_every_action_of_the_layer_is_an_action_of_aws(service: str) -> None:
    known = {xform_name(operation) for operation in model(service).operation_names}
    assert {name for owner, name in ACTIONS if owner == service} <= known


@pytest.mark.parametrize("service", CODES)
def test_every_error_code_of_the_layer_is_one_of_the_services(service: str) -> None:
    shapes = [model(service).shape_for(name) for name in model(service).shape_names]
    known = {shape.error_code for shape in shapes if getattr(shape, "metadata", {}).get("exception")}
    assert set(CODES[service]) <= known


def test_moto_is_the_version_that_the_layer_was_made_for() -> None:
    assert why_not() == ""
    assert MOTO == "5.2.5"


def test_states_are_words_that_aws_uses() -> None:
    def documented(shape: str, member: str) -> str:
        return str(model("elasticache").shape_for(shape).members[member].documentation)

    assert "rebooting cluster nodes" in documented("CacheCluster", "CacheClusterStatus")
    assert all(word in documented("ReplicationGroup", "Status") for word in ("available", "modifying"))
