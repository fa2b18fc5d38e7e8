"""What is asked of AWS for each fact, and what becomes of answers that do not come. tests/cases has the parsing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator

from crashcart.errors import AccessDenied, Cancelled, CrashcartError, FactUnreadable, NoSuchResource, Throttled
from crashcart.facts import rds, rds_dns, rds_lag
from crashcart.facts.rds import ENDPOINT, EVENTS, LAG, MAINTENANCE, Cluster, Database, Instance, Member
from crashcart.facts.rds_events import Event, EventKind, Recent
from crashcart.facts.rds_status import Standing, cluster_standing, instance_standing
from crashcart.transports.base import ApiCall

Answer = dict[str, Any] | Exception | Callable[[ApiCall], dict[str, Any]]

CLUSTERS = {
    "DBClusters": [
        {
            "DBClusterIdentifier": "orders",
            "Status": "available",
            "Engine": "aurora-mysql",
            "DBClusterArn": "arn:aws:rds:us-east-1:123456789012:cluster:orders",
            "Endpoint": "orders.cluster",
            "DBClusterMembers": [
                {"DBInstanceIdentifier": "orders-1", "IsClusterWriter": True, "PromotionTier": 0},
                {"DBInstanceIdentifier": "orders-2", "IsClusterWriter": False, "PromotionTier": 1},
            ],
        }
    ]
}


def instance(name: str, **more: Any) -> dict[str, Any]:
    plain = {"DBInstanceStatus": "available", "DBInstanceClass": "db.r6g.large", "Engine": "aurora-mysql", "MultiAZ": False}
    return {"DBInstanceIdentifier": name, "Endpoint": {"Address": f"{name}.host"}, **plain, **more}


MEMBERS = {
    "DBInstances": [instance("orders-1", DBClusterIdentifier="orders"), instance("orders-2", DBClusterIdentifier="orders")]
}
BILLING = {"DBInstances": [instance("billing", MultiAZ=True, DBInstanceArn="arn:aws:rds:us-east-1:123456789012:db:billing")]}


class Cloud:
    """Gives prepared answers by operation; every request is checked against botocore's own model."""

    def __init__(self, resource: str = "orders", /, **answers: Answer) -> None:
        self.resource, self.region, self.is_emulated = resource, "us-east-1", False
        self.answers: Mapping[str, Answer] = {"DescribeDBClusters": CLUSTERS, "DescribeDBInstances": MEMBERS, **answers}
        self.asked: list[ApiCall] = []

    def read(self, call: ApiCall) -> dict[str, Any]:
        self.asked.append(call)
        validate(call)
        answer = self.answers[call.operation]
        if isinstance(answer, Exception):
            raise answer
        return answer(call) if callable(answer) else answer

    def write(self, call: ApiCall) -> dict[str, Any]:
        raise AssertionError("a fact changes nothing")

    def cancel(self) -> None:
        pass

    def close(self) -> None:
        pass


class NamedCloud(Cloud):
    """One that can resolve names, too."""

    names: Mapping[str, frozenset[str]] = {}

    def resolve(self, host: str) -> frozenset[str]:
        if host not in self.names:
            raise CrashcartError(f"{host} does not resolve")
        return self.names[host]


MODELS = botocore.session.get_session()


def validate(call: ApiCall) -> None:
    shape = MODELS.get_service_model(call.service).operation_model(call.operation).input_shape
    report = ParamValidator().validate(call.params, shape)
    assert not report.has_errors(), report.generate_report()


def absent(code: str = "DBClusterNotFoundFault", hint: str = "") -> NoSuchResource:
    return NoSuchResource(f"{code}: not found", action="rds:DescribeDBClusters", code=code, hint=hint)


ELSEWHERE = "arn:aws:rds:eu-west-1:123456789012:cluster:orders"


def operations(cloud: Cloud) -> list[str]:
    return [call.operation for call in cloud.asked]


