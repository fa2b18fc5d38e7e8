"""``asg.*`` for real: engine, transport, boto3 and HTTP, against the emulator; requests are counted there."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crashcart.clock import FakeClock
from crashcart.facts.autoscaling import Fleet, Group, Member
from crashcart.journal.recall import PastRun
from crashcart.lab.aws.compute_seed import GROUP
from crashcart.operations import find_operation
from crashcart.operations.autoscaling import AssessGroup, RestoreSizes, ScaleOut
from crashcart.operations.autoscaling_wish import RestoreWish, ScaleWish
from crashcart.operations.base import Act, Memory
from crashcart.results import Mode, Outcome, TargetResult, Verdict
from crashcart.transports.aws import AwsConnector
from crashcart.transports.aws_iam import iam_action
from crashcart.values import decode
from tests.aws.emulated_compute import WEB, Compute, Control
from tests.emulator import running_emulator

FOUR: dict[str, object] = {"at_least": "4"}
LOOK = ["DescribeAutoScalingGroups", "DescribeTargetHealth"]


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


def scale(control: Control, wish: dict[str, object], name: str = GROUP, *, deadline: float = 120.0) -> TargetResult:
    return control.run("asg.scale", wish, name, deadline=deadline)


# -- raising


def test_first_run_raises_and_the_second_sends_no_write(control: Control, server: Compute) -> None:
    first = scale(control, FOUR)
    assert (first.outcome, first.verdict, server.sizes, server.in_service) == (
        Outcome.CHANGED,
        Verdict.HEALTHY,
        (1, 4, 4),
        4,
    ), first
    assert (first.changed, server.writes) == (True, 1)
    server.forget()
    second = scale(control, FOUR)
    assert (second.outcome, second.changed, server.actions) == (Outcome.OK, False, LOOK), second


def test_a_raise_waits_for_each_target_group(control: Control, server: Compute) -> None:
    server.emulator.durations(elbv2_first_checks=40)
    result = scale(control, FOUR)
    assert result.outcome is Outcome.CHANGED, result
    assert list(server.states(WEB).values()) == ["healthy"] * 4


def test_check_mode_sends_no_write(control: Control, server: Compute) -> None:
    result = control.run("asg.scale", FOUR, mode=Mode.CHECK)
    assert (result.outcome, server.writes, server.sizes) == (Outcome.WOULD_CHANGE, 0, (1, 2, 4)), result
    assert f"raise the desired capacity of {GROUP} from 2 to 4" in result.message


def test_what_is_larger_is_never_lowered(control: Control, server: Compute) -> None:
    scale(control, FOUR)
    server.forget()
    assert scale(control, {"at_least": "3"}).outcome is Outcome.OK
    assert (server.writes, server.sizes) == (0, (1, 4, 4))


@pytest.mark.parametrize(("lose", "writes"), [("aws.unavailable", 2), ("aws.lost", 1), ("aws.fails-after", 1)])
def test_an_ambiguous_write_has_one_effect(control: Control, server: Compute, lose: str, writes: int) -> None:
    server.emulator.fault(lose, action="SetDesiredCapacity")
    result = scale(control, FOUR)
    assert (result.outcome, server.writes, server.sizes) == (Outcome.CHANGED, writes, (1, 4, 4)), result


def test_a_throttled_write_is_sent_again(control: Control, server: Compute) -> None:
    server.emulator.fault("aws.throttle", action="SetDesiredCapacity", times=2)
    assert scale(control, FOUR).outcome is Outcome.CHANGED
    assert (server.writes, server.sizes) == (3, (1, 4, 4))


def test_stale_descriptions_after_the_act_are_waited_for(control: Control, server: Compute) -> None:
    server.emulator.fault("aws.stale", seconds=20)
    result = scale(control, FOUR)
    assert (result.outcome, server.writes) == (Outcome.CHANGED, 1), result


def test_a_raise_that_is_under_way_is_waited_for(control: Control, server: Compute) -> None:
    server.client("autoscaling").set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=4)
    server.forget()
    result = scale(control, FOUR)
    assert (result.outcome, server.writes, server.in_service) == (Outcome.OK, 0, 4), result


def test_by_is_added_once(control: Control, server: Compute) -> None:
    assert scale(control, {"by": "+1"}).outcome is Outcome.CHANGED
    assert server.sizes == (1, 3, 4)
    server.forget()
    second = scale(control, {"by": "+1"})
    assert (second.outcome, server.writes, server.sizes) == (Outcome.OK, 0, (1, 3, 4)), second
    assert "done shortly before" in second.message
    assert scale(control, {"by": "+1", "cooldown": "0s"}).outcome is Outcome.CHANGED
    assert server.sizes == (1, 4, 4)


def test_by_in_doubt_is_added_once(control: Control, server: Compute) -> None:
    server.emulator.fault("aws.lost", action="SetDesiredCapacity")
    assert scale(control, {"by": "+50%"}).outcome is Outcome.CHANGED
    assert (server.writes, server.sizes) == (1, (1, 3, 4))


def test_above_max_is_refused_and_raise_max_takes_one_write(control: Control, server: Compute) -> None:
    refused = scale(control, {"at_least": "6"})
    assert (refused.outcome, server.writes) == (Outcome.REFUSED, 0)
    assert refused.hint.startswith("--raise-max")
    result = scale(control, {"at_least": "6", "raise_max": True})
    assert (result.outcome, server.writes, server.sizes) == (Outcome.CHANGED, 1, (1, 6, 6)), result


@pytest.mark.parametrize("process", ["Launch", "AddToLoadBalancer"])
def test_a_suspended_process_refuses(control: Control, server: Compute, process: str) -> None:
    server.client("autoscaling").suspend_processes(AutoScalingGroupName=GROUP, ScalingProcesses=[process])
    result = scale(control, FOUR)
    assert (result.outcome, server.writes) == (Outcome.REFUSED, 0)
    assert result.hint.endswith(f"--scaling-processes {process}")


def test_an_instance_refresh_refuses(control: Control, server: Compute) -> None:
    server.client("autoscaling").start_instance_refresh(AutoScalingGroupName=GROUP)
    result = scale(control, FOUR)
    assert (result.outcome, server.writes) == (Outcome.REFUSED, 0)
    assert "an instance refresh of lab-asg is running" in result.message


def test_a_scaling_policy_is_said(control: Control, server: Compute) -> None:
    policy = {
        "PolicyName": "cpu",
        "PolicyType": "SimpleScaling",
        "AdjustmentType": "ChangeInCapacity",
        "ScalingAdjustment": 1,
    }
    server.client("autoscaling").put_scaling_policy(AutoScalingGroupName=GROUP, **policy)
    result = control.run("asg.scale", FOUR, mode=Mode.CHECK)
    assert "a scaling policy may take it back: cpu (SimpleScaling)" in result.message


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("InsufficientInstanceCapacity", "AWS has no capacity for its instances: We currently do not have sufficient"),
        ("InvalidAMIID.NotFound", "its image (AMI) cannot be used: The image id"),
        ("VcpuLimitExceeded", "an account quota is used up: You have requested more vCPU capacity"),
        ("InsufficientFreeAddressesInSubnet", "its subnet has no free IP addresses: There are not enough free addresses"),
    ],
)
def test_launches_that_fail_are_not_waited_for(control: Control, server: Compute, code: str, says: str) -> None:
    server.emulator.fault("aws.no-capacity", resource=GROUP, value=code)
    first = scale(control, FOUR)
    assert (first.outcome, server.writes, server.sizes) == (Outcome.FAILED, 1, (1, 4, 4)), first
    assert says in first.message
    assert first.steps[0].duration_s < 60
    second = scale(control, FOUR)
    assert (second.outcome, server.writes) == (Outcome.FAILED, 1)
    assert says in second.message


def test_a_shortage_that_passes_is_waited_for(control: Control, server: Compute) -> None:
    server.emulator.fault("aws.no-capacity", resource=GROUP, times=2)
    result = scale(control, FOUR)
    assert (result.outcome, server.writes, server.in_service) == (Outcome.CHANGED, 1, 4), result


def test_instances_that_fail_and_cycle_are_not_waited_for(control: Control, server: Compute) -> None:
    server.emulator.fault("aws.failing-instances", resource=GROUP)
    result = scale(control, FOUR, deadline=600.0)
    assert (result.outcome, server.writes) == (Outcome.FAILED, 1), result
    assert "come up and are replaced" in result.message
    assert "ELB system health check failure" in result.message
    assert result.steps[0].duration_s < 120


def test_what_never_completes_fails_at_the_deadline(control: Control, server: Compute) -> None:
    server.emulator.durations(asg_launch=3600)
    result = scale(control, FOUR, deadline=60.0)
    assert (result.outcome, server.writes) == (Outcome.FAILED, 1)
    assert "still not there after 60 s: 4 wanted, 2 of 4 serve" in result.message
    assert "2 Pending" in result.message


def test_a_raise_that_is_taken_back_is_told(control: Control, server: Compute) -> None:
    def lower() -> None:
        server.client("autoscaling").set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=2)

    result = control.run("asg.scale", FOUR, then=lower)
    assert result.outcome is Outcome.FAILED, result
    assert "the raise to 4 was taken back" in result.message
    assert "a user request explicitly set group desired capacity, from 4 to 2" in result.message


def test_an_unknown_group_is_named_with_the_nearest(control: Control, server: Compute) -> None:
    result = scale(control, FOUR, "lab-agc")
    assert (result.outcome, server.writes) == (Outcome.FAILED, 0)
    assert result.hint == "us-east-1 has no 'lab-agc'; did you mean lab-asg?"


def test_a_resumed_or_second_run_after_a_crash_adds_nothing(control: Control, server: Compute) -> None:
    """The write of a run that died right after it shows as a change by a user request: the same --by is done."""
    server.client("autoscaling").set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=3)
    server.advance(10)
    server.forget()
    result = scale(control, {"by": "+1"})
    assert (result.outcome, server.writes, server.sizes) == (Outcome.OK, 0, (1, 3, 4)), result


# -- putting back


def raised(control: Control, server: Compute) -> dict[str, object]:
    """Raise the group beyond its max; return what its journal says of taking that back."""
    scale(control, {"at_least": "6", "raise_max": True})
    journal = max(control.folder.glob("run*/events.jsonl"))
    (owed,) = PastRun.read(journal).undoable(GROUP)
    server.forget()
    return dict(owed.steps[-1].args)


def test_what_was_raised_is_put_back_step_by_step(control: Control, server: Compute) -> None:
    args = raised(control, server)
    assert args == {"desired": 2, "raised_to": 6, "max_size": 4}
    result = control.run("asg.restore", args, deadline=600.0)
    assert (result.outcome, server.sizes) == (Outcome.CHANGED, (1, 2, 4)), result
    assert [change.after for change in result.steps[0].changes] == ["5", "4", "3", "2", "4"]
    assert server.writes == 4
    server.forget()
    again = control.run("asg.restore", args)
    assert (again.outcome, server.actions) == (Outcome.OK, LOOK), again


@pytest.mark.parametrize("fault", ["aws.unavailable", "aws.lost", "aws.throttle"])
def test_a_step_back_in_doubt_is_taken_once(control: Control, server: Compute, fault: str) -> None:
    args = raised(control, server)
    server.emulator.fault(fault, action="SetDesiredCapacity")
    result = control.run("asg.restore", args, deadline=600.0)
    assert (result.outcome, server.sizes) == (Outcome.CHANGED, (1, 2, 4)), result
    assert server.writes == (4 if fault == "aws.lost" else 5)


def test_what_somebody_set_since_is_left_alone(control: Control, server: Compute) -> None:
    args = raised(control, server)
    server.client("autoscaling").set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=5)
    server.advance(60)
    server.forget()
    result = control.run("asg.restore", args)
    assert "it was raised to 6, and somebody has set 5 since" in result.message
    assert server.sizes[1] == 5


def test_restoring_in_check_mode_sends_no_write(control: Control, server: Compute) -> None:
    args = raised(control, server)
    assert control.run("asg.restore", args, mode=Mode.CHECK).outcome is Outcome.WOULD_CHANGE
    assert (server.writes, server.sizes) == (0, (1, 6, 6))


def test_a_group_that_is_not_well_is_not_lowered(control: Control, server: Compute) -> None:
    args = raised(control, server)
    server.emulator.fault("aws.unhealthy", resource=WEB)
    result = control.run("asg.restore", args)
    assert (result.outcome, server.writes) == (Outcome.REFUSED, 0), result
    assert "not well enough to lose instances" in result.message


# -- how it is


def test_a_healthy_group_is_assessed(control: Control, server: Compute) -> None:
    result = control.run("asg.assess", {})
    assert (result.outcome, result.verdict, server.writes) == (Outcome.OK, Verdict.HEALTHY, 0), result
    assert len(server.actions) == 3, "the group and its two target groups"


def test_a_sick_group_is_noticed(control: Control, server: Compute) -> None:
    server.emulator.fault("aws.unhealthy", resource=WEB)
    result = control.run("asg.assess", {})
    assert (result.outcome, result.verdict) == (Outcome.FAILED, Verdict.DOWN), result
    assert result.hint == f"inv recover.asg-scale --at-least 4 --hosts {GROUP}"


# -- a crash


def test_killed_right_after_the_write_and_resumed_it_is_not_sent_again(control: Control, server: Compute) -> None:
    class Killed(BaseException):
        """The controller dies here."""

    def die() -> None:
        raise Killed

    with pytest.raises(Killed):
        control.run("asg.scale", {"by": "+50%"}, then=die)
    assert (server.writes, server.sizes) == (1, (1, 3, 4))
    result = control.resume()
    assert (result.outcome, server.writes, server.sizes) == (Outcome.CHANGED, 1, (1, 3, 4)), result


# -- privileges, wishes, numbers


def test_the_declared_calls_are_those_that_are_sent(control: Control, server: Compute) -> None:
    services = {"DescribeTargetHealth": "elbv2"}

    def sent() -> set[str]:
        found = {iam_action(services.get(action, "autoscaling"), action) for action in server.actions}
        server.forget()
        return found

    scale(control, FOUR)
    first = sent()
    scale(control, {"at_least": "6", "raise_max": True})
    assert first | sent() == {call.action for call in ScaleOut.calls}
    control.run("asg.restore", {"desired": "2", "max_size": "4"}, deadline=600.0)
    assert sent() == {call.action for call in RestoreSizes.calls}
    server.emulator.fault("aws.unhealthy", resource=WEB)
    control.run("asg.assess", {})
    assert sent() == {call.action for call in AssessGroup.calls}


@pytest.mark.parametrize(
    ("wish", "says"),
    [
        ({}, "at_least: expected either --at-least, such as 6, or --by"),
        ({"at_least": "6", "by": "+2"}, "at_least: expected either"),
        ({"at_least": "-3"}, "at_least: expected a whole number from 1 to 10000, such as 6, got '-3'"),
        ({"at_least": "six"}, "at_least: expected a whole number"),
        ({"at_least": "0"}, "at_least: expected a whole number"),
        ({"at_least": "2.5"}, "at_least: expected a whole number"),
        ({"by": "-2"}, "by: expected a number or share to add, such as +2 or +50%, got '-2'"),
        ({"by": "+0"}, "by: expected a number or share"),
        ({"by": "half"}, "by: expected a number or share"),
        ({"at_least": "6", "cooldown": "soon"}, "expected a duration"),
        ({"atleast": "6"}, "atleast"),
    ],
)
def test_a_wish_that_cannot_be_is_named(wish: dict[str, object], says: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=re.escape(says)):
        decode(wish, ScaleWish)


@pytest.mark.parametrize(
    ("wish", "says"),
    [
        ({}, "desired: expected --desired, --min-size or --max-size"),
        ({"desired": "-1"}, "desired: expected a whole number from 0"),
        ({"desired": "4", "max_size": "2"}, "desired: expected min, desired and max in this order, got 4 > 2"),
        ({"raised_to": "x", "desired": "1"}, "raised_to: expected a whole number"),
    ],
)
def test_sizes_that_cannot_be_are_named(wish: dict[str, object], says: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=re.escape(says)):
        decode(wish, RestoreWish)


def fleet(desired: int, low: int, high: int) -> Fleet:
    members = tuple(Member(f"i-{number:08x}", "InService", healthy=True) for number in range(desired))
    return Fleet(Group("api", low, high, desired, members))


numbers = st.integers(0, 60)


@settings(max_examples=200, deadline=None)
@given(desired=numbers, room=numbers, wanted=st.integers(1, 60), raise_max=st.booleans())
def test_a_raise_never_lowers_and_never_passes_max_unasked(desired: int, room: int, wanted: int, raise_max: bool) -> None:
    state = fleet(desired, 0, desired + room)
    decision = decide_scale(state, {"at_least": wanted, "raise_max": raise_max, "force": True})
    if isinstance(decision, Act):
        params = decision.action.api.params
        assert params["DesiredCapacity"] == wanted > desired
        assert params.get("MaxSize", state.group.max_size) >= wanted
        assert raise_max or params["DesiredCapacity"] <= state.group.max_size


def decide_scale(state: Fleet, wish: dict[str, object]) -> object:
    from crashcart.facts.autoscaling import Policies
    from crashcart.facts.autoscaling_activities import Activities

    known = msgspec.structs.replace(state, activities=Activities(0.0), policies=Policies())
    operation, typed = find_operation("asg.scale"), decode(wish, ScaleWish)
    return operation.decide(known, Memory(known, operation.goal(known, typed)), typed)


@settings(max_examples=200, deadline=None)
@given(desired=st.integers(1, 60), target=numbers, low=st.integers(0, 10), step=st.integers(0, 100))
def test_putting_back_goes_down_in_steps_and_ends(desired: int, target: int, low: int, step: int) -> None:
    """Whatever the step, each write lowers by at least one, never below the goal or min, and the last one is the goal."""
    low = min(low, desired)
    operation = find_operation("asg.restore")
    wish = decode({"desired": str(target), "raised_to": str(desired), "step": str(step)}, RestoreWish)
    pin = fleet(desired, low, 100)
    memory = Memory(pin, operation.goal(pin, wish))
    state, seen = pin, desired
    while isinstance(decision := operation.decide(state, memory, wish), Act):
        number = decision.action.api.params["DesiredCapacity"]
        assert max(target, low) <= number < seen
        assert seen - number <= max(1, seen * step / 100)
        memory.applied += (decision.action.key,)
        state, seen = fleet(number, low, 100), number
    assert seen == min(desired, max(target, low))
