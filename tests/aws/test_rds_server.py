"""``rds.failover`` for real: engine, transport, boto3 and HTTP, against moto's server; requests are counted there."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from crashcart.clock import FakeClock
from crashcart.engine.guard import Unguarded
from crashcart.engine.headcount import Headcount
from crashcart.engine.rollout import Guarding
from crashcart.engine.run import Run
from crashcart.events import RunStarted, Stream
from crashcart.journal.folder import RunFolder
from crashcart.journal.owed import Marks
from crashcart.plan import Options, Plan, PlannedStep, TargetPlan
from crashcart.results import Mode, Outcome, Phase, TargetResult, Verdict
from crashcart.targets import Target
from crashcart.transports.aws import AwsConnector
from tests.aws.rds_server import KEYS, REGION, Answer, Fault, Server, lost_after, lost_before, running, throttled

TO = {"force": True, "to": "orders-3"}


@pytest.fixture(scope="module")
def shared() -> Iterator[Server]:
    with running() as server:
        yield server


@pytest.fixture
def server(shared: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Server:
    for name in [name for name in os.environ if name.startswith("AWS_") or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    shared.seed()
    return shared


class Control:
    """Runs the operation over one target with everything that a run has, and a clock that does not make anyone wait."""

    def __init__(self, folder: Path, server: Server, connect: AwsConnector) -> None:
        self.folder, self.server, self.connect = folder, server, connect

    def run(
        self,
        wish: dict[str, object],
        name: str = "orders",
        *,
        kind: str = "rds_cluster",
        mode: Mode = Mode.APPLY,
        deadline: float = 120.0,
        operation: str = "rds.failover",
    ) -> TargetResult:
        target = Target(name, kind, {"aws_region": REGION, "aws_endpoint_url": self.server.url, **KEYS})
        step = PlannedStep("failover", operation, Phase.STEP, {"kind": kind, **wish}, attempts=3, deadline=deadline)
        plan = Plan("recover.rds-failover", "Fail over", name, (TargetPlan(target, (step,)),))
        return self._execute(RunStarted(f"run{len(list(self.folder.iterdir()))}", "tester", plan, Options(mode=mode)))

    def _execute(self, first: RunStarted) -> TargetResult:
        clock = FakeClock()
        record = RunFolder.create(self.folder, first, clock)
        try:
            run = Run(
                first.plan,
                first.options,
                connect=self.connect,
                record=record,
                stream=Stream(record, []),
                clock=clock,
                guarding=Guarding(lambda ready: None, Headcount(first.plan, self.connect), Unguarded()),
                marks=Marks(self.folder / "owed", self.folder),
                run=first.run,
            )
            (result,) = run.execute().results
            return result
        finally:
            record.close()


@pytest.fixture(scope="module")
def connect() -> Iterator[AwsConnector]:
    made = AwsConnector(clock=FakeClock())
    yield made
    made.close()


@pytest.fixture
def control(server: Server, connect: AwsConnector, tmp_path: Path) -> Control:
    folder = tmp_path / "runs"
    folder.mkdir()
    return Control(folder, server, connect)


def test_first_run_fails_over_and_the_second_sends_no_write(control: Control, server: Server) -> None:
    first = control.run(TO)
    assert (first.outcome, first.verdict, server.writer) == (Outcome.CHANGED, Verdict.HEALTHY, "orders-3"), first
    assert server.front.writes == 1
    server.front.actions.clear()
    second = control.run(TO)
    assert (second.outcome, second.changed) == (Outcome.OK, False)
    assert server.front.actions == ["DescribeDBClusters", "DescribeDBInstances"]


def test_check_mode_sends_no_write(control: Control, server: Server) -> None:
    result = control.run(TO, mode=Mode.CHECK)
    assert (result.outcome, server.front.writes, server.writer) == (Outcome.WOULD_CHANGE, 0, "orders-1")
    assert "fail over orders to orders-3" in result.message


def test_evidence_is_kept_in_the_run(control: Control) -> None:
    result = control.run(TO)
    (evidence,) = result.steps[0].evidence
    kept = next(control.folder.rglob(Path(evidence.file).name)).read_text()
    assert "rds:DescribeDBClusters" in kept
    assert "AuroraReplicaLag" in kept


@pytest.mark.parametrize(("lose", "writes"), [(lost_before, 2), (lost_after, 1)])
def test_an_ambiguous_write_has_one_effect(control: Control, server: Server, lose: Fault, writes: int) -> None:
    server.front.faults["FailoverDBCluster"] = [lose]
    result = control.run(TO)
    assert (result.outcome, server.front.writes, server.writer) == (Outcome.CHANGED, writes, "orders-3"), result


def test_a_throttled_write_is_sent_again(control: Control, server: Server) -> None:
    server.front.faults["FailoverDBCluster"] = [throttled, throttled]
    assert control.run(TO).outcome is Outcome.CHANGED
    assert (server.front.writes, server.writer) == (3, "orders-3")


def test_stale_descriptions_after_the_act_are_waited_for(control: Control, server: Server) -> None:
    before: list[Answer] = []

    def remember(answer: Callable[[], Answer]) -> Answer:
        before.append(answer())
        return before[-1]

    def stale(answer: Callable[[], Answer]) -> Answer:
        return before[-1]

    # The survey's look, the batch's, and the evidence are true; the next ones are not.
    faults: list[Fault] = [remember, remember, remember, stale, stale, stale, stale, stale]
    server.front.faults["DescribeDBClusters"] = faults
    result = control.run(TO)
    assert (result.outcome, server.front.writes, server.writer) == (Outcome.CHANGED, 1, "orders-3"), result


def test_a_failover_that_is_under_way_is_waited_for(control: Control, server: Server) -> None:
    cluster = server.state.clusters["orders"]
    cluster.status = "failing-over"

    def end(answer: Callable[[], Answer]) -> Answer:
        cluster.status = "available"
        server.state.clusters["orders"].failover(server.state.databases["orders-2"])
        return answer()

    def plain(answer: Callable[[], Answer]) -> Answer:
        return answer()

    server.front.faults["DescribeDBClusters"] = [plain, plain, end]
    result = control.run({"force": True})
    assert (result.outcome, server.front.writes, server.writer) == (Outcome.OK, 0, "orders-2"), result


def test_nothing_to_fail_over_to(control: Control, server: Server) -> None:
    server.seed(members=1)
    result = control.run({"force": True})
    assert (result.outcome, server.front.writes) == (Outcome.REFUSED, 0)
    assert "no available reader" in result.message


def test_a_failover_that_never_completes_fails_at_the_deadline_and_is_not_repeated(control: Control, server: Server) -> None:
    def accept(answer: Callable[[], Answer]) -> Answer:
        status, content = answer()
        server.state.clusters["orders"].status = "failing-over"
        return status, content

    server.front.faults["FailoverDBCluster"] = [accept]
    result = control.run(TO, deadline=60.0)
    assert (result.outcome, server.front.writes) == (Outcome.FAILED, 1)
    assert "still not there after 60 s: orders is failing over" in result.message


def test_an_instance_that_shows_nothing_is_unknown(control: Control, server: Server) -> None:
    """moto accepts the reboot and does nothing, which is how AWS behaves when it abandons one without an event."""
    result = control.run({"force": True}, "billing", kind="rds_instance", deadline=60.0)
    assert (result.outcome, server.front.writes) == (Outcome.UNKNOWN, 1), result


def test_an_instance_in_another_zone_has_failed_over(control: Control, server: Server) -> None:
    def move(answer: Callable[[], Answer]) -> Answer:
        server.state.databases["billing"].availability_zone = "us-east-1b"
        return answer()

    server.front.faults["RebootDBInstance"] = [move]
    result = control.run({"force": True}, "billing", kind="rds_instance")
    assert (result.outcome, server.front.writes) == (Outcome.CHANGED, 1), result


@pytest.mark.parametrize(
    ("name", "kind", "outcome", "says"),
    [
        ("audit", "rds_instance", Outcome.REFUSED, "single-AZ"),
        ("orders-2", "rds_instance", Outcome.REFUSED, "a member of the cluster orders"),
        ("ordres", "rds_cluster", Outcome.FAILED, "DBClusterNotFoundFault"),
    ],
)
def test_what_cannot_be_failed_over(
    control: Control, server: Server, name: str, kind: str, outcome: Outcome, says: str
) -> None:
    result = control.run({"force": True}, name, kind=kind)
    assert (result.outcome, server.front.writes) == (outcome, 0)
    assert says in result.message
    assert name != "ordres" or result.hint == "us-east-1 has no 'ordres'; did you mean orders?"


def test_a_healthy_database_is_assessed_in_two_reads(control: Control, server: Server) -> None:
    result = control.run({}, operation="rds.assess")
    assert (result.outcome, result.verdict) == (Outcome.OK, Verdict.HEALTHY)
    assert server.front.actions == ["DescribeDBClusters", "DescribeDBInstances"]


def test_a_writer_that_is_down_is_noticed_and_left(control: Control, server: Server) -> None:
    server.state.databases["orders-1"].status = "storage-full"
    noticed = control.run({}, operation="rds.assess")
    assert (noticed.outcome, noticed.verdict) == (Outcome.FAILED, Verdict.DOWN)
    assert noticed.hint == "inv recover.rds-failover --hosts orders"
    assert control.run({}).outcome is Outcome.CHANGED
    assert (server.writer, server.front.writes) == ("orders-2", 1)
