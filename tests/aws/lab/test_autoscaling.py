"""Contract tests of the emulator's Auto Scaling: AWS's refusals, and what happens over time."""

from __future__ import annotations

from collections import Counter

import pytest

from crashcart.lab.aws.compute_seed import GROUP
from tests.aws.lab.compute import LONG, Compute, refused
from tests.emulator import Emulator


@pytest.fixture
def compute(emulator: Emulator) -> Compute:
    return Compute(emulator)


def test_a_new_group_serves_with_the_desired_number_in_different_zones(compute: Compute) -> None:
    zones = [member["AvailabilityZone"] for member in compute.group()["Instances"]]
    assert compute.lifecycles() == Counter(InService=2)
    assert len(set(zones)) == len(zones) == 2
    assert set(compute.health("lab-web")) == set(compute.health("lab-api")) == set(compute.members())


@pytest.mark.parametrize(
    ("desired", "text"),
    [
        (5, "New SetDesiredCapacity value 5 is above max value 4 for the AutoScalingGroup."),
        (0, "New SetDesiredCapacity value 0 is below min value 1 for the AutoScalingGroup."),
    ],
)
def test_a_desired_capacity_beyond_the_bounds_is_refused(compute: Compute, desired: int, text: str) -> None:
    assert refused(lambda: compute.scale(desired)) == ("ValidationError", text)
    assert compute.group()["DesiredCapacity"] == 2


def test_a_missing_group_is_refused_and_described_as_absent(compute: Compute) -> None:
    api = compute.autoscaling
    calls = [
        lambda: api.set_desired_capacity(AutoScalingGroupName="lab-agg", DesiredCapacity=1),
        lambda: api.update_auto_scaling_group(AutoScalingGroupName="lab-agg", MaxSize=1),
        lambda: api.describe_scaling_activities(AutoScalingGroupName="lab-agg"),
        lambda: api.suspend_processes(AutoScalingGroupName="lab-agg"),
        lambda: api.start_instance_refresh(AutoScalingGroupName="lab-agg"),
        lambda: api.put_scaling_policy(AutoScalingGroupName="lab-agg", PolicyName="p"),
    ]
    text = "AutoScalingGroup name not found - AutoScalingGroup lab-agg not found"
    assert {refused(call) for call in calls} == {("ValidationError", text)}
    assert api.describe_auto_scaling_groups(AutoScalingGroupNames=["lab-agg"])["AutoScalingGroups"] == []


def test_a_second_group_of_the_same_name_is_refused(compute: Compute) -> None:
    template = {"LaunchTemplateName": "lab-template"}
    code, _ = refused(
        lambda: compute.autoscaling.create_auto_scaling_group(
            AutoScalingGroupName=GROUP, MinSize=0, MaxSize=1, LaunchTemplate=template, AvailabilityZones=["us-east-1a"]
        )
    )
    assert code == "AlreadyExists"
    assert compute.lifecycles() == Counter(InService=2)


def test_new_instances_are_pending_until_they_serve(compute: Compute) -> None:
    compute.scale(4)
    assert compute.group()["DesiredCapacity"] == 4
    assert compute.lifecycles() == Counter(InService=2, Pending=2)
    launching = compute.activities()[:2]
    assert [activity["StatusCode"] for activity in launching] == ["PreInService", "PreInService"]
    assert all(activity["Description"].startswith("Launching a new EC2 instance: i-") for activity in launching)
    assert "explicitly set group desired capacity changing the desired capacity from 2 to 4." in launching[0]["Cause"]
    assert len(compute.health("lab-web")) == 2
    compute.pass_time(LONG)
    assert compute.lifecycles() == Counter(InService=4)
    assert [activity["StatusCode"] for activity in compute.activities()] == ["Successful"] * 4
    assert Counter(state for state, _ in compute.health("lab-web").values()) == Counter(healthy=4)


def test_instances_that_leave_drain_first_and_then_are_terminated(compute: Compute) -> None:
    (gone,) = _scaled_in(compute)
    assert (
        compute.health("lab-web")[gone] == compute.health("lab-api")[gone] == ("draining", "Target.DeregistrationInProgress")
    )
    activity = compute.activities()[0]
    assert activity["StatusCode"] == "WaitingForELBConnectionDraining"
    assert activity["Description"] == f"Terminating EC2 instance: {gone} - Waiting For ELB Connection Draining."
    assert f"instance {gone} was selected for termination." in activity["Cause"]
    compute.pass_time(LONG)
    assert compute.lifecycles() == Counter(InService=1)
    assert gone not in compute.health("lab-web")
    found = compute.ec2.describe_instances(InstanceIds=[gone])["Reservations"][0]["Instances"][0]
    assert found["State"]["Name"] == "terminated"


