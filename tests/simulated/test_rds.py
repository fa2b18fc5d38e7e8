"""``rds.failover`` as a whole: at most one failover whatever becomes of answers, and none where none is needed."""

from __future__ import annotations

import re
import threading
from queue import SimpleQueue
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crashcart.clock import FakeClock
from crashcart.facts.rds import Cluster, Member
from crashcart.facts.rds_lag import Lag
from crashcart.operations.base import Action
from crashcart.operations.rds import FailOver
from crashcart.operations.rds_evidence import gather
from crashcart.operations.rds_wish import FailoverWish, choose
from crashcart.results import Outcome, Verdict
from crashcart.transports.base import ApiCall
from crashcart.values import decode
from tests.simulated.simulated_rds import FakeCloud, FakeRds, Pace, result_of, run
from tests.unit.operations.simulated_unit import Journal, Killed

FORCE: dict[str, object] = {"force": True}
TO: dict[str, object] = {"force": True, "to": "orders-3"}

kinds = pytest.mark.parametrize("kind", ["rds_cluster", "rds_instance"])


def cluster(pace: Pace | None = None) -> FakeRds:
    return FakeRds(FakeClock(), pace=pace)


def sick(pace: Pace | None = None) -> FakeRds:
    """A cluster whose writer is down."""
    rds = cluster(pace)
    rds.members["orders-1"] = "storage-full"
    return rds


def operations(calls: list[ApiCall]) -> list[str]:
    return [call.operation for call in calls]


# -- the first run, the second, and check mode


def test_a_cluster_fails_over_to_the_named_reader_and_the_second_run_changes_nothing() -> None:
    cloud = FakeCloud(cluster())
    first = result_of(cloud, TO)
    assert (first.outcome, first.verdict, cloud.rds.writer, cloud.rds.failovers) == (
        Outcome.CHANGED,
        Verdict.HEALTHY,
        "orders-3",
        1,
    ), first
    assert "RDS says" in first.message
    assert cloud.writes[0].params == {"DBClusterIdentifier": "orders", "TargetDBInstanceIdentifier": "orders-3"}
    again = FakeCloud(cloud.rds)
    second = result_of(again, TO)
    assert (second.outcome, second.changes, len(again.writes)) == (Outcome.OK, (), 0)
    assert operations(again.reads) == ["DescribeDBClusters", "DescribeDBInstances"], "a no-op is two reads"


def test_a_sick_writer_is_left_and_the_second_run_says_that_it_just_failed_over() -> None:
    cloud = FakeCloud(sick())
    first = result_of(cloud, {})
    assert (first.outcome, first.verdict, cloud.rds.writer) == (Outcome.CHANGED, Verdict.DEGRADED, "orders-2"), first
    second = result_of(cloud, {})
    assert (second.outcome, len(cloud.writes)) == (Outcome.OK, 1)
    assert "has just failed over" in second.message


@kinds
def test_force_is_not_repeated_within_the_cooldown(kind: str) -> None:
    cloud = FakeCloud(FakeRds(FakeClock(), kind))
    assert result_of(cloud, FORCE).outcome is Outcome.CHANGED
    second = result_of(cloud, FORCE)
    assert (second.outcome, second.hint) == (Outcome.REFUSED, "--cooldown 0s fails over all the same")
    assert (len(cloud.writes), cloud.rds.failovers) == (1, 1)


@kinds
def test_check_mode_sends_nothing_and_says_what_it_would(kind: str) -> None:
    cloud = FakeCloud(FakeRds(FakeClock(), kind))
    would = run(cloud, FORCE, may_act=False)
    assert isinstance(would, Action)
    assert would.summary.startswith(f"fail over {cloud.rds.name}")
    assert (cloud.writes, would.budget) == ([], "failover")
    assert would.disturbs is (kind == "rds_instance")


