"""Faults on the way: what a client sees, and what was done all the same. Real connections break here."""

from __future__ import annotations

import time
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from crashcart.errors import BadInput
from tests.aws.lab.refusals import refused
from tests.emulator import Emulator

FAILOVER = {"DBClusterIdentifier": "lab-aurora", "TargetDBInstanceIdentifier": "lab-aurora-2"}


def writer(emulator: Emulator) -> str:
    (found,) = emulator.client("rds").describe_db_clusters(DBClusterIdentifier="lab-aurora")["DBClusters"]
    return next(str(one["DBInstanceIdentifier"]) for one in found["DBClusterMembers"] if one["IsClusterWriter"])


def status(emulator: Emulator) -> str:
    (found,) = emulator.client("rds").describe_db_clusters(DBClusterIdentifier="lab-aurora")["DBClusters"]
    return str(found["Status"])


def failed_over(emulator: Emulator) -> bool:
    emulator.clear_faults()
    emulator.advance(60)
    return writer(emulator) == "lab-aurora-2"


def fail_over(emulator: Emulator) -> None:
    emulator.client("rds").failover_db_cluster(**FAILOVER)


@pytest.mark.parametrize(
    ("name", "code", "http", "done"),
    [
        ("aws.throttle", "Throttling", 400, False),
        ("aws.denied", "AccessDenied", 403, False),
        ("aws.unavailable", "ServiceUnavailable", 503, False),
        ("aws.fails-after", "InternalFailure", 500, True),
    ],
)
def test_a_call_may_be_answered_with_an_error(databases: Emulator, name: str, code: str, http: int, done: bool) -> None:
    databases.fault(name, service="rds", action="FailoverDBCluster")
    assert refused(databases.client("rds").failover_db_cluster, **FAILOVER) == (code, http)
    (logged,) = databases.writes()
    assert (logged["action"], logged["status"], logged["fault"]) == ("FailoverDBCluster", http, name)
    assert failed_over(databases) is done


def test_an_answer_may_be_lost_although_it_was_done(databases: Emulator) -> None:
    databases.fault("aws.lost")
    with pytest.raises(ConnectionClosedError):
        fail_over(databases)
    assert [(one["status"], one["fault"]) for one in databases.writes()] == [(0, "aws.lost")]
    assert failed_over(databases)


def test_a_connection_may_be_reset_before_anything_was_done(databases: Emulator) -> None:
    databases.fault("aws.reset", action="Failover.*")
    with pytest.raises(ConnectionClosedError) as raised:
        fail_over(databases)
    assert "Connection reset by peer" in repr(raised.value.kwargs["error"])
    assert not failed_over(databases)
    fail_over(databases)
    assert failed_over(databases)


def test_an_answer_may_not_come_in_time_although_it_was_done(databases: Emulator) -> None:
    databases.fault("aws.timeout", seconds=30)
    with pytest.raises(ReadTimeoutError):
        databases.client("rds", read_timeout=0.3).failover_db_cluster(**FAILOVER)
    assert failed_over(databases)


def test_an_answer_may_come_late(databases: Emulator) -> None:
    databases.fault("aws.slow", action="DescribeDBClusters", seconds=0.2)
    started = time.monotonic()
    assert writer(databases) == "lab-aurora-1"
    assert time.monotonic() - started >= 0.2


def test_after_a_write_reads_may_be_stale_for_a_while(databases: Emulator) -> None:
    assert status(databases) == "available"
    databases.fault("aws.stale", service="rds", seconds=10)
    databases.advance(100)
    fail_over(databases)
    assert status(databases) == "available"
    databases.advance(9)
    assert (status(databases), writer(databases)) == ("available", "lab-aurora-1")
    databases.advance(1)
    assert writer(databases) == "lab-aurora-2"
    assert [one["fault"] for one in databases.requests("DescribeDBClusters")][-2:] == ["aws.stale", ""]


def test_reads_may_stand_still_from_now_on(databases: Emulator) -> None:
    assert status(databases) == "available"
    fail_over(databases)
    databases.fault("aws.frozen", action="DescribeDBClusters", seconds=5)
    assert status(databases) == "available"
    databases.advance(6)
    assert (status(databases), writer(databases)) == ("available", "lab-aurora-2")


