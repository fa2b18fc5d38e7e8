"""``elbv2.*`` for real: engine, transport, boto3 and HTTP, against the emulator; requests are counted there."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from crashcart.clock import FakeClock
from crashcart.journal.recall import PastRun
from crashcart.lab.aws.compute_seed import DRAIN_SECONDS
from crashcart.operations.elbv2 import AssessTargets, DeregisterTarget, RegisterTarget
from crashcart.operations.elbv2_wish import RegisterWish
from crashcart.plan import OnFailure
from crashcart.results import Mode, Outcome, TargetResult, Verdict
from crashcart.transports.aws import AwsConnector
from crashcart.transports.aws_iam import iam_action
from crashcart.values import decode
from tests.aws.emulated_compute import HOSTS, WEB, Compute, Control
from tests.emulator import running_emulator

LOOK = ["DescribeTargetGroups", "DescribeTargetHealth"]


@pytest.fixture(scope="module")
def shared() -> Iterator[Compute]:
    with running_emulator() as emulator:
        yield Compute(emulator)


@pytest.fixture
def server(shared: Compute, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Compute:
    for name in [name for name in os.environ if name.startswith("AWS_") or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    shared.seed()
    return shared


@pytest.fixture(scope="module")
def connect() -> Iterator[AwsConnector]:
    made = AwsConnector(clock=FakeClock())
    yield made
    made.close()


@pytest.fixture
def control(server: Compute, connect: AwsConnector, tmp_path: Path) -> Control:
    folder = tmp_path / "runs"
    folder.mkdir()
    return Control(folder, server, connect)


@pytest.fixture
def pair(server: Compute) -> tuple[str, str]:
    """Two instances of nobody's, registered and healthy in the group of the lab's hosts."""
    names = (server.run_instance(), server.run_instance())
    server.client("elbv2").register_targets(TargetGroupArn=server.arn(HOSTS), Targets=[{"Id": name} for name in names])
    server.advance(30)
    server.forget()
    return names


def register(control: Control, name: str, group: str = HOSTS, **wish: object) -> TargetResult:
    return control.run("elbv2.register", {"member": name, **wish}, group)


def deregister(control: Control, name: str, group: str = HOSTS, **wish: object) -> TargetResult:
    return control.run("elbv2.deregister", {"member": name, **wish}, group)


# -- putting one behind the load balancer


def test_first_run_registers_and_the_second_sends_no_write(control: Control, server: Compute) -> None:
    name = server.run_instance()
    server.forget()
    first = register(control, name)
    assert (first.outcome, first.verdict, server.writes) == (Outcome.CHANGED, Verdict.HEALTHY, 1), first
    assert server.states() == {name: "healthy"}
    server.forget()
    second = register(control, name)
    assert (second.outcome, second.changed, server.actions) == (Outcome.OK, False, LOOK), second


def test_by_arn_it_is_the_same(control: Control, server: Compute, pair: tuple[str, str]) -> None:
    arn = server.arn(HOSTS)
    server.forget()
    assert register(control, pair[0], arn).outcome is Outcome.OK
    assert server.actions == LOOK


def test_check_mode_sends_no_write(control: Control, server: Compute, pair: tuple[str, str]) -> None:
    name = server.run_instance()
    into = control.run("elbv2.register", {"member": name}, HOSTS, mode=Mode.CHECK)
    out = control.run("elbv2.deregister", {"member": pair[0]}, HOSTS, mode=Mode.CHECK)
    assert {into.outcome, out.outcome} == {Outcome.WOULD_CHANGE}
    assert server.writes == 0


@pytest.mark.parametrize(("fault", "writes"), [("aws.unavailable", 2), ("aws.lost", 1), ("aws.throttle", 2)])
def test_a_registration_in_doubt_has_one_effect(control: Control, server: Compute, fault: str, writes: int) -> None:
    name = server.run_instance()
    server.emulator.fault(fault, action="RegisterTargets")
    result = register(control, name)
    assert (result.outcome, server.writes, server.states()) == (Outcome.CHANGED, writes, {name: "healthy"}), result


def test_stale_health_after_the_act_is_waited_for(control: Control, server: Compute, pair: tuple[str, str]) -> None:
    name = server.run_instance()
    server.forget()
    server.emulator.fault("aws.stale", seconds=20)
    result = register(control, name)
    assert (result.outcome, server.writes) == (Outcome.CHANGED, 1), result


def test_a_target_that_stays_unhealthy_fails_and_is_taken_out_again(
    control: Control, server: Compute, pair: tuple[str, str]
) -> None:
    name = server.run_instance()
    server.emulator.fault("aws.unhealthy", resource=name)
    result = control.run("elbv2.register", {"member": name}, HOSTS, deadline=60.0, on_failure=OnFailure.UNDO)
    assert result.outcome is Outcome.FAILED, result
    assert "Health checks failed with these codes: [503]" in result.message
    assert (server.writes, sorted(server.states())) == (2, sorted(pair))


def test_what_does_not_run_is_refused(control: Control, server: Compute) -> None:
    name = server.run_instance()
    server.client("ec2").stop_instances(InstanceIds=[name])
    assert "only what runs can be registered" in register(control, name).message
    server.client("ec2").terminate_instances(InstanceIds=[name])
    assert register(control, name, force=True).outcome is Outcome.REFUSED
    assert "there is no instance" in register(control, "i-00000000000000000").message
    assert server.writes == 0


def test_another_network_is_refused(control: Control, server: Compute) -> None:
    ec2 = server.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.99.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.99.0.0/24")["Subnet"]["SubnetId"]
    result = register(control, server.run_instance(SubnetId=subnet))
    assert (result.outcome, server.writes) == (Outcome.REFUSED, 0)
    assert f"is in {vpc}" in result.message


def test_an_impaired_instance_is_refused(control: Control, server: Compute) -> None:
    name = server.run_instance()
    server.emulator.fault("aws.impaired", resource=name)
    result = register(control, name)
    assert (result.outcome, server.writes) == (Outcome.REFUSED, 0), result
    assert "instance status check impaired" in result.message
    assert register(control, name, force=True).outcome is Outcome.CHANGED


def test_an_instance_of_a_scaling_group_is_left_to_it(control: Control, server: Compute) -> None:
    name = server.group["Instances"][0]["InstanceId"]
    other = register(control, name)
    assert "what replaces it would not be in lab-hosts" in other.message
    server.client("elbv2").deregister_targets(TargetGroupArn=server.arn(WEB), Targets=[{"Id": name}])
    server.advance(30)
    server.forget()
    own = register(control, name, WEB)
    assert (own.outcome, server.writes) == (Outcome.REFUSED, 0)
    assert "which registers it in lab-web itself" in own.message
    assert register(control, name, WEB, accept_asg=True).outcome is Outcome.CHANGED


# -- taking one out


def test_first_run_deregisters_and_drains_and_the_second_sends_no_write(
    control: Control, server: Compute, pair: tuple[str, str]
) -> None:
    first = deregister(control, pair[0])
    assert (first.outcome, server.writes, server.states()) == (Outcome.CHANGED, 1, {pair[1]: "healthy"}), first
    assert first.steps[0].duration_s >= DRAIN_SECONDS, "the lab's deregistration delay"
    server.forget()
    second = deregister(control, pair[0])
    assert (second.outcome, server.actions) == (Outcome.OK, LOOK), second


@pytest.mark.parametrize(("fault", "writes"), [("aws.unavailable", 2), ("aws.lost", 1), ("aws.throttle", 2)])
def test_a_deregistration_in_doubt_has_one_effect(
    control: Control, server: Compute, pair: tuple[str, str], fault: str, writes: int
) -> None:
    server.emulator.fault(fault, action="DeregisterTargets")
    result = deregister(control, pair[0])
    assert (result.outcome, server.writes, server.states()) == (Outcome.CHANGED, writes, {pair[1]: "healthy"}), result


def test_the_last_healthy_one_stays(control: Control, server: Compute, pair: tuple[str, str]) -> None:
    assert deregister(control, pair[0]).outcome is Outcome.CHANGED
    server.forget()
    result = deregister(control, pair[1])
    assert (result.outcome, server.writes, result.hint) == (Outcome.REFUSED, 0, "--force takes it out all the same")
    assert deregister(control, pair[1], force=True).outcome is Outcome.CHANGED


def test_what_never_drains_fails_and_is_put_back(control: Control, server: Compute, pair: tuple[str, str]) -> None:
    delay = {"Key": "deregistration_delay.timeout_seconds", "Value": "1800"}
    server.client("elbv2").modify_target_group_attributes(TargetGroupArn=server.arn(HOSTS), Attributes=[delay])
    server.forget()
    wish: dict[str, object] = {"member": pair[0]}
    result = control.run("elbv2.deregister", wish, HOSTS, deadline=60.0, on_failure=OnFailure.UNDO)
    assert (result.outcome, server.writes) == (Outcome.FAILED, 2), result
    assert f"{pair[0]} is draining in lab-hosts" in result.message
    assert server.states() == dict.fromkeys(pair, "healthy")


def test_the_journal_knows_how_it_is_put_back(control: Control, server: Compute) -> None:
    """Of an instance that a scaling group registered, too."""
    name = server.group["Instances"][0]["InstanceId"]
    assert deregister(control, name, WEB).outcome is Outcome.CHANGED
    journal = max(control.folder.glob("run*/events.jsonl"))
    (owed,) = PastRun.read(journal).undoable(WEB)
    undo = owed.steps[-1]
    assert undo.operation == "elbv2.register"
    assert control.run(undo.operation, dict(undo.args), WEB).outcome is Outcome.CHANGED
    assert server.states(WEB)[name] == "healthy"


# -- how they are


def test_healthy_targets_are_assessed_in_two_reads(control: Control, server: Compute, pair: tuple[str, str]) -> None:
    result = control.run("elbv2.assess", {}, HOSTS)
    assert (result.outcome, result.verdict, server.actions) == (Outcome.OK, Verdict.HEALTHY, LOOK), result


def test_sick_and_missing_targets_are_noticed(control: Control, server: Compute, pair: tuple[str, str]) -> None:
    server.emulator.fault("aws.unhealthy", resource=pair[0])
    assert control.run("elbv2.assess", {}, HOSTS).verdict is Verdict.DEGRADED
    server.emulator.fault("aws.unhealthy", resource=HOSTS)
    assert control.run("elbv2.assess", {}, HOSTS).verdict is Verdict.DOWN


def test_an_unknown_group_is_named_with_the_nearest(control: Control, server: Compute) -> None:
    result = register(control, "i-0123456789abcdef0", "lab-hsots")
    assert (result.outcome, server.writes) == (Outcome.FAILED, 0)
    assert result.hint == "us-east-1 has no 'lab-hsots'; did you mean lab-hosts?"


# -- privileges and wishes


def test_the_declared_calls_are_those_that_are_sent(control: Control, server: Compute, pair: tuple[str, str]) -> None:
    ec2 = {"DescribeInstances", "DescribeInstanceStatus"}
    scaling = {"DescribeAutoScalingGroups"}

    def sent() -> set[str]:
        services = {action: "ec2" if action in ec2 else "autoscaling" for action in ec2 | scaling}
        found = {iam_action(services.get(action, "elbv2"), action) for action in server.actions}
        server.forget()
        return found

    name = server.group["Instances"][0]["InstanceId"]
    server.forget()
    register(control, name, accept_asg=True)
    assert sent() == {call.action for call in RegisterTarget.calls}
    deregister(control, pair[0])
    assert sent() == {call.action for call in DeregisterTarget.calls}
    control.run("elbv2.assess", {}, HOSTS)
    assert sent() == {call.action for call in AssessTargets.calls}


@pytest.mark.parametrize(
    ("wish", "says"),
    [
        ({"member": "web-1"}, "member: expected an instance such as i-0123456789abcdef0 or an IP address, got 'web-1'"),
        ({"member": "i-12"}, "member: expected an instance"),
        ({"member": "10.0.0"}, "member: expected an instance"),
        ({"member": "10.0.0.9", "port": "-1"}, "port: expected a number from 1 to 65535, got '-1'"),
        ({"member": "10.0.0.9", "port": "http"}, "port: expected a number"),
        ({}, "member"),
    ],
)
def test_a_wish_that_cannot_be_is_named(wish: dict[str, object], says: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=re.escape(says)):
        decode(wish, RegisterWish)
