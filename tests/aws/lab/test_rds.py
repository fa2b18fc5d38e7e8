"""Contract tests of the emulator's RDS: what it refuses, what happens over time, what its events say."""

from __future__ import annotations

from typing import Any

import pytest

from tests.aws.lab.refusals import measured, refused
from tests.emulator import Emulator

LONG = 60.0


@pytest.fixture
def rds(databases: Emulator) -> Any:
    return databases.client("rds")


def cluster(rds: Any) -> tuple[str, list[str]]:
    """Status and writers of the lab's cluster."""
    (found,) = rds.describe_db_clusters(DBClusterIdentifier="lab-aurora")["DBClusters"]
    return found["Status"], [one["DBInstanceIdentifier"] for one in found["DBClusterMembers"] if one["IsClusterWriter"]]


def instance(rds: Any, name: str) -> Any:
    return rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0]


def zones(rds: Any, name: str) -> tuple[str, str, str]:
    found = instance(rds, name)
    return found["DBInstanceStatus"], found["AvailabilityZone"], found.get("SecondaryAvailabilityZone", "")


def events(rds: Any, kind: str, name: str, **span: Any) -> list[str]:
    found = rds.describe_events(SourceType=kind, SourceIdentifier=name, **span)["Events"]
    assert [event["Date"] for event in found] == sorted(event["Date"] for event in found)
    return [event["Message"] for event in found]


def test_the_account_is_seeded(rds: Any) -> None:
    assert cluster(rds) == ("available", ["lab-aurora-1"])
    members = [instance(rds, f"lab-aurora-{number}") for number in (1, 2, 3)]
    assert [member["AvailabilityZone"] for member in members] == ["us-east-1a", "us-east-1b", "us-east-1c"]
    assert zones(rds, "lab-db") == ("available", "us-east-1a", "us-east-1b")
    assert zones(rds, "lab-db-single") == ("available", "us-east-1a", "")
    assert instance(rds, "lab-db-replica")["ReadReplicaSourceDBInstanceIdentifier"] == "lab-db"
    assert events(rds, "db-instance", "lab-db", Duration=30) == []
    assert events(rds, "db-instance", "lab-db", Duration=61)


def test_a_failover_takes_time_and_moves_the_writer(databases: Emulator, rds: Any) -> None:
    answer = rds.failover_db_cluster(DBClusterIdentifier="lab-aurora", TargetDBInstanceIdentifier="lab-aurora-3")
    assert answer["DBCluster"]["Status"] == "available"
    assert cluster(rds) == ("failing-over", ["lab-aurora-1"])
    assert instance(rds, "lab-aurora-3")["DBInstanceStatus"] == "rebooting"
    databases.advance(1.0)
    assert cluster(rds) == ("failing-over", ["lab-aurora-3"])
    databases.advance(1.0)
    assert cluster(rds) == ("available", ["lab-aurora-3"])
    databases.advance(LONG)
    assert {instance(rds, f"lab-aurora-{number}")["DBInstanceStatus"] for number in (1, 2, 3)} == {"available"}
    assert events(rds, "db-cluster", "lab-aurora") == [
        "Started cross AZ failover to DB instance: lab-aurora-3.",
        "Completed failover to DB instance: lab-aurora-3.",
    ]
    assert events(rds, "db-instance", "lab-aurora-1") == ["DB instance restarted"]


def test_without_a_target_the_lowest_promotion_tier_is_chosen(databases: Emulator, rds: Any) -> None:
    rds.failover_db_cluster(DBClusterIdentifier="lab-aurora")
    databases.advance(LONG)
    assert cluster(rds) == ("available", ["lab-aurora-2"])


def test_one_failover_at_a_time(databases: Emulator, rds: Any) -> None:
    rds.failover_db_cluster(DBClusterIdentifier="lab-aurora")
    assert refused(rds.failover_db_cluster, DBClusterIdentifier="lab-aurora") == ("InvalidDBClusterStateFault", 400)
    databases.advance(LONG)
    rds.failover_db_cluster(DBClusterIdentifier="lab-aurora", TargetDBInstanceIdentifier="lab-aurora-1")
    databases.advance(LONG)
    assert cluster(rds) == ("available", ["lab-aurora-1"])


def test_a_cluster_may_stay_available_for_a_while_and_takes_no_second_failover(databases: Emulator, rds: Any) -> None:
    databases.durations(rds_accepted=5)
    rds.failover_db_cluster(DBClusterIdentifier="lab-aurora")
    assert cluster(rds) == ("available", ["lab-aurora-1"])
    assert refused(rds.failover_db_cluster, DBClusterIdentifier="lab-aurora")[0] == "InvalidDBClusterStateFault"
    databases.advance(5)
    assert cluster(rds)[0] == "failing-over"


