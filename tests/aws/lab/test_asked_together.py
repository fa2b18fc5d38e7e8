"""What is asked of several names in one request says of each what asking for it alone says."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from crashcart.transports.aws import AwsConnector
from crashcart.transports.aws_together import MANY, Many
from crashcart.transports.base import ApiCall
from tests.emulator import Emulator

NAMES = {
    ("DescribeDBClusters", "DBClusterIdentifier"): ["lab-aurora"],
    ("DescribeDBInstances", "DBInstanceIdentifier"): ["lab-db", "LAB-DB-single", "lab-aurora-1"],
    ("DescribeDBInstances", "DBClusterIdentifier"): ["lab-aurora"],
    ("DescribeAutoScalingGroups", "AutoScalingGroupName"): ["lab-asg"],
    ("DescribeEvents", "SourceIdentifier"): ["lab-aurora", "Lab-Other"],
}
BESIDE: dict[str, dict[str, Any]] = {"DescribeEvents": {"SourceType": "db-cluster", "Duration": 60}}


@pytest.fixture
def full(emulator: Emulator) -> Emulator:
    emulator.reset("databases", "compute")
    return emulator


@pytest.mark.parametrize("kind", MANY, ids=lambda kind: f"{kind.operation}-{kind.named}")
def test_each_part_is_what_asking_for_it_alone_says(full: Emulator, kind: Many) -> None:
    names, beside = NAMES[kind.operation, kind.named], BESIDE.get(kind.operation, {})
    fail_over_two_clusters(full)
    connector = AwsConnector()
    transport = connector(full.target("rds_cluster", "lab-aurora"))
    together = transport.read(kind.call([*names, "not-there"], beside))
    for name in names:
        part = kind.part(together, name)
        assert part
        assert part[kind.listed]
        assert steady(part, kind) == steady(transport.read(kind.call([name], beside)), kind)
    absent = kind.part(together, "not-there")
    assert absent == ({kind.listed: []} if kind.may_be_empty else None)
    connector.close()


def fail_over_two_clusters(emulator: Emulator) -> None:
    """Let there be events of two clusters."""
    databases, engine = emulator.client("rds"), {"Engine": "aurora-mysql"}
    databases.create_db_cluster(DBClusterIdentifier="lab-other", **engine, MasterUsername="u", MasterUserPassword="password")
    for number in (1, 2):
        member = {"DBInstanceIdentifier": f"lab-other-{number}", "DBInstanceClass": "db.r6g.large"}
        databases.create_db_instance(DBClusterIdentifier="lab-other", **member, **engine)
    emulator.advance(60)
    for name in ("lab-aurora", "lab-other"):
        databases.failover_db_cluster(DBClusterIdentifier=name)
    emulator.advance(60)


def steady(answer: dict[str, Any], kind: Many) -> list[dict[str, Any]]:
    """What does not move with the clock."""
    return [{name: value for name, value in item.items() if name != "LatestRestorableTime"} for item in answer[kind.listed]]


def test_who_asks_while_the_first_answer_is_on_its_way_is_asked_for_together(full: Emulator) -> None:
    names = ["lab-db", "lab-db-single", "lab-db-replica", "lab-aurora-1", "lab-aurora-2", "lab-aurora-3"]
    connector = AwsConnector()
    full.fault("aws.slow", service="rds", action="DescribeDBInstances", seconds=1.0)
    full.forget_requests()

    def ask(name: str) -> str:
        transport = connector(full.target("rds_instance", name))
        answer = transport.read(ApiCall("rds", "DescribeDBInstances", {"DBInstanceIdentifier": name}))
        (found,) = answer["DBInstances"]
        return str(found["DBInstanceIdentifier"])

    with ThreadPoolExecutor(len(names)) as pool:
        assert list(pool.map(ask, names)) == names
    assert len(full.requests("DescribeDBInstances")) < len(names)
    connector.close()