def _scaled_in(compute: Compute) -> list[str]:
    compute.scale(1)
    assert compute.lifecycles() == Counter(InService=1, Terminating=1)
    return [member["InstanceId"] for member in compute.group()["Instances"] if member["LifecycleState"] == "Terminating"]


def test_protected_instances_stay(compute: Compute) -> None:
    names = compute.members()
    compute.autoscaling.set_instance_protection(AutoScalingGroupName=GROUP, InstanceIds=names, ProtectedFromScaleIn=True)
    compute.scale(1)
    assert sorted(compute.members()) == sorted(names)


def test_a_cooldown_is_honored_only_on_request(compute: Compute) -> None:
    compute.scale(3)
    running = compute.activities()[0]["ActivityId"]
    blocked = ("ScalingActivityInProgress", f"Scaling activity {running} is in progress and blocks this action")
    assert refused(lambda: compute.scale(4, HonorCooldown=True)) == blocked
    compute.pass_time(LONG)
    assert refused(lambda: compute.scale(4, HonorCooldown=True)) == blocked
    compute.pass_time(300)
    compute.scale(4, HonorCooldown=True)
    compute.scale(2)
    assert compute.group()["DesiredCapacity"] == 2


def test_with_launch_suspended_the_number_changes_and_nothing_starts_until_it_is_resumed(compute: Compute) -> None:
    compute.autoscaling.suspend_processes(AutoScalingGroupName=GROUP, ScalingProcesses=["Launch"])
    compute.scale(3)
    compute.pass_time(LONG)
    assert compute.group()["DesiredCapacity"] == 3
    assert compute.lifecycles() == Counter(InService=2)
    (process,) = compute.group()["SuspendedProcesses"]
    assert process["ProcessName"] == "Launch"
    assert process["SuspensionReason"].startswith("User suspended at 20")
    compute.autoscaling.resume_processes(AutoScalingGroupName=GROUP, ScalingProcesses=["Launch"])
    compute.pass_time(LONG)
    assert compute.lifecycles() == Counter(InService=3)


def test_with_terminate_suspended_nothing_ends(compute: Compute) -> None:
    compute.autoscaling.suspend_processes(AutoScalingGroupName=GROUP, ScalingProcesses=["Terminate"])
    compute.scale(1)
    compute.pass_time(LONG)
    assert compute.lifecycles() == Counter(InService=2)


def test_with_add_to_load_balancer_suspended_new_instances_serve_nobody(compute: Compute) -> None:
    compute.autoscaling.suspend_processes(AutoScalingGroupName=GROUP, ScalingProcesses=["AddToLoadBalancer"])
    compute.scale(3)
    compute.pass_time(LONG)
    assert len(compute.members()) == 3
    assert len(compute.health("lab-web")) == 2


def test_an_unknown_process_is_refused(compute: Compute) -> None:
    api = compute.autoscaling
    code, text = refused(lambda: api.suspend_processes(AutoScalingGroupName=GROUP, ScalingProcesses=["Lunch"]))
    assert code == "ValidationError"
    assert "Lunch" in text


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (
            "InsufficientInstanceCapacity",
            "We currently do not have sufficient t3.small capacity in the Availability Zone you requested",
        ),
        ("InvalidAMIID.NotFound", "The image id 'ami-"),
        ("VcpuLimitExceeded", "You have requested more vCPU capacity than your current vCPU limit of 8 allows"),
        ("InsufficientFreeAddressesInSubnet", "There are not enough free addresses in subnet 'subnet-"),
    ],
)
def test_a_launch_that_fails_is_an_activity_and_is_tried_again(compute: Compute, code: str, words: str) -> None:
    compute.fault("asg.launch", GROUP, code)
    compute.scale(3)
    assert compute.lifecycles() == Counter(InService=2)
    failed = compute.activities()[0]
    assert failed["StatusCode"] == "Failed"
    assert failed["StatusMessage"].startswith(words)
    assert failed["StatusMessage"].endswith(" Launching EC2 instance failed.")
    assert failed["Description"] == f"Launching a new EC2 instance. Status Reason: {failed['StatusMessage']}"
    compute.pass_time(LONG)
    assert len([activity for activity in compute.activities() if activity["StatusCode"] == "Failed"]) > 1
    compute.fault("asg.launch", GROUP, "")
    compute.pass_time(LONG)
    assert compute.lifecycles() == Counter(InService=3)


def test_an_image_that_is_gone_is_found_at_launch(compute: Compute) -> None:
    image = next(
        image["ImageId"] for image in compute.ec2.describe_images(Owners=["self"])["Images"] if image["Name"] == "lab"
    )
    compute.ec2.deregister_image(ImageId=image)
    compute.scale(3)
    assert (
        compute.activities()[0]["StatusMessage"] == f"The image id '{image}' does not exist. Launching EC2 instance failed."
    )