@pytest.mark.parametrize(
    ("params", "code", "status"),
    [
        ({"DBClusterIdentifier": "lab-arora"}, "DBClusterNotFoundFault", 404),
        ({"TargetDBInstanceIdentifier": "lab-aurora-9"}, "DBInstanceNotFound", 404),
        ({"TargetDBInstanceIdentifier": "lab-aurora-1"}, "InvalidDBInstanceState", 400),
        ({"TargetDBInstanceIdentifier": "lab-db"}, "InvalidDBInstanceState", 400),
        ({"TargetDBInstanceIdentifier": "other-1"}, "InvalidDBInstanceState", 400),
        ({"DBClusterIdentifier": "other"}, "InvalidDBClusterStateFault", 400),
    ],
    ids=["no cluster", "no instance", "the writer", "no member", "of another cluster", "a single member"],
)
def test_failovers_that_cannot_be_are_refused_and_change_nothing(
    databases: Emulator, rds: Any, params: dict[str, str], code: str, status: int
) -> None:
    login = {"MasterUsername": "root", "MasterUserPassword": "longpassword"}
    rds.create_db_cluster(DBClusterIdentifier="other", Engine="aurora-postgresql", **login)
    made = {"DBInstanceClass": "db.r6g.large", "Engine": "aurora-postgresql", "DBClusterIdentifier": "other"}
    rds.create_db_instance(DBInstanceIdentifier="other-1", **made)
    rds.describe_db_clusters()
    assert refused(rds.failover_db_cluster, **{"DBClusterIdentifier": "lab-aurora", **params}) == (code, status)
    databases.advance(LONG)
    found = rds.describe_db_clusters()["DBClusters"]
    writers = [m["DBInstanceIdentifier"] for one in found for m in one["DBClusterMembers"] if m["IsClusterWriter"]]
    assert sorted(writers) == ["lab-aurora-1", "other-1"]


def test_a_stopped_cluster_cannot_fail_over(databases: Emulator, rds: Any) -> None:
    rds.stop_db_cluster(DBClusterIdentifier="lab-aurora")
    assert cluster(rds)[0] == "stopping"
    databases.advance(LONG)
    assert cluster(rds)[0] == "stopped"
    assert refused(rds.failover_db_cluster, DBClusterIdentifier="lab-aurora")[0] == "InvalidDBClusterStateFault"
    assert refused(rds.stop_db_cluster, DBClusterIdentifier="lab-aurora")[0] == "InvalidDBClusterStateFault"
    rds.start_db_cluster(DBClusterIdentifier="lab-aurora")
    assert cluster(rds)[0] == "starting"
    databases.advance(LONG)
    assert cluster(rds) == ("available", ["lab-aurora-1"])


def test_a_cluster_without_an_available_reader_cannot_fail_over(rds: Any) -> None:
    for number in (2, 3):
        rds.reboot_db_instance(DBInstanceIdentifier=f"lab-aurora-{number}")
    assert refused(rds.failover_db_cluster, DBClusterIdentifier="lab-aurora")[0] == "InvalidDBClusterStateFault"
    target = {"DBClusterIdentifier": "lab-aurora", "TargetDBInstanceIdentifier": "lab-aurora-2"}
    assert refused(rds.failover_db_cluster, **target)[0] == "InvalidDBInstanceState"


@pytest.mark.parametrize(
    ("fault", "writer", "told"),
    [
        ("aws.failover-abandoned", "lab-aurora-1", "Abandoning user requested failover"),
        ("aws.failover-fails", "lab-aurora-1", "Cluster failover failed"),
        ("aws.failover-reverts", "lab-aurora-1", "Promoting previous primary again: lab-aurora-1."),
    ],
)
def test_an_accepted_failover_may_come_to_nothing(databases: Emulator, rds: Any, fault: str, writer: str, told: str) -> None:
    databases.fault(fault, resource="lab-aurora")
    rds.failover_db_cluster(DBClusterIdentifier="lab-aurora")
    databases.advance(LONG)
    assert cluster(rds) == ("available", [writer])
    assert events(rds, "db-cluster", "lab-aurora")[-1].startswith(told)


def test_a_failover_may_never_end_until_the_fault_is_cleared(databases: Emulator, rds: Any) -> None:
    databases.fault("aws.failover-stuck", resource="lab-aurora")
    rds.failover_db_cluster(DBClusterIdentifier="lab-aurora")
    databases.advance(3600)
    assert cluster(rds) == ("failing-over", ["lab-aurora-1"])
    databases.clear_faults()
    databases.advance(LONG)
    assert cluster(rds) == ("available", ["lab-aurora-2"])