@pytest.mark.parametrize(
    ("kind", "wish", "reads"), [("rds_cluster", {}, 3), ("rds_cluster", {"to": "orders-2"}, 2), ("rds_instance", {}, 2)]
)
def test_what_works_is_left_alone(kind: str, wish: dict[str, object], reads: int) -> None:
    cloud = FakeCloud(FakeRds(FakeClock(), kind))
    result = result_of(cloud, wish)
    assert (result.outcome, result.hint) == (Outcome.REFUSED, "--force fails over all the same")
    assert (cloud.writes, len(cloud.reads)) == ([], reads)


def test_an_instance_fails_over_long_before_rds_shows_its_zone() -> None:
    cloud = FakeCloud(FakeRds(FakeClock(), "rds_instance"))
    result = result_of(cloud, FORCE)
    assert (result.outcome, cloud.rds.zone) == (Outcome.CHANGED, "us-east-1a")
    assert "Multi-AZ instance failover completed" in result.message
    assert cloud.writes[0].params == {"DBInstanceIdentifier": "billing", "ForceFailover": True}


def test_the_second_run_on_an_instance_is_done_too() -> None:
    cloud = FakeCloud(FakeRds(FakeClock(), "rds_instance"))
    result_of(cloud, FORCE)
    assert result_of(cloud, {}).outcome is Outcome.OK
    assert len(cloud.writes) == 1


# -- faults


@kinds
@pytest.mark.parametrize(("lose", "writes"), [("before", 2), ("after", 1)])
@pytest.mark.parametrize("lingers", [0.0, 2.0, 12.0])
def test_a_lost_answer_leads_to_one_failover(kind: str, lose: str, writes: int, lingers: float) -> None:
    cloud = FakeCloud(FakeRds(FakeClock(), kind, Pace(lingers=lingers)), lose=lose)
    result = result_of(cloud, FORCE)
    assert (result.outcome, cloud.rds.failovers, len(cloud.writes)) == (Outcome.CHANGED, 1, writes), result


def test_an_answer_that_is_lost_and_an_effect_later_than_the_settle_window_go_to_the_same_reader() -> None:
    """The second call meets a failover that is under way, or one that is done; it can never lead back."""
    for lingers in (19.0, 25.0, 40.0):
        cloud = FakeCloud(cluster(Pace(lingers=lingers)), lose="after")
        result = result_of(cloud, FORCE)
        assert cloud.rds.writer == "orders-2", result
        assert {call.params["TargetDBInstanceIdentifier"] for call in cloud.writes} == {"orders-2"}


@kinds
def test_throttling_delays_the_failover_and_repeats_nothing(kind: str) -> None:
    cloud = FakeCloud(FakeRds(FakeClock(), kind), throttles=2)
    assert result_of(cloud, FORCE).outcome is Outcome.CHANGED
    assert (cloud.rds.failovers, len(cloud.writes)) == (1, 3)


@kinds
def test_stale_answers_after_the_act_are_waited_for(kind: str) -> None:
    cloud = FakeCloud(FakeRds(FakeClock(), kind), stale=45.0)
    assert result_of(cloud, FORCE).outcome is Outcome.CHANGED
    assert (cloud.rds.failovers, len(cloud.writes)) == (1, 1)


@kinds
def test_stale_answers_after_a_lost_one_lead_to_one_failover(kind: str) -> None:
    cloud = FakeCloud(FakeRds(FakeClock(), kind), stale=15.0, lose="after")
    result = result_of(cloud, FORCE)
    assert (result.outcome, cloud.rds.failovers) == (Outcome.CHANGED, 1), result


@kinds
def test_a_failover_that_is_under_way_is_waited_for_and_none_is_added(kind: str) -> None:
    rds = FakeRds(FakeClock(), kind, Pace(lingers=0.0))
    rds.fail_over()
    cloud = FakeCloud(rds)
    result = result_of(cloud, FORCE)
    assert (result.outcome, cloud.writes, rds.failovers) == (Outcome.OK, [], 1), result


@kinds
def test_somebody_else_fails_it_over_between_look_and_act(kind: str) -> None:
    cloud = FakeCloud(FakeRds(FakeClock(), kind))

    def others(call: ApiCall) -> None:
        if call.operation in {"FailoverDBCluster", "RebootDBInstance"} and not cloud.rds.failovers:
            cloud.rds.fail_over()
            cloud.rds.clock.wait(SimpleQueue[None](), 5.0, busy=False)

    cloud.interfere = others
    result = result_of(cloud, FORCE)
    assert (result.outcome, cloud.rds.failovers) == (Outcome.OK, 1), result
    assert "not by this run" in result.message