def test_a_cluster_is_described_in_two_calls() -> None:
    cloud = Cloud()
    seen = rds.observe(cloud, rds.CLUSTER)
    assert operations(cloud) == ["DescribeDBClusters", "DescribeDBInstances"]
    assert cloud.asked[1].params == {"Filters": [{"Name": "db-cluster-id", "Values": ["orders"]}]}
    assert seen.cluster
    assert [(member.name, member.is_writer) for member in seen.cluster.members] == [("orders-1", True), ("orders-2", False)]


def test_an_instance_is_described_in_one_call() -> None:
    cloud = Cloud("billing", DescribeDBInstances=BILLING)
    assert rds.observe(cloud, rds.INSTANCE).instance
    assert operations(cloud) == ["DescribeDBInstances"]


def test_without_a_kind_an_instance_is_found_in_two_calls() -> None:
    cloud = Cloud("billing", DescribeDBClusters=absent(), DescribeDBInstances=BILLING)
    seen = rds.observe(cloud, "")
    assert seen.instance
    assert operations(cloud) == ["DescribeDBClusters", "DescribeDBInstances"]


def test_a_cluster_is_never_taken_for_an_instance_that_its_kind_names() -> None:
    cloud = Cloud("billing", DescribeDBClusters=absent(), DescribeDBInstances=BILLING)
    with pytest.raises(NoSuchResource) as raised:
        rds.observe(cloud, rds.CLUSTER)
    assert raised.value.hint == "billing is there, but as another kind: set kind to rds_instance"
    assert len(cloud.asked) == 2, "one more read than the one that failed"


@pytest.mark.parametrize(
    ("name", "kind", "hint"),
    [
        ("ordres", rds.CLUSTER, "us-east-1 has no 'ordres'; did you mean orders?"),
        ("billing", rds.CLUSTER, "us-east-1 has no 'billing'; is aws_region right?"),
        ("orders", rds.INSTANCE, "orders is there, but as another kind: set kind to rds_cluster"),
        ("orders-3", rds.INSTANCE, "us-east-1 has no 'orders-3'; did you mean orders-2 or orders-1?"),
        (
            ELSEWHERE,
            rds.CLUSTER,
            f"{ELSEWHERE} lies in eu-west-1, and the calls go to us-east-1: set aws_region to eu-west-1",
        ),
    ],
)
def test_an_unknown_name_gets_the_nearest(name: str, kind: str, hint: str) -> None:
    def instances(call: ApiCall) -> dict[str, Any]:
        if call.params:
            raise absent("DBInstanceNotFound")
        return MEMBERS

    cloud = Cloud(name, DescribeDBClusters=absent(), DescribeDBInstances=instances)
    with pytest.raises(NoSuchResource) as raised:
        rds.observe(cloud, kind)
    assert raised.value.hint == hint


def test_where_names_cannot_be_listed_the_error_is_the_first_one() -> None:
    denied = AccessDenied("no", action="rds:DescribeDBInstances", code="AccessDenied")
    cloud = Cloud("ordres", DescribeDBClusters=absent(hint="are the name and the region right?"), DescribeDBInstances=denied)
    with pytest.raises(NoSuchResource) as raised:
        rds.observe(cloud, rds.CLUSTER)
    assert raised.value.hint == "are the name and the region right?"


EVENT = {
    "Message": "Completed failover to DB instance: orders-2",
    "Date": "2030-01-01T00:00:00Z",
    "SourceIdentifier": "orders",
}


def test_events_are_asked_of_the_cluster_and_its_writer() -> None:
    cloud = Cloud(DescribeEvents={"Events": [EVENT]})
    seen = rds.add(cloud, rds.observe(cloud, rds.CLUSTER), frozenset({EVENTS}), window=7200)
    asked = [call.params for call in cloud.asked if call.operation == "DescribeEvents"]
    assert asked == [
        {"SourceType": "db-cluster", "SourceIdentifier": "orders", "Duration": 121},
        {"SourceType": "db-instance", "SourceIdentifier": "orders-1", "Duration": 121},
    ]
    assert seen.recent
    assert seen.recent.events[0].kind is EventKind.COMPLETED