def test_a_multi_az_instance_changes_to_its_standby_and_shows_it_later(databases: Emulator, rds: Any) -> None:
    rds.reboot_db_instance(DBInstanceIdentifier="lab-db", ForceFailover=True)
    assert zones(rds, "lab-db") == ("rebooting", "us-east-1a", "us-east-1b")
    assert refused(rds.reboot_db_instance, DBInstanceIdentifier="lab-db")[0] == "InvalidDBInstanceState"
    databases.advance(2.0)
    assert zones(rds, "lab-db") == ("available", "us-east-1a", "us-east-1b")
    databases.advance(1.0)
    assert zones(rds, "lab-db") == ("available", "us-east-1b", "us-east-1a")
    assert events(rds, "db-instance", "lab-db", Duration=5) == [
        "Multi-AZ instance failover started.",
        "Multi-AZ instance failover completed",
        "Multi-AZ failover to standby complete - DNS propagation may take a few minutes.",
        "DB instance restarted",
    ]


def test_a_second_failover_of_an_instance_is_abandoned_for_a_while(databases: Emulator, rds: Any) -> None:
    rds.reboot_db_instance(DBInstanceIdentifier="lab-db", ForceFailover=True)
    databases.advance(10)
    answer = rds.reboot_db_instance(DBInstanceIdentifier="lab-db", ForceFailover=True)
    assert answer["DBInstance"]["DBInstanceStatus"] == "available"
    assert events(rds, "db-instance", "lab-db", Duration=5)[-1].startswith("Abandoning user requested failover")
    databases.advance(LONG)
    assert zones(rds, "lab-db") == ("available", "us-east-1b", "us-east-1a")
    rds.reboot_db_instance(DBInstanceIdentifier="lab-db", ForceFailover=True)
    databases.advance(LONG)
    assert zones(rds, "lab-db") == ("available", "us-east-1a", "us-east-1b")


@pytest.mark.parametrize("name", ["lab-db-single", "lab-aurora-1", "lab-db-replica"])
def test_a_single_az_instance_has_nothing_to_fail_over_to(rds: Any, name: str) -> None:
    code, _ = refused(rds.reboot_db_instance, DBInstanceIdentifier=name, ForceFailover=True)
    assert code == "InvalidParameterCombination"
    assert instance(rds, name)["DBInstanceStatus"] == "available"


def test_a_plain_reboot_takes_time_and_moves_nothing(databases: Emulator, rds: Any) -> None:
    rds.reboot_db_instance(DBInstanceIdentifier="lab-db-single")
    assert instance(rds, "lab-db-single")["DBInstanceStatus"] == "rebooting"
    databases.advance(LONG)
    assert zones(rds, "lab-db-single") == ("available", "us-east-1a", "")
    assert events(rds, "db-instance", "lab-db-single", Duration=5) == ["DB instance restarted"]


def test_a_change_waits_or_takes_time_and_takes_all_that_waited(databases: Emulator, rds: Any) -> None:
    rds.modify_db_instance(DBInstanceIdentifier="lab-db", EngineVersion="15.6")
    found = instance(rds, "lab-db")
    assert (found["EngineVersion"], found["PendingModifiedValues"]) == ("15.4", {"EngineVersion": "15.6"})
    databases.advance(3600)
    assert instance(rds, "lab-db")["EngineVersion"] == "15.4"
    rds.modify_db_instance(DBInstanceIdentifier="lab-db", DBInstanceClass="db.m6g.xlarge", ApplyImmediately=True)
    found = instance(rds, "lab-db")
    assert found["DBInstanceStatus"] == "available"
    assert found["PendingModifiedValues"] == {"EngineVersion": "15.6", "DBInstanceClass": "db.m6g.xlarge"}
    databases.advance(2)
    assert instance(rds, "lab-db")["DBInstanceStatus"] == "modifying"
    again = {"DBInstanceIdentifier": "lab-db", "DBInstanceClass": "db.m6g.large"}
    assert refused(rds.modify_db_instance, **again)[0] == "InvalidDBInstanceState"
    databases.advance(LONG)
    found = instance(rds, "lab-db")
    assert (found["DBInstanceStatus"], found["DBInstanceClass"], found["EngineVersion"]) == (
        "available",
        "db.m6g.xlarge",
        "15.6",
    )
    assert not found.get("PendingModifiedValues")


def test_a_change_of_nothing_is_refused(rds: Any) -> None:
    asked = {"DBInstanceIdentifier": "lab-db", "ApplyImmediately": True}
    assert refused(rds.modify_db_instance, **asked) == ("InvalidParameterCombination", 400)


