"""Contract tests of the emulator's target health: what time brings, and what a real request finds."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from crashcart.lab.aws.compute_seed import DRAIN_SECONDS, LabInstance
from tests.aws.lab.compute import LONG, Compute, HealthServer, health_server, refused
from tests.emulator import Emulator

UNKNOWN = "i-0123456789abcdef0"


@pytest.fixture
def web() -> Iterator[HealthServer]:
    with health_server() as server:
        yield server


@pytest.fixture
def compute(emulator: Emulator, web: HealthServer) -> Compute:
    return Compute(emulator, LabInstance("web-1", web.url), LabInstance("web-2", "tcp://127.0.0.1:1"))


def test_a_new_target_is_initial_and_then_healthy(compute: Compute) -> None:
    name = compute.hosts()["web-1"]
    compute.register("lab-web", name)
    assert compute.health("lab-web")[name] == ("initial", "Elb.RegistrationInProgress")
    seen = {compute.health("lab-web", name)[name] for _ in _seconds(compute, 30)}
    assert seen == {("initial", "Elb.InitialHealthChecking"), ("healthy", None)}


def _seconds(compute: Compute, count: int) -> Iterator[int]:
    for second in range(count):
        compute.pass_time(1)
        yield second


def test_registering_twice_changes_nothing(compute: Compute) -> None:
    name, *_ = compute.members()
    compute.register("lab-web", name)
    assert compute.health("lab-web")[name] == ("healthy", None)


def test_a_deregistered_target_drains_for_the_delay_and_then_is_unknown(compute: Compute) -> None:
    name, *_ = compute.members()
    compute.deregister("lab-web", name)
    assert compute.health("lab-web")[name] == ("draining", "Target.DeregistrationInProgress")
    compute.pass_time(DRAIN_SECONDS / 2)
    assert compute.health("lab-web", name)[name] == ("draining", "Target.DeregistrationInProgress")
    compute.pass_time(1)
    assert name not in compute.health("lab-web")
    assert compute.health("lab-web", name)[name] == ("unused", "Target.NotRegistered")


def test_the_deregistration_delay_is_the_groups_attribute(compute: Compute) -> None:
    name, *_ = compute.members()
    delay = {"Key": "deregistration_delay.timeout_seconds", "Value": "0"}
    compute.elb.modify_target_group_attributes(TargetGroupArn=compute.target_groups["lab-web"], Attributes=[delay])
    compute.deregister("lab-web", name)
    assert name not in compute.health("lab-web")


def test_a_draining_target_that_is_registered_again_starts_anew(compute: Compute) -> None:
    name, *_ = compute.members()
    compute.deregister("lab-web", name)
    compute.register("lab-web", name)
    assert compute.health("lab-web")[name][0] == "initial"
    compute.pass_time(LONG)
    assert compute.health("lab-web")[name] == ("healthy", None)


def test_deregistering_a_target_that_is_not_there_is_no_error(compute: Compute) -> None:
    compute.deregister("lab-web", UNKNOWN, compute.hosts()["web-1"])
    assert len(compute.health("lab-web")) == 2


def test_a_target_that_was_never_registered_is_unused(compute: Compute) -> None:
    assert compute.health("lab-web", UNKNOWN)[UNKNOWN] == ("unused", "Target.NotRegistered")


def test_without_a_load_balancer_no_target_is_in_use(compute: Compute) -> None:
    for listener in _listeners(compute):
        compute.elb.delete_listener(ListenerArn=listener)
    assert set(compute.health("lab-web").values()) == {("unused", "Target.NotInUse")}
    name, *_ = compute.members()
    compute.deregister("lab-web", name)
    assert name not in compute.health("lab-web")


def _listeners(compute: Compute) -> list[str]:
    balancer = compute.elb.describe_load_balancers()["LoadBalancers"][0]["LoadBalancerArn"]
    return [listener["ListenerArn"] for listener in compute.elb.describe_listeners(LoadBalancerArn=balancer)["Listeners"]]


def test_a_stopped_instance_is_an_invalid_target(compute: Compute) -> None:
    name = compute.hosts()["web-1"]
    compute.ec2.stop_instances(InstanceIds=[name])
    assert compute.health("lab-hosts")[name] == ("unused", "Target.InvalidState")


def test_only_running_instances_of_the_network_can_be_registered_and_all_or_none(compute: Compute) -> None:
    running, stopped = compute.hosts()["web-1"], compute.hosts()["web-2"]
    compute.ec2.stop_instances(InstanceIds=[stopped])
    elsewhere = compute.ec2.run_instances(ImageId="ami-12c6146b", MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    codes = [refused(lambda bad=bad: compute.register("lab-web", running, bad))[0] for bad in (UNKNOWN, stopped, elsewhere)]  # type: ignore[misc]
    assert codes == ["InvalidTarget"] * 3
    assert running not in compute.health("lab-web")


def test_a_terminated_instance_drains_and_cannot_come_back(compute: Compute) -> None:
    name = compute.hosts()["web-1"]
    compute.ec2.terminate_instances(InstanceIds=[name])
    assert compute.health("lab-hosts", name)[name][0] == "draining"
    compute.pass_time(DRAIN_SECONDS)
    assert name not in compute.health("lab-hosts")
    assert refused(lambda: compute.register("lab-hosts", name))[0] == "InvalidTarget"


def test_a_fault_makes_one_target_or_a_whole_group_unhealthy(compute: Compute) -> None:
    first, second = compute.members()
    compute.fault("elbv2.unhealthy", first)
    assert compute.health("lab-web") == {first: ("unhealthy", "Target.ResponseCodeMismatch"), second: ("healthy", None)}
    compute.fault("elbv2.unhealthy", "lab-web")
    assert {state for state, _ in compute.health("lab-web").values()} == {"unhealthy"}


def test_a_missing_target_group_is_refused(compute: Compute) -> None:
    arn = compute.target_groups["lab-web"].replace("lab-web", "lab-wob")
    assert refused(lambda: compute.elb.describe_target_health(TargetGroupArn=arn))[0] == "TargetGroupNotFound"


def test_a_lab_host_is_judged_by_a_real_request(compute: Compute, web: HealthServer) -> None:
    name = compute.hosts()["web-1"]
    assert compute.health("lab-hosts")[name] == ("healthy", None)
    assert set(web.asked) == {"/health"}
    web.status = 503
    compute.pass_time(1)
    (shown,) = compute.descriptions("lab-hosts", name)
    assert shown["TargetHealth"]["Description"] == "Health checks failed with these codes: [503]"
    assert (shown["TargetHealth"]["State"], shown["TargetHealth"]["Reason"]) == ("unhealthy", "Target.ResponseCodeMismatch")
    web.status = 200
    compute.pass_time(1)
    assert compute.health("lab-hosts")[name] == ("healthy", None)


def test_the_accepted_status_codes_are_the_groups_matcher(compute: Compute, web: HealthServer) -> None:
    matcher = {"HttpCode": "200,300-399"}
    compute.elb.modify_target_group(TargetGroupArn=compute.target_groups["lab-hosts"], Matcher=matcher)
    web.status = 302
    assert compute.health("lab-hosts")[compute.hosts()["web-1"]] == ("healthy", None)


def test_a_lab_host_that_refuses_the_connection_is_unhealthy(compute: Compute) -> None:
    assert compute.health("lab-hosts")[compute.hosts()["web-2"]] == ("unhealthy", "Target.FailedHealthChecks")


def test_a_lab_host_that_does_not_answer_in_time_is_unhealthy(emulator: Emulator) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        port = deaf.getsockname()[1]
        compute = Compute(
            emulator, LabInstance("deaf", f"http://127.0.0.1:{port}/health"), LabInstance("open", f"tcp://127.0.0.1:{port}")
        )
        health = compute.health("lab-hosts")
    assert health[compute.hosts()["deaf"]] == ("unhealthy", "Target.Timeout")
    assert health[compute.hosts()["open"]] == ("healthy", None)


def test_a_lab_host_is_asked_at_most_once_a_second(compute: Compute, web: HealthServer) -> None:
    compute.health("lab-hosts")
    before = len(web.asked)
    for _ in range(3):
        compute.health("lab-hosts")
    assert len(web.asked) == before
    compute.pass_time(1)
    compute.health("lab-hosts")
    assert len(web.asked) == before + 1


def test_a_drained_lab_host_is_not_asked(compute: Compute, web: HealthServer) -> None:
    compute.deregister("lab-hosts", compute.hosts()["web-1"])
    compute.pass_time(DRAIN_SECONDS)
    compute.health("lab-hosts", *compute.hosts().values())
    assert web.asked == []