@pytest.mark.parametrize(
    ("ends", "outcome", "says"),
    [
        ("abandoned", Outcome.FAILED, "RDS accepted the failover and abandoned it"),
        ("reverted", Outcome.FAILED, "the failover was rolled back"),
        ("never", Outcome.FAILED, "still not there after 600 s: orders is failing over"),
        ("nothing", Outcome.FAILED, "RDS accepted the failover of orders, and orders-1 is still the writer"),
    ],
)
def test_an_accepted_call_that_leads_to_nothing_is_not_repeated(ends: str, outcome: Outcome, says: str) -> None:
    cloud = FakeCloud(cluster(Pace(ends=ends)))
    result = result_of(cloud, FORCE)
    assert (result.outcome, len(cloud.writes)) == (outcome, 1)
    assert says in result.message


@pytest.mark.parametrize(
    ("ends", "outcome", "says"),
    [
        ("abandoned", Outcome.FAILED, "abandoned it"),
        ("never", Outcome.FAILED, "billing is rebooting"),
        ("nothing", Outcome.UNKNOWN, "no event says that it took place"),
    ],
)
def test_an_instance_that_shows_nothing_is_unknown(ends: str, outcome: Outcome, says: str) -> None:
    cloud = FakeCloud(FakeRds(FakeClock(), "rds_instance", Pace(ends=ends)))
    result = result_of(cloud, FORCE)
    assert (result.outcome, len(cloud.writes)) == (outcome, 1)
    assert says in result.message


def test_nothing_to_fail_over_to() -> None:
    rds = sick()
    rds.members = {"orders-1": "storage-full"}
    cloud = FakeCloud(rds)
    result = result_of(cloud, FORCE)
    assert (result.outcome, cloud.writes) == (Outcome.REFUSED, [])
    assert "create-db-instance" in result.hint


@kinds
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_every_call_and_resumed_fails_over_once(kind: str, when: str) -> None:
    """The crash sweep, with --force: the wish that would fail over again if anything were forgotten."""
    whole = FakeCloud(FakeRds(FakeClock(), kind))
    result_of(whole, FORCE)
    for number in range(whole.calls):
        journal, cloud = Journal(), FakeCloud(FakeRds(FakeClock(), kind), die_at=(number, when))
        try:
            run(cloud, FORCE, journal=journal)
        except Killed:
            resumed = result_of(FakeCloud(cloud.rds), FORCE, journal=journal)
            assert (resumed.outcome, cloud.rds.failovers) == (Outcome.CHANGED, 1), f"killed {when} call {number}: {resumed}"
        assert cloud.rds.failovers == 1


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(["rds_cluster", "rds_instance"]),
    pace=st.builds(
        Pace,
        lingers=st.floats(0, 15),
        moves=st.floats(0, 30),
        over=st.floats(30, 90),
        zone_lags=st.floats(0, 300),
    ),
    lose=st.sampled_from(["", "before", "after"]),
    throttles=st.integers(0, 1),
    stale=st.floats(0, 4),
)
def test_whatever_the_pace_and_the_faults_it_fails_over_once(
    kind: str, pace: Pace, lose: str, throttles: int, stale: float
) -> None:
    cloud = FakeCloud(FakeRds(FakeClock(), kind, pace), lose=lose, throttles=throttles, stale=stale)
    result = result_of(cloud, FORCE)
    assert (result.outcome, cloud.rds.failovers) == (Outcome.CHANGED, 1), result


# -- evidence, privileges, wishes


def test_evidence_holds_descriptions_events_parameters_and_lag() -> None:
    act = run(FakeCloud(cluster()), FORCE, may_act=False)
    assert isinstance(act, Action)
    kept = FailOver().gather(FakeCloud(cluster()), act, decode(FORCE, FailoverWish)).decode()
    for words in (
        "rds:DescribeDBClusters",
        "orders-3",
        "rds:DescribeEvents",
        "rds.force_ssl",
        "work_mem",
        "AuroraReplicaLag",
    ):
        assert words in kept, words