@pytest.mark.parametrize(("window", "minutes"), [(0.0, 61), (60.0, 61), (30 * 86400.0, 20160)])
def test_events_reach_an_hour_back_and_never_further_than_they_are_kept(window: float, minutes: int) -> None:
    cloud = Cloud("billing", DescribeDBInstances=BILLING, DescribeEvents={"Events": []})
    rds.add(cloud, rds.observe(cloud, rds.INSTANCE), frozenset({EVENTS}), window=window)
    assert cloud.asked[-1].params == {"SourceType": "db-instance", "SourceIdentifier": "billing", "Duration": minutes}


@pytest.mark.parametrize("error", [Throttled("slow down"), AccessDenied("no", action="a", code="c"), FactUnreadable("html")])
@pytest.mark.parametrize(
    ("look", "call", "field"),
    [
        (EVENTS, "DescribeEvents", "recent"),
        (LAG, "GetMetricData", "lag"),
        (MAINTENANCE, "DescribePendingMaintenanceActions", "maintenance"),
    ],
)
def test_a_dearer_fact_that_cannot_be_had_is_unknown(error: CrashcartError, look: str, call: str, field: str) -> None:
    cloud = Cloud(**{call: error})
    seen = rds.add(cloud, rds.observe(cloud, rds.CLUSTER), frozenset({look}))
    assert getattr(seen, field).unreadable == error.message


@pytest.mark.parametrize(
    ("look", "call"),
    [(EVENTS, "DescribeEvents"), (LAG, "GetMetricData"), (MAINTENANCE, "DescribePendingMaintenanceActions")],
)
def test_a_cancelled_look_is_no_answer(look: str, call: str) -> None:
    cloud = Cloud(**{call: Cancelled("ended")})
    seen = rds.observe(cloud, rds.CLUSTER)
    with pytest.raises(Cancelled):
        rds.add(cloud, seen, frozenset({look}))


def test_pending_maintenance_is_told_with_its_date() -> None:
    planned = {"Action": "system-update", "CurrentApplyDate": "2030-01-01T00:00:00Z", "Description": "New OS"}
    answer = {"PendingMaintenanceActions": [{"PendingMaintenanceActionDetails": [planned, {"Action": "db-upgrade"}]}]}
    cloud = Cloud(DescribePendingMaintenanceActions=answer)
    seen = rds.add(cloud, rds.observe(cloud, rds.CLUSTER), frozenset({MAINTENANCE}))
    assert seen.maintenance
    assert seen.maintenance.actions == ("system-update at 2030-01-01T00:00:00Z", "db-upgrade")
    assert cloud.asked[-1].params == {"ResourceIdentifier": "arn:aws:rds:us-east-1:123456789012:cluster:orders"}


@pytest.mark.parametrize(
    ("engine", "metric", "values", "seconds"),
    [
        ("aurora-mysql", "AuroraReplicaLag", [20.5, 9000.0], 0.0205),
        ("aurora-postgresql", "AuroraReplicaLag", [0.0], 0.0),
        ("postgres", "ReplicaLag", [3.0, 0.0], 3.0),
        ("mysql", "ReplicaLag", [], None),
    ],
)
def test_lag_is_the_newest_value_in_seconds(engine: str, metric: str, values: list[float], seconds: float | None) -> None:
    cloud = Cloud(GetMetricData={"MetricDataResults": [{"Id": "m0", "Values": values}]})
    lag = rds_lag.observe(cloud, engine, ["orders-2"])
    measured = cloud.asked[0].params["MetricDataQueries"][0]["MetricStat"]["Metric"]
    assert (measured["MetricName"], measured["Dimensions"][0]["Value"]) == (metric, "orders-2")
    assert lag.of("orders-2") == seconds


def test_lag_of_several_readers_takes_one_call_and_later_pages_are_older() -> None:
    results = [{"Id": "m1", "Values": [7.0]}, {"Id": "m0", "Values": [1.0]}, {"Id": "m1", "Values": [9.0]}]
    cloud = Cloud(GetMetricData={"MetricDataResults": results})
    assert rds_lag.observe(cloud, "postgres", ["a", "b", "c"]).seconds == {"a": 1.0, "b": 7.0}
    assert len(cloud.asked) == 1


def test_nobody_is_asked_for_the_lag_of_no_readers() -> None:
    cloud = Cloud()
    assert rds_lag.observe(cloud, "postgres", []) == rds_lag.Lag()
    assert not cloud.asked