def test_instances_that_fail_their_checks_are_replaced_for_ever(compute: Compute) -> None:
    compute.fault("asg.failing-instances", GROUP)
    healthy = set(compute.members())
    compute.scale(3)
    compute.pass_time(LONG)
    causes = [activity["Cause"] for activity in compute.activities() if activity["Description"].startswith("Terminating")]
    assert len(causes) > 1
    assert all("in response to an ELB system health check failure." in cause for cause in causes)
    assert healthy <= set(compute.members())
    states = compute.health("lab-web")
    assert [states[name][0] for name in healthy] == ["healthy", "healthy"]
    assert all(states[name][0] != "healthy" for name in set(states) - healthy)


def test_an_instance_marked_unhealthy_is_replaced(compute: Compute) -> None:
    sick, *_ = compute.members()
    compute.autoscaling.set_instance_health(InstanceId=sick, HealthStatus="Unhealthy")
    shown = {member["InstanceId"]: member for member in compute.group()["Instances"]}
    assert (shown[sick]["LifecycleState"], shown[sick]["HealthStatus"]) == ("Terminating", "Unhealthy")
    launched, terminating = compute.activities()[:2]
    assert launched["Cause"].endswith(
        "an instance was launched in response to an unhealthy instance needing to be replaced."
    )
    assert terminating["Cause"].endswith("an instance was taken out of service in response to a user health-check.")
    compute.pass_time(LONG)
    assert compute.lifecycles() == Counter(InService=2)
    assert sick not in compute.members()


def test_with_replacement_suspended_an_unhealthy_instance_stays_until_it_is_resumed(compute: Compute) -> None:
    sick, *_ = compute.members()
    compute.autoscaling.suspend_processes(AutoScalingGroupName=GROUP, ScalingProcesses=["ReplaceUnhealthy"])
    compute.autoscaling.set_instance_health(InstanceId=sick, HealthStatus="Unhealthy")
    compute.pass_time(LONG)
    assert sick in compute.members()
    compute.autoscaling.resume_processes(AutoScalingGroupName=GROUP)
    compute.pass_time(LONG)
    assert sick not in compute.members()


def test_the_grace_period_shields_a_young_instance(compute: Compute) -> None:
    compute.autoscaling.update_auto_scaling_group(AutoScalingGroupName=GROUP, HealthCheckGracePeriod=3600)
    young, *_ = compute.members()
    compute.autoscaling.set_instance_health(InstanceId=young, HealthStatus="Unhealthy")
    assert young in compute.members()
    compute.autoscaling.set_instance_health(InstanceId=young, HealthStatus="Unhealthy", ShouldRespectGracePeriod=False)
    assert young not in compute.members()


def test_the_health_of_an_unknown_instance_is_refused(compute: Compute) -> None:
    api, name = compute.autoscaling, "i-0123456789abcdef0"
    text = f"Instance Id not found - No managed instance found for instance ID {name}"
    assert refused(lambda: api.set_instance_health(InstanceId=name, HealthStatus="Unhealthy")) == ("ValidationError", text)


def test_an_instance_that_ec2_terminates_is_replaced_and_leaves_its_target_groups(compute: Compute) -> None:
    gone, *_ = compute.members()
    compute.ec2.terminate_instances(InstanceIds=[gone])
    causes = [activity["Cause"] for activity in compute.activities()]
    assert any("EC2 health check indicating it has been terminated or stopped." in cause for cause in causes)
    compute.pass_time(LONG)
    assert compute.lifecycles() == Counter(InService=2)
    assert gone not in compute.health("lab-web")
    assert gone not in compute.members()


def test_terminating_with_decrement_shrinks_but_not_below_the_minimum(compute: Compute) -> None:
    api = compute.autoscaling
    first, second = compute.members()
    answer = api.terminate_instance_in_auto_scaling_group(InstanceId=first, ShouldDecrementDesiredCapacity=True)
    assert answer["Activity"]["Description"].startswith(f"Terminating EC2 instance: {first}")
    compute.pass_time(LONG)
    assert (compute.members(), compute.group()["DesiredCapacity"]) == ([second], 1)
    shrink = {"InstanceId": second, "ShouldDecrementDesiredCapacity": True}
    code, text = refused(lambda: api.terminate_instance_in_auto_scaling_group(**shrink))
    assert code == "ValidationError"
    assert "minSize (1)" in text