def test_a_change_that_takes_no_time_is_made(rds: Any) -> None:
    rds.modify_db_instance(DBInstanceIdentifier="lab-db", BackupRetentionPeriod=9)
    assert instance(rds, "lab-db")["BackupRetentionPeriod"] == 9


def test_a_replica_has_a_name_of_its_own_and_can_be_promoted_once(rds: Any) -> None:
    wanted = {"DBInstanceIdentifier": "lab-db-replica", "SourceDBInstanceIdentifier": "lab-db"}
    assert refused(rds.create_db_instance_read_replica, **wanted)[0] == "DBInstanceAlreadyExists"
    assert instance(rds, "lab-db")["ReadReplicaDBInstanceIdentifiers"] == ["lab-db-replica"]
    rds.promote_read_replica(DBInstanceIdentifier="lab-db-replica")
    assert "ReadReplicaSourceDBInstanceIdentifier" not in instance(rds, "lab-db-replica")
    assert instance(rds, "lab-db")["ReadReplicaDBInstanceIdentifiers"] == []
    assert refused(rds.promote_read_replica, DBInstanceIdentifier="lab-db-replica")[0] == "InvalidDBInstanceState"


def test_events_are_asked_for_by_source_category_and_time(databases: Emulator, rds: Any) -> None:
    rds.failover_db_cluster(DBClusterIdentifier="lab-aurora")
    databases.advance(LONG)
    assert len(rds.describe_events(EventCategories=["failover"])["Events"]) == 2
    assert refused(rds.describe_events, SourceIdentifier="lab-aurora")[0] == "InvalidParameterCombination"
    databases.advance(3600)
    assert events(rds, "db-cluster", "lab-aurora") == []
    assert len(events(rds, "db-cluster", "lab-aurora", Duration=120)) == 2
    now = databases.now()
    assert len(events(rds, "db-cluster", "lab-aurora", StartTime=now.replace(year=now.year - 1))) == 2
    both = {"StartTime": now, "Duration": 5}
    assert refused(rds.describe_events, **both)[0] == "InvalidParameterCombination"
    databases.advance(15 * 86400)
    assert events(rds, "db-cluster", "lab-aurora", Duration=20160) == []


def test_events_come_in_pages(databases: Emulator, rds: Any) -> None:
    for _ in range(12):
        rds.failover_db_cluster(DBClusterIdentifier="lab-aurora")
        databases.advance(30)
    first = rds.describe_events(SourceType="db-cluster", MaxRecords=20)
    assert (len(first["Events"]), bool(first["Marker"])) == (20, True)
    rest = rds.describe_events(SourceType="db-cluster", MaxRecords=20, Marker=first["Marker"])
    assert len(rest["Events"]) == 4


def test_readers_have_a_lag_and_writers_have_none(databases: Emulator) -> None:
    def lag(name: str) -> list[float]:
        return measured(databases, "AWS/RDS", "AuroraReplicaLag", DBInstanceIdentifier=name)

    assert set(lag("lab-aurora-2")) == {20.0}
    assert lag("lab-aurora-1") == lag("lab-db") == lag("nobody") == []
    databases.fault("aws.lag", resource="lab-aurora-2", value="12.5")
    databases.fault("aws.lag", resource="lab-aurora-3", value="unknown")
    assert set(lag("lab-aurora-2")) == {12500.0}
    assert lag("lab-aurora-3") == []
    assert set(measured(databases, "AWS/RDS", "ReplicaLag", DBInstanceIdentifier="lab-db-replica")) == {0.5}


def test_statistics_know_the_lag_too(databases: Emulator) -> None:
    now = databases.now()
    answer = databases.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/RDS",
        MetricName="AuroraReplicaLag",
        Dimensions=[{"Name": "DBInstanceIdentifier", "Value": "lab-aurora-2"}],
        StartTime=now.replace(hour=0, minute=0),
        EndTime=now.replace(hour=0, minute=5),
        Period=60,
        Statistics=["Average", "Maximum"],
    )
    assert {(point["Average"], point["Maximum"]) for point in answer["Datapoints"]} == {(20.0, 20.0)}


def test_pending_maintenance_is_none_unless_a_fault_plans_some(databases: Emulator, rds: Any) -> None:
    arn = instance(rds, "lab-db")["DBInstanceArn"]
    assert rds.describe_pending_maintenance_actions(ResourceIdentifier=arn)["PendingMaintenanceActions"] == []
    databases.fault("aws.maintenance", resource="lab-db")
    (found,) = rds.describe_pending_maintenance_actions(ResourceIdentifier=arn)["PendingMaintenanceActions"]
    assert found["PendingMaintenanceActionDetails"][0]["Action"] == "system-update"