HOSTS = {"orders-1": "orders-1.host", "orders-2": "orders-2.host"}


def test_an_endpoint_leads_to_the_member_whose_address_it_has() -> None:
    cloud = NamedCloud()
    cloud.names = {
        "orders.cluster": frozenset({"10.0.0.2"}),
        "orders-1.host": frozenset({"10.0.0.1"}),
        "orders-2.host": frozenset({"10.0.0.2", "fd00::2"}),
    }
    seen = rds.add(cloud, rds.observe(cloud, rds.CLUSTER), frozenset({ENDPOINT}))
    assert seen.endpoint == rds_dns.Whereabouts(("orders-2",))


def test_a_name_that_does_not_resolve_is_not_elsewhere() -> None:
    where = rds_dns.observe(NamedCloud(), "orders.cluster", HOSTS)
    assert where == rds_dns.Whereabouts(unasked="orders.cluster does not resolve")


def test_names_are_not_asked_of_an_emulator_nor_where_nobody_can() -> None:
    emulated = NamedCloud()
    emulated.is_emulated = True
    assert rds_dns.observe(emulated, "orders.cluster", HOSTS).unasked
    assert rds_dns.observe(Cloud(), "orders.cluster", HOSTS).unasked


@pytest.mark.parametrize(
    ("status", "instance_is", "cluster_is"),
    [
        ("available", Standing.SERVING, Standing.SERVING),
        ("storage-full", Standing.DOWN, Standing.UNKNOWN),
        ("failing-over", Standing.UNKNOWN, Standing.MOVING),
        ("rebooting", Standing.MOVING, Standing.UNKNOWN),
        ("stopped", Standing.DOWN, Standing.DOWN),
        ("", Standing.UNKNOWN, Standing.UNKNOWN),
        ("Available", Standing.UNKNOWN, Standing.UNKNOWN),
    ],
)
def test_a_status_that_is_not_listed_is_unknown(status: str, instance_is: Standing, cluster_is: Standing) -> None:
    assert (instance_standing(status), cluster_standing(status)) == (instance_is, cluster_is)


def listed_instance(arn: str, cluster: str) -> Instance:
    return Instance("orders-2", "available", "aurora-mysql", "db.r6g.large", False, cluster=cluster, arn=arn)


def events(*moments: float) -> tuple[Event, ...]:
    return tuple(Event(at, EventKind.COMPLETED, "Completed failover to DB instance: orders-2") for at in moments)


def test_events_count_from_a_moment_that_is_known() -> None:
    recent = Recent(100.0, events(10.0, 20.0, 30.0))
    assert recent.newest == 30.0
    assert [event.at for event in recent.after(20.0)] == [30.0]
    assert recent.after(None) == ()
    assert [event.at for event in recent.within(75.0)] == [30.0]


def test_no_events_and_unreadable_events_are_two_things() -> None:
    assert Recent(100.0).newest == 0.0
    assert Recent(100.0, unreadable="denied").newest is None


def test_two_writers_are_no_writer() -> None:
    members = (Member("a", True, "available", "x"), Member("b", True, "available", "x"))
    cluster = Cluster("orders", "available", "aurora-mysql", members)
    assert cluster.writer is None
    assert len(cluster.writers) == 2
    assert Database(cluster=cluster).name == "orders"


@pytest.mark.parametrize(
    ("database", "arn"),
    [
        (Database(cluster=Cluster("orders", "available", "mysql", (), arn="arn:aws:rds:x:1:cluster:orders")), "orders"),
        (Database(instance=listed_instance("arn:aws:rds:x:1:db:orders-2", "orders")), "orders"),
        (Database(instance=listed_instance("arn:aws:rds:x:1:db:alone", "")), ""),
        (Database(instance=listed_instance("", "orders")), ""),
    ],
    ids=["a cluster", "its member", "an instance", "a member whose ARN is not told"],
)
def test_a_member_belongs_to_its_cluster(database: Database, arn: str) -> None:
    assert database.cluster_arn == (arn and f"arn:aws:rds:x:1:cluster:{arn}")
