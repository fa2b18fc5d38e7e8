"""The emulator's process: its log, its own API, and how it says that it is not AWS's fault."""

from __future__ import annotations

import http.client
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
from botocore.exceptions import ClientError

from crashcart.errors import BadInput, LabError
from crashcart.lab.aws.account import RESOURCES
from crashcart.lab.aws.emulator import AwsEmulator
from tests.emulator import PARTS, Emulator


@pytest.mark.parametrize(
    ("service", "name", "call"),
    [
        ("rds", "rds.RebootDBCluster", lambda client: client.reboot_db_cluster(DBClusterIdentifier="lab-aurora")),
        (
            "elasticache",
            "elasticache.IncreaseReplicaCount",
            lambda client: client.increase_replica_count(ReplicationGroupId="lab-redis", ApplyImmediately=True),
        ),
        ("ecs", "ecs.DescribeServiceDeployments", lambda c: c.describe_service_deployments(serviceDeploymentArns=["a"])),
        ("eks", "eks.GET /clusters/c/updates", lambda client: client.list_updates(name="c")),
    ],
    ids=["query", "query, elasticache", "json", "rest-json"],
)
def test_an_unknown_call_is_loudly_the_labs_error(emulator: Emulator, service: str, name: str, call: Any) -> None:
    with pytest.raises(ClientError) as raised:
        call(emulator.client(service))
    response = raised.value.response
    assert response["Error"]["Code"] == "CrashcartLabError"
    assert response["Error"]["Message"].startswith(f"the lab's emulator: {name}: ")
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 501
    assert response["ResponseMetadata"]["HTTPHeaders"]["x-crashcart-lab-error"] == name


def test_an_unknown_call_is_not_retried_by_botocore(emulator: Emulator) -> None:
    client = emulator.client("ecs", retries={"total_max_attempts": 4, "mode": "standard"})
    with pytest.raises(ClientError):
        client.describe_service_deployments(serviceDeploymentArns=["a"])
    assert len(emulator.requests()) == 1


def test_the_log_tells_reads_from_writes_and_keeps_no_secret(databases: Emulator) -> None:
    rds = databases.client("rds")
    rds.describe_db_clusters()
    rds.modify_db_instance(DBInstanceIdentifier="lab-db", MasterUserPassword="hunter2hunter2")
    databases.client("sts").assume_role(RoleArn="arn:aws:iam::123456789012:role/r", RoleSessionName="drill")
    databases.client("cloudwatch").list_metrics()
    assert [(one["service"], one["action"], one["writes"], one["status"]) for one in databases.requests()] == [
        ("rds", "DescribeDBClusters", False, 200),
        ("rds", "ModifyDBInstance", True, 200),
        ("sts", "AssumeRole", False, 200),
        ("cloudwatch", "ListMetrics", False, 200),
    ]
    (write,) = databases.writes()
    assert write["params"] == {"DBInstanceIdentifier": "lab-db", "MasterUserPassword": "***"}
    lines = (databases.state / "requests.jsonl").read_bytes().splitlines()
    assert [msgspec.json.decode(line)["action"] for line in lines] == [one["action"] for one in databases.requests()]
    databases.forget_requests()
    assert databases.requests() == []


def test_a_failed_write_is_a_write_request_too(databases: Emulator) -> None:
    with pytest.raises(ClientError):
        databases.client("rds").failover_db_cluster(DBClusterIdentifier="nobody")
    assert [(one["action"], one["status"]) for one in databases.writes()] == [("FailoverDBCluster", 404)]


def test_reset_brings_the_first_state_back(databases: Emulator) -> None:
    rds = databases.client("rds")
    rds.delete_db_instance(DBInstanceIdentifier="lab-db-single", SkipFinalSnapshot=True)
    rds.failover_db_cluster(DBClusterIdentifier="lab-aurora")
    databases.fault("aws.throttle", times=5)
    databases.advance(1)
    databases.reset("databases")
    assert databases.requests() == []
    found = rds.describe_db_clusters()["DBClusters"][0]
    assert (found["Status"], found["DBClusterMembers"][0]["IsClusterWriter"]) == ("available", True)
    rds.describe_db_instances(DBInstanceIdentifier="lab-db-single")
    assert rds.describe_events(SourceType="db-cluster")["Events"] == []


def test_everything_that_the_inventory_names_is_seeded_and_settled(emulator: Emulator) -> None:
    emulator.reset(*PARTS)
    clusters = [one["DBClusterIdentifier"] for one in emulator.client("rds").describe_db_clusters()["DBClusters"]]
    instances = emulator.client("rds").describe_db_instances()["DBInstances"]
    groups = emulator.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    caches = emulator.client("elasticache").describe_replication_groups()["ReplicationGroups"]
    targets = emulator.client("elbv2").describe_target_groups()["TargetGroups"]
    seeded = {
        "rds_cluster": tuple(clusters),
        "rds_instance": tuple(one["DBInstanceIdentifier"] for one in instances if not one.get("DBClusterIdentifier")),
        "elasticache_replication_group": tuple(one["ReplicationGroupId"] for one in caches),
        "autoscaling_group": tuple(one["AutoScalingGroupName"] for one in groups),
        "target_group": tuple(one["TargetGroupName"] for one in targets),
    }
    assert {kind: sorted(names) for kind, names in seeded.items()} == {k: sorted(v) for k, v in RESOURCES.items()}
    assert {member["LifecycleState"] for member in groups[0]["Instances"]} == {"InService"}
    arn = next(one["TargetGroupArn"] for one in targets if one["TargetGroupName"] == "lab-web")
    health = emulator.client("elbv2").describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
    assert [one["TargetHealth"]["State"] for one in health] == ["healthy", "healthy"]


@pytest.mark.parametrize(
    ("method", "name", "body", "message"),
    [
        ("POST", "reset", {"seed": ["database"]}, "no part 'database'"),
        ("POST", "reset", {"sead": []}, "sead"),
        ("POST", "durations", {"rds.failovr": 1}, "no transition"),
        ("POST", "durations", {"rds.failover": "long"}, "Expected `float`"),
        ("POST", "clock?advance=-5", None, "0 or more"),
        ("POST", "clock?advance=soon", None, "could not convert"),
    ],
)
def test_its_own_api_refuses_nonsense(emulator: Emulator, method: str, name: str, body: Any, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        AwsEmulator(emulator.state).admin(method, name, body)


def test_its_own_api_names_what_there_is(emulator: Emulator) -> None:
    connection = http.client.HTTPConnection(urlsplit(emulator.url).netloc, timeout=5)
    connection.request("GET", "/crashcart/nothing")
    answer = connection.getresponse()
    told = msgspec.json.decode(answer.read())
    connection.close()
    assert (answer.status, told["error"]) == (404, "there is no GET nothing")
    assert "POST faults" in told["hint"]


def test_an_answer_without_a_server_says_that_it_is_down(tmp_path: Any) -> None:
    lab = AwsEmulator(tmp_path)
    assert not lab.status().running
    assert not lab.stop()
    with pytest.raises(LabError, match="down"):
        lab.reset(())