@pytest.mark.parametrize(
    ("sizes", "text"),
    [
        ({"MinSize": 5}, "Max bound, 4, must be greater than or equal to min bound, 5"),
        ({"MaxSize": 0}, "Max bound, 0, must be greater than or equal to min bound, 1"),
        ({"DesiredCapacity": 9}, "Desired capacity:9 must be between the specified min size:1 and max size:4"),
        ({"MinSize": 3, "DesiredCapacity": 2}, "Desired capacity:2 must be between the specified min size:3 and max size:4"),
    ],
)
def test_sizes_that_contradict_each_other_are_refused(compute: Compute, sizes: dict[str, int], text: str) -> None:
    update = compute.autoscaling.update_auto_scaling_group
    assert refused(lambda: update(AutoScalingGroupName=GROUP, **sizes)) == ("ValidationError", text)
    assert (compute.group()["MinSize"], compute.group()["MaxSize"]) == (1, 4)


@pytest.mark.parametrize(("sizes", "desired"), [({"MinSize": 3}, 3), ({"MaxSize": 1}, 1), ({"MaxSize": 8}, 2)])
def test_the_desired_capacity_follows_new_bounds(compute: Compute, sizes: dict[str, int], desired: int) -> None:
    compute.autoscaling.update_auto_scaling_group(AutoScalingGroupName=GROUP, **sizes)
    assert compute.group()["DesiredCapacity"] == desired
    compute.pass_time(LONG)
    assert compute.lifecycles() == Counter(InService=desired)


def test_activities_are_paged_and_found_by_id(compute: Compute) -> None:
    compute.scale(4)
    page = compute.autoscaling.describe_scaling_activities(AutoScalingGroupName=GROUP, MaxRecords=3)
    rest = compute.activities(NextToken=page["NextToken"])
    assert [len(page["Activities"]), len(rest)] == [3, 1]
    (found,) = compute.activities(ActivityIds=[rest[0]["ActivityId"]])
    assert found == rest[0]
    assert found["AutoScalingGroupARN"] == compute.group()["AutoScalingGroupARN"]


def test_scaling_policies_are_described(compute: Compute) -> None:
    target = {"PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"}, "TargetValue": 50.0}
    kind = {"PolicyType": "TargetTrackingScaling", "TargetTrackingConfiguration": target}
    compute.autoscaling.put_scaling_policy(AutoScalingGroupName=GROUP, PolicyName="cpu", **kind)
    (policy,) = compute.autoscaling.describe_policies(AutoScalingGroupName=GROUP)["ScalingPolicies"]
    assert (policy["PolicyName"], policy["PolicyType"], policy["Enabled"]) == ("cpu", "TargetTrackingScaling", True)
    assert policy["TargetTrackingConfiguration"]["TargetValue"] == 50.0


def test_an_instance_refresh_replaces_every_instance_one_at_a_time(compute: Compute) -> None:
    old, api = set(compute.members()), compute.autoscaling
    name = api.start_instance_refresh(AutoScalingGroupName=GROUP)["InstanceRefreshId"]
    (refresh,) = api.describe_instance_refreshes(AutoScalingGroupName=GROUP)["InstanceRefreshes"]
    assert (refresh["InstanceRefreshId"], refresh["Status"], refresh["InstancesToUpdate"]) == (name, "Pending", 2)
    assert refused(lambda: api.start_instance_refresh(AutoScalingGroupName=GROUP))[0] == "InstanceRefreshInProgress"
    seen = {"Pending"}
    for _ in range(60):
        compute.pass_time(1)
        (refresh,) = api.describe_instance_refreshes(AutoScalingGroupName=GROUP, InstanceRefreshIds=[name])[
            "InstanceRefreshes"
        ]
        seen.add(refresh["Status"])
        assert len(compute.members()) >= 1
    assert seen == {"Pending", "InProgress", "Successful"}
    assert (refresh["PercentageComplete"], refresh["InstancesToUpdate"]) == (100, 0)
    assert not old & set(compute.members())


def test_an_instance_refresh_can_be_cancelled_once(compute: Compute) -> None:
    api = compute.autoscaling
    name = api.start_instance_refresh(AutoScalingGroupName=GROUP)["InstanceRefreshId"]
    assert api.cancel_instance_refresh(AutoScalingGroupName=GROUP)["InstanceRefreshId"] == name
    assert api.describe_instance_refreshes(AutoScalingGroupName=GROUP)["InstanceRefreshes"][0]["Status"] == "Cancelling"
    assert refused(lambda: api.cancel_instance_refresh(AutoScalingGroupName=GROUP))[0] == "ActiveInstanceRefreshNotFound"
    compute.pass_time(LONG)
    assert api.describe_instance_refreshes(AutoScalingGroupName=GROUP)["InstanceRefreshes"][0]["Status"] == "Cancelled"
