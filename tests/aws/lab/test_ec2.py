"""Contract tests of the emulator's instances: status checks, and the lab's hosts as instances."""

from __future__ import annotations

from typing import Any

import pytest

from crashcart.lab.aws.compute_seed import LabInstance
from tests.aws.lab.compute import LONG, Compute, refused
from tests.emulator import Emulator


@pytest.fixture
def compute(emulator: Emulator) -> Compute:
    hosts = [LabInstance(f"web-{number}", "tcp://127.0.0.1:1") for number in range(1, 5)]
    return Compute(emulator, *hosts)


def _status(compute: Compute, name: str, **wanted: Any) -> Any:
    return compute.ec2.describe_instance_status(InstanceIds=[name], **wanted)["InstanceStatuses"][0]


def test_the_checks_of_a_new_instance_are_initializing_and_then_ok(compute: Compute) -> None:
    name = compute.ec2.run_instances(ImageId="ami-12c6146b", MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    young = _status(compute, name)
    assert young["InstanceStatus"] == young["SystemStatus"]
    assert young["InstanceStatus"] == {
        "Status": "initializing",
        "Details": [{"Name": "reachability", "Status": "initializing"}],
    }
    compute.pass_time(LONG)
    ready = _status(compute, name)
    assert (
        ready["InstanceStatus"]
        == ready["SystemStatus"]
        == {"Status": "ok", "Details": [{"Name": "reachability", "Status": "passed"}]}
    )
    assert (ready["InstanceId"], ready["InstanceState"]) == (name, {"Code": 16, "Name": "running"})


@pytest.mark.parametrize(
    ("fault", "instance", "system"), [("instance", "impaired", "ok"), ("system", "impaired", "impaired")]
)
def test_a_fault_impairs_an_instance(compute: Compute, fault: str, instance: str, system: str) -> None:
    name, *_ = compute.members()
    compute.fault("ec2.impaired", name, fault)
    status = _status(compute, name)
    assert (status["InstanceStatus"]["Status"], status["SystemStatus"]["Status"]) == (instance, system)
    (check,) = status["InstanceStatus"]["Details"]
    assert (check["Name"], check["Status"]) == ("reachability", "failed")
    since = check["ImpairedSince"]
    compute.pass_time(LONG)
    assert _status(compute, name)["InstanceStatus"]["Details"][0]["ImpairedSince"] == since


def test_a_stopped_instance_has_no_status_and_is_shown_on_request(compute: Compute) -> None:
    name = compute.hosts()["web-1"]
    compute.ec2.stop_instances(InstanceIds=[name])
    assert compute.ec2.describe_instance_status(InstanceIds=[name])["InstanceStatuses"] == []
    assert _status(compute, name, IncludeAllInstances=True)["InstanceStatus"]["Status"] == "not-applicable"


@pytest.mark.parametrize(
    ("name", "code"), [("web-1", "InvalidInstanceID.Malformed"), ("i-0123456789abcdef0", "InvalidInstanceID.NotFound")]
)
def test_an_id_that_is_wrong_is_told_from_one_that_is_unknown(compute: Compute, name: str, code: str) -> None:
    assert refused(lambda: compute.ec2.describe_instance_status(InstanceIds=[name]))[0] == code


def test_the_lab_hosts_are_tagged_instances_in_all_zones(compute: Compute) -> None:
    names = list(compute.hosts().values())
    found = [
        instance
        for one in compute.ec2.describe_instances(InstanceIds=names)["Reservations"]
        for instance in one["Instances"]
    ]
    assert sorted(compute.hosts()) == ["web-1", "web-2", "web-3", "web-4"]
    assert len({instance["Placement"]["AvailabilityZone"] for instance in found}) == 3
    tags = [{tag["Key"]: tag["Value"] for tag in instance["Tags"]} for instance in found]
    assert all(tag["crashcart:health-url"] == "tcp://127.0.0.1:1" and tag["Name"] == tag["crashcart:host"] for tag in tags)
    assert sorted(compute.health("lab-hosts")) == sorted(names)