def test_a_read_that_was_never_asked_is_answered_once_and_kept(databases: Emulator) -> None:
    databases.fault("aws.frozen", action="DescribeDBInstances", seconds=5)
    rds = databases.client("rds")
    rds.reboot_db_instance(DBInstanceIdentifier="lab-db-single")
    databases.advance(1)
    seen = [_status(rds) for _ in range(2)]
    databases.advance(2)
    assert [*seen, _status(rds)] == ["rebooting"] * 3


def _status(rds: Any) -> str:
    return str(rds.describe_db_instances(DBInstanceIdentifier="lab-db-single")["DBInstances"][0]["DBInstanceStatus"])


def test_a_fault_takes_as_many_calls_as_it_says_of_its_resource_only(databases: Emulator) -> None:
    databases.fault("aws.throttle", resource="lab-db", times=2)
    rds = databases.client("rds")
    rds.describe_db_instances(DBInstanceIdentifier="lab-db-single")
    for _ in range(2):
        assert refused(rds.describe_db_instances, DBInstanceIdentifier="lab-db") == ("Throttling", 400)
    rds.describe_db_instances(DBInstanceIdentifier="lab-db")
    assert [one["fault"] for one in databases.requests()] == ["", "aws.throttle", "aws.throttle", ""]


def test_a_fault_of_one_service_leaves_the_others_alone(emulator: Emulator) -> None:
    emulator.fault("aws.error", service="elasticache", value="InvalidReplicationGroupState")
    emulator.client("rds").describe_db_clusters()
    code, _ = refused(emulator.client("elasticache").describe_replication_groups)
    assert code == "InvalidReplicationGroupState"


@pytest.mark.parametrize(
    ("service", "call"),
    [
        ("rds", lambda client: client.describe_db_clusters()),
        ("elasticache", lambda client: client.describe_replication_groups()),
        ("autoscaling", lambda client: client.describe_auto_scaling_groups()),
        ("elbv2", lambda client: client.describe_target_groups()),
        ("ec2", lambda client: client.describe_instances()),
        ("cloudwatch", lambda client: client.list_metrics()),
        ("dynamodb", lambda client: client.list_tables()),
        ("logs", lambda client: client.describe_log_groups()),
        ("sts", lambda client: client.get_caller_identity()),
        ("s3", lambda client: client.list_buckets()),
        ("ecs", lambda client: client.list_clusters()),
        ("eks", lambda client: client.list_clusters()),
    ],
)
def test_errors_are_readable_in_every_protocol(emulator: Emulator, service: str, call: Any) -> None:
    emulator.fault("aws.error", service=service, value="SomethingIsWrong")
    with pytest.raises(ClientError) as raised:
        call(emulator.client(service))
    assert raised.value.response["Error"]["Code"] == "SomethingIsWrong"
    assert raised.value.response["Error"]["Message"].startswith("the call is refused")
    call(emulator.client(service))


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"name": "aws.throtle"}, "did you mean aws.throttle"),
        ({"name": "aws.error"}, "needs a value"),
        ({"name": "aws.slow", "seconds": 3600}, "expected 0 to 60"),
        ({"name": "aws.throttle", "times": 0}, "1 or more"),
        ({"name": "aws.no-capacity", "service": "ec2"}, "--resource"),
        ({"name": "aws.reset", "action": "("}, "not a pattern"),
        ({"name": "aws.reset", "colour": "red"}, "colour"),
    ],
)
def test_faults_that_make_no_sense_are_refused(emulator: Emulator, wanted: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        emulator.fault(**wanted)
    assert emulator.faults() == {"armed": [], "conditions": []}


def test_what_is_armed_can_be_seen_and_cleared(emulator: Emulator) -> None:
    emulator.fault("aws.throttle", service="rds", times=3)
    emulator.fault("aws.no-capacity", resource="lab-asg")
    shown = emulator.faults()
    assert [(one["name"], one["left"], one["hits"]) for one in shown["armed"]] == [("aws.throttle", 3, 0)]
    assert [(one["kind"], one["resource"], one["value"]) for one in shown["conditions"]] == [
        ("asg.launch", "lab-asg", "InsufficientInstanceCapacity")
    ]
    emulator.clear_faults()
    assert emulator.faults() == {"armed": [], "conditions": []}
