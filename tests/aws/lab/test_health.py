"""Contract tests of AWS Health, CloudTrail and what else triage asks the emulator."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.aws.lab.refusals import refused
from tests.emulator import PARTS, Emulator

ISSUES = {"eventTypeCategories": ["issue"], "eventStatusCodes": ["open"]}


def events(emulator: Emulator, **wanted: Any) -> Any:
    return emulator.client("health").describe_events(filter={**ISSUES, **wanted})["events"]


def test_there_is_no_issue_unless_a_fault_makes_one(emulator: Emulator) -> None:
    assert events(emulator) == []
    emulator.fault("aws.health-issue", resource="RDS")
    (event,) = events(emulator, services=["RDS", "EC2"], regions=["us-east-1", "global"])
    assert (event["service"], event["statusCode"], event["eventScopeCode"]) == ("RDS", "open", "PUBLIC")
    assert (event["region"], event["eventTypeCode"]) == ("us-east-1", "AWS_RDS_OPERATIONAL_ISSUE")
    assert timedelta() < emulator.now() - event["startTime"] < timedelta(minutes=11)
    assert events(emulator, services=["ELASTICACHE"]) == []
    assert events(emulator, eventTypeCategories=["scheduledChange"]) == []
    emulator.clear_faults()
    assert events(emulator) == []


def test_an_issue_may_be_of_this_account_and_the_fault_stands(emulator: Emulator) -> None:
    emulator.fault("aws.health-issue", resource="EC2", value="ours")
    assert [event["eventScopeCode"] for event in events(emulator)] == ["ACCOUNT_SPECIFIC"]
    assert [(one["kind"], one["resource"]) for one in emulator.faults()["conditions"]] == [("health.issue", "EC2")]


def test_an_account_without_a_support_plan_is_refused(emulator: Emulator) -> None:
    emulator.fault("aws.error", service="health", value="SubscriptionRequiredException")
    assert refused(emulator.client("health").describe_events, filter=ISSUES) == ("SubscriptionRequiredException", 400)


def test_what_health_lacks_is_a_loud_lab_error(emulator: Emulator) -> None:
    asked = emulator.client("health").describe_event_details
    assert refused(asked, eventArns=["arn:aws:health:us-east-1::event/RDS/X/X_1"]) == ("CrashcartLabError", 501)


def test_the_trail_tells_who_changed_a_resource_newest_first(emulator: Emulator) -> None:
    ec2, trail = emulator.client("ec2"), emulator.client("cloudtrail")
    group = ec2.create_security_group(GroupName="web", Description="web")["GroupId"]
    rule = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "192.0.2.0/24"}]}
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])
    emulator.advance(60)
    ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[rule])

    def calls(name: str, **span: Any) -> list[str]:
        wanted = [{"AttributeKey": "ResourceName", "AttributeValue": name}]
        return [event["EventName"] for event in trail.lookup_events(LookupAttributes=wanted, **span)["Events"]]

    assert calls(group) == ["RevokeSecurityGroupIngress", "AuthorizeSecurityGroupIngress"]
    assert calls(group, StartTime=emulator.now() - timedelta(seconds=30)) == ["RevokeSecurityGroupIngress"]
    assert calls("sg-0123456789abcdef0") == []


@pytest.mark.parametrize(("metric", "among"), [("RequestCount", 600.0), ("HTTPCode_Target_5XX_Count", 30.0)])
def test_a_load_balancer_is_measured_each_minute(emulator: Emulator, metric: str, among: float) -> None:
    emulator.reset(*PARTS)
    emulator.fault("aws.5xx", resource="lab-web")
    elb = emulator.client("elbv2")
    group = elb.describe_target_groups(Names=["lab-web"])["TargetGroups"][0]
    dimensions = [
        {"Name": "TargetGroup", "Value": group["TargetGroupArn"].rpartition(":")[2]},
        {"Name": "LoadBalancer", "Value": group["LoadBalancerArns"][0].partition("loadbalancer/")[2]},
    ]
    measured = {"Namespace": "AWS/ApplicationELB", "MetricName": metric, "Dimensions": dimensions}
    query = {"Id": "q", "MetricStat": {"Metric": measured, "Period": 60, "Stat": "Sum"}}
    now = emulator.now().replace(second=0, microsecond=0)
    asked = {"MetricDataQueries": [query], "StartTime": now - timedelta(minutes=5), "EndTime": now}
    assert emulator.client("cloudwatch").get_metric_data(**asked)["MetricDataResults"][0]["Values"] == [among] * 5
    emulator.fault("aws.no-metrics", resource="lab-web")
    assert emulator.client("cloudwatch").get_metric_data(**asked)["MetricDataResults"][0]["Values"] == []


def test_a_cache_has_service_updates_when_a_fault_says_so(caches: Emulator) -> None:
    client = caches.client("elasticache")
    asked = {"ReplicationGroupIds": ["lab-redis"], "UpdateActionStatus": ["not-applied"]}
    assert client.describe_update_actions(**asked)["UpdateActions"] == []
    caches.fault("aws.service-update", resource="lab-redis")
    (action,) = client.describe_update_actions(**asked)["UpdateActions"]
    assert (action["ReplicationGroupId"], action["UpdateActionStatus"]) == ("lab-redis", "not-applied")
    assert client.describe_update_actions(ReplicationGroupIds=["lab-redis-cluster"])["UpdateActions"] == []