class Hanging(FakeCloud):
    """One whose events do not come until the test is over."""

    def __init__(self, rds: FakeRds) -> None:
        super().__init__(rds)
        self.released = threading.Event()

    def read(self, call: ApiCall) -> dict[str, Any]:
        if call.operation == "DescribeEvents":
            self.released.wait(30)
        return super().read(call)


def test_evidence_does_not_wait_for_who_is_late() -> None:
    cloud = Hanging(cluster())
    try:
        kept = gather(cloud, ApiCall("rds", "FailoverDBCluster", {"DBClusterIdentifier": "orders"}), within=0.1).decode()
    finally:
        cloud.released.set()
    assert "no answer in time" in kept
    assert "orders-3" in kept


def test_the_declared_calls_are_those_that_are_sent() -> None:
    sent: set[str] = set()
    for rds in (cluster(), FakeRds(FakeClock(), "rds_instance")):
        cloud = FakeCloud(rds)
        result_of(cloud, FORCE)
        sent |= {f"{call.service}:{call.operation}" for call in (*cloud.reads, *cloud.writes, *cloud.evidence)}
    assert sent == {call.action for call in FailOver.calls}


@pytest.mark.parametrize(
    ("wish", "says"),
    [
        ({"to": "orders 3"}, "to: expected the name of a DB instance such as db-2, got 'orders 3'"),
        ({"to": "-x"}, "to: expected the name of a DB instance"),
        ({"kind": "rds_clutser"}, "kind: expected rds_cluster or rds_instance, got 'rds_clutser'"),
        ({"cooldown": "soon"}, "expected a duration"),
        ({"max_lag": "-3s"}, "expected a duration"),
        ({"too": "x"}, "too"),
    ],
)
def test_a_wish_that_cannot_be_is_named(wish: dict[str, object], says: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=re.escape(says)):
        decode(wish, FailoverWish)


def test_a_named_member_that_is_none_is_refused_with_the_nearest() -> None:
    cloud = FakeCloud(cluster())
    result = result_of(cloud, {"to": "ordres-2", "force": True})
    assert result.outcome is Outcome.REFUSED
    assert result.hint.startswith("did you mean orders-2")
    assert cloud.writes == []


# -- the choice of the reader

members = st.builds(
    Member,
    name=st.from_regex(r"[a-z]{1,6}", fullmatch=True),
    is_writer=st.just(False),
    status=st.sampled_from(["available", "available", "rebooting", "storage-full"]),
    db_class=st.sampled_from(["db.r6g.large", "db.r6g.xlarge"]),
    tier=st.integers(0, 15),
)
WRITER = Member("writer", is_writer=True, status="available", db_class="db.r6g.large")


def rank(member: Member, lag: Lag) -> tuple[int, bool, float]:
    behind = lag.of(member.name)
    return member.tier, member.db_class != WRITER.db_class, float("inf") if behind is None else behind


@settings(max_examples=200, deadline=None)
@given(readers=st.lists(members, max_size=6, unique_by=lambda member: member.name), data=st.data())
def test_the_choice_is_the_best_available_reader_in_whatever_order_they_are_listed(
    readers: list[Member], data: st.DataObject
) -> None:
    seconds = st.dictionaries(st.sampled_from([reader.name for reader in readers] or ["none"]), st.floats(0, 100))
    lag = Lag(data.draw(seconds))
    chosen = choose(Cluster("orders", "available", "aurora-mysql", (WRITER, *readers)), lag)
    available = [reader for reader in readers if reader.status == "available"]
    assert (chosen is None) is (not available)
    if chosen:
        assert chosen.status == "available"
        assert all(rank(chosen, lag) <= rank(other, lag) for other in available)
    shuffled = data.draw(st.permutations(readers))
    assert choose(Cluster("orders", "available", "aurora-mysql", (*shuffled, WRITER)), lag) == chosen
