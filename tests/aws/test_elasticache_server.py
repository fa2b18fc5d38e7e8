"""``elasticache.*`` for real: engine, journal, undo, transport, boto3 and HTTP; requests are counted at the server.

moto lacks TestFailover, RebootCacheCluster and DescribeEvents, and ignores PrimaryClusterId: the simulated group answers for
ElastiCache, in XML made from botocore's own model, and moto for CloudWatch.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

import boto3
import botocore.session
import pytest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from crashcart.clock import FakeClock
from crashcart.engine.guard import Unguarded
from crashcart.engine.headcount import Headcount
from crashcart.engine.rollout import Guarding
from crashcart.engine.run import Run
from crashcart.errors import ApiRefused, Busy, NoSuchResource
from crashcart.events import RunStarted, Stream
from crashcart.facts import elasticache, elasticache_events
from crashcart.journal.claims import target_key
from crashcart.journal.folder import RunFolder
from crashcart.journal.owed import Marks
from crashcart.plan import Options, Plan, PlannedStep, TargetPlan, UndoPolicy
from crashcart.results import Mode, Outcome, Phase, TargetResult, Verdict
from crashcart.targets import Target
from crashcart.transports.aws import AwsConnector
from crashcart.transports.base import ApiCall
from tests.aws.rds_server import (
    _ERROR,
    AGO,
    KEYS,
    REGION,
    Answer,
    App,
    Fault,
    Front,
    _Quiet,
    lost_after,
    lost_before,
    throttled,
)
from tests.simulated.simulated_elasticache import KIND, WRITES, FakeElastiCache, Pace, on_time

FORCE: dict[str, object] = {"force": True}
TO: dict[str, object] = {"force": True, "to": "cache-003"}
NODE: dict[str, object] = {"cluster": "cache-002", "node_ids": "0001"}
ON = ("enabled", "enabled")
MODEL = botocore.session.get_session().get_service_model("elasticache")


class ElastiCacheApp:
    """Answers ElastiCache's calls from the simulated group, under its lock; hands all others on."""

    def __init__(self, others: App) -> None:
        self._others, self._lock = others, threading.Lock()
        self.cache = FakeElastiCache(FakeClock())

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = BytesIO(body)
        params = dict(parse_qsl(body.decode(errors="replace")))
        if params.get("Version") != MODEL.api_version:
            return self._others(environ, start_response)
        status, text = self._answer(params)
        start_response(status, [("Content-Type", "text/xml")])
        return [text.encode()]

    def _answer(self, params: dict[str, str]) -> tuple[str, str]:
        call = read_call(params)
        try:
            with self._lock:
                if call.operation in WRITES:
                    self.cache.change(call)
                    return "200 OK", rendered(call.operation, {})
                return "200 OK", rendered(call.operation, self.cache.describe(call))
        except NoSuchResource as error:
            return "404 Not Found", _ERROR.format(error.code, "not found")
        except (Busy, ApiRefused) as error:
            code, _, message = error.message.removeprefix(f"elasticache:{call.operation}: ").partition(": ")
            return "400 Bad Request", _ERROR.format(code, message)


def read_call(params: dict[str, str]) -> ApiCall:
    """Read a request of the query protocol by botocore's model."""
    operation = params["Action"]
    shape = MODEL.operation_model(operation).input_shape
    assert shape
    found: dict[str, Any] = {}
    for name, member in shape.members.items():
        if name in params:
            found[name] = _value(member.type_name, params[name])
        elif member.type_name == "list":
            listed = [text for key, text in sorted(params.items()) if key.startswith(f"{name}.")]
            found |= {name: listed} if listed else {}
    return ApiCall("elasticache", operation, found)


def _value(kind: str, text: str) -> str | int | bool:
    if kind == "boolean":
        return text == "true"
    return int(text) if kind == "integer" else text


def rendered(operation: str, answer: dict[str, Any]) -> str:
    """Write an answer as the service does, by botocore's model."""
    shape = MODEL.operation_model(operation).output_shape
    assert shape
    wrapper = shape.serialization["resultWrapper"]
    return f"<{operation}Response>{_xml(shape, answer, wrapper)}<ResponseMetadata/></{operation}Response>"


def _xml(shape: Any, value: Any, name: str) -> str:
    if shape.type_name == "structure":
        assert set(value) <= set(shape.members), f"{shape.name} has no {set(value) - set(shape.members)}"
        inner = "".join(_xml(shape.members[key], part, key) for key, part in value.items())
    elif shape.type_name == "list":
        one = shape.member.serialization.get("name", "member")
        inner = "".join(_xml(shape.member, part, one) for part in value)
    elif isinstance(value, bool):
        inner = str(value).lower()
    else:
        inner = escape(value.isoformat() if isinstance(value, datetime) else str(value))
    return f"<{name}>{inner}</{name}>"


class Server:
    """The running server; ``cache`` is the group, to be arranged by tests."""

    def __init__(self, app: ElastiCacheApp, front: Front, url: str) -> None:
        self.app, self.front, self.url = app, front, url

    @property
    def cache(self) -> FakeElastiCache:
        return self.app.cache

    @property
    def writes(self) -> list[str]:
        return [action for action in self.front.actions if action in WRITES]

    def seed(self, pace: Pace | None = None, **more: bool) -> None:
        """Make the group anew, and forget what was."""
        self.app.cache = FakeElastiCache(FakeClock(), pace, **more)
        lag = {"MetricName": "ReplicationLag", "Value": 0.02, "Unit": "Seconds", "Timestamp": datetime.now(UTC) - AGO}
        replicas = [name for name in self.cache.nodes if name not in self.cache.primaries.values()]
        cloudwatch = boto3.client("cloudwatch", endpoint_url=self.url, region_name=REGION, **KEYS)
        data = [{**lag, "Dimensions": [_is("CacheClusterId", name), _is("CacheNodeId", "0001")]} for name in replicas]
        cloudwatch.put_metric_data(Namespace="AWS/ElastiCache", MetricData=data)
        self.front.actions.clear()
        self.front.faults.clear()


def _is(name: str, value: str) -> dict[str, str]:
    return {"Name": name, "Value": value}


@pytest.fixture(scope="module")
def shared() -> Iterator[Server]:
    app = ElastiCacheApp(DomainDispatcherApplication(create_backend_app))
    front = Front(app)
    server = make_server("127.0.0.1", 0, front, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield Server(app, front, f"http://127.0.0.1:{server.server_port}")
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def server(shared: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Server:
    for name in [name for name in os.environ if name.startswith("AWS_") or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    shared.seed()
    return shared


class Control:
    """Runs an operation over one target with everything that a run has, and a clock that does not make anyone wait."""

    def __init__(self, folder: Path, server: Server, connect: AwsConnector) -> None:
        self.folder, self.server, self.connect = folder, server, connect

    def run(
        self,
        wish: dict[str, object],
        name: str = "cache",
        *,
        mode: Mode = Mode.APPLY,
        deadline: float = 300.0,
        operation: str = "elasticache.failover",
    ) -> TargetResult:
        target = Target(name, KIND, {"aws_region": REGION, "aws_endpoint_url": self.server.url, **KEYS})
        undo = UndoPolicy(deadline=300.0)
        step = PlannedStep("it", operation, Phase.STEP, wish, attempts=8, deadline=deadline, undo=undo)
        plan = Plan("recover.elasticache", "Do it", name, (TargetPlan(target, (step,)),))
        self.marks = Marks(self.folder / "owed", self.folder)
        return self._execute(RunStarted(f"run{len(list(self.folder.iterdir()))}", "tester", plan, Options(mode=mode)))

    def owed(self) -> int:
        return len(self.marks.owed(target_key(Target("cache", KIND, {"aws_region": REGION})), "cache"))

    def _execute(self, first: RunStarted) -> TargetResult:
        clock = self.server.cache.clock
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
                marks=self.marks,
                run=first.run,
            )
            with on_time(clock, (elasticache, elasticache_events)):
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


def state(server: Server) -> tuple[str, int, tuple[str, str]]:
    return server.cache.primary, len(server.cache.promotions), server.cache.settings


def test_first_run_promotes_and_the_second_sends_no_write(control: Control, server: Server) -> None:
    first = control.run(TO)
    assert (first.outcome, first.verdict, state(server)) == (Outcome.CHANGED, Verdict.HEALTHY, ("cache-003", 1, ON)), first
    assert server.writes == ["ModifyReplicationGroup"] * 3
    server.front.actions.clear()
    second = control.run(TO)
    assert (second.outcome, second.changed) == (Outcome.OK, False)
    assert server.front.actions == ["DescribeReplicationGroups", "DescribeCacheClusters"]


def test_check_mode_sends_no_write(control: Control, server: Server) -> None:
    result = control.run(TO, mode=Mode.CHECK)
    assert (result.outcome, server.writes, state(server)) == (Outcome.WOULD_CHANGE, [], ("cache-001", 0, ON)), result
    assert "promote cache-003" in result.message
    assert "0.02 s behind" in result.message


def test_evidence_is_kept_in_the_run(control: Control) -> None:
    result = control.run(TO)
    (evidence,) = result.steps[0].evidence
    kept = next(control.folder.rglob(Path(evidence.file).name)).read_text()
    assert "elasticache:DescribeReplicationGroups" in kept
    assert '"CurrentRole"' in kept


@pytest.mark.parametrize(("lose", "writes"), [(lost_before, 4), (lost_after, 3)])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_an_ambiguous_write_has_one_effect(control: Control, server: Server, lose: Fault, writes: int, number: int) -> None:
    server.front.faults["ModifyReplicationGroup"] = [*[plainly] * number, lose]
    result = control.run(TO)
    assert (result.outcome, state(server)) == (Outcome.CHANGED, ("cache-003", 1, ON)), result
    assert len(server.writes) == writes


def plainly(answer: Callable[[], Answer]) -> Answer:
    return answer()


def test_a_throttled_write_is_sent_again(control: Control, server: Server) -> None:
    server.front.faults["ModifyReplicationGroup"] = [throttled, throttled]
    assert control.run(TO).outcome is Outcome.CHANGED
    assert (len(server.writes), state(server)) == (5, ("cache-003", 1, ON))


def test_a_failover_that_is_under_way_is_waited_for(control: Control, server: Server) -> None:
    server.cache.change(ApiCall("elasticache", "TestFailover", {"ReplicationGroupId": "cache", "NodeGroupId": "0001"}))
    server.cache.clock._passed += 3.0
    result = control.run(FORCE)
    assert (result.outcome, server.writes, state(server)) == (Outcome.OK, [], ("cache-002", 1, ON)), result


def test_nothing_to_fail_over_to(control: Control, server: Server) -> None:
    server.cache.nodes = {"cache-001": "available"}
    result = control.run(FORCE)
    assert (result.outcome, server.writes) == (Outcome.REFUSED, [])
    assert "has no replica to fail over to" in result.message


def test_a_promotion_that_comes_to_nothing_is_taken_back_by_the_engine(control: Control, server: Server) -> None:
    server.seed(Pace(ends="nothing"))
    result = control.run(TO, deadline=120.0)
    assert [(step.phase, step.outcome) for step in result.steps] == [
        (Phase.STEP, Outcome.FAILED),
        (Phase.UNDO, Outcome.CHANGED),
    ], result
    assert (server.writes, state(server)) == (["ModifyReplicationGroup"] * 3, ("cache-001", 1, ON))


def test_a_promotion_that_never_ends_fails_and_its_undo_is_owed(control: Control, server: Server) -> None:
    server.seed(Pace(ends="never"))
    result = control.run(TO, deadline=120.0)
    assert [step.outcome for step in result.steps] == [Outcome.FAILED, Outcome.FAILED], result
    assert len(server.writes) == 2
    assert list((control.folder / "owed").rglob("*")), "the next run on this target, and runs.undo, know of it"


def test_a_shard_fails_over_by_the_test_call(control: Control, server: Server) -> None:
    server.seed(Pace(shows=False), clustered=True)
    wish = {"force": True, "node_group": "0002"}
    result = control.run(wish)
    assert (result.outcome, server.writes) == (Outcome.CHANGED, ["TestFailover"]), result
    assert server.cache.primaries == {"0001": "cache-0001-001", "0002": "cache-0002-002"}
    server.front.actions.clear()
    assert control.run({"node_group": "0002"}).outcome is Outcome.OK
    assert server.front.actions == ["DescribeReplicationGroups", "DescribeEvents"]


@pytest.mark.parametrize(("lose", "writes"), [(lost_before, 2), (lost_after, 1)])
def test_an_ambiguous_test_call_has_one_effect(control: Control, server: Server, lose: Fault, writes: int) -> None:
    server.seed(clustered=True)
    server.front.faults["TestFailover"] = [lose]
    result = control.run({"force": True, "node_group": "1"})
    assert (result.outcome, len(server.writes), len(server.cache.promotions)) == (Outcome.CHANGED, writes, 1), result


def test_a_used_up_quota_is_final(control: Control, server: Server) -> None:
    server.cache.tests = 15
    result = control.run({"force": True, "test_failover": True})
    assert (result.outcome, server.writes) == (Outcome.FAILED, ["TestFailover"])
    assert "APICallRateForCustomerExceeded" in result.message
    assert "trying again before does not help" in result.hint


@pytest.mark.parametrize(("lose", "writes"), [(plainly, 1), (lost_before, 2), (lost_after, 1)])
def test_a_reboot_happens_once(control: Control, server: Server, lose: Fault, writes: int) -> None:
    server.front.faults["RebootCacheCluster"] = [lose]
    first = control.run(NODE, operation="elasticache.reboot")
    assert (first.outcome, len(server.writes), server.cache.reboots) == (Outcome.CHANGED, writes, ["cache-002"]), first
    server.front.actions.clear()
    assert control.run(NODE, operation="elasticache.reboot").outcome is Outcome.OK
    assert server.front.actions == ["DescribeReplicationGroups", "DescribeEvents"]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("cache-001", "cache-001 is a node, and a member of the replication group cache: select cache"),
        ("cahce", "us-east-1 has no replication group 'cahce'; did you mean cache?"),
    ],
)
def test_a_name_that_is_no_group_is_told_what_it_is(control: Control, server: Server, name: str, hint: str) -> None:
    result = control.run(FORCE, name)
    assert (result.outcome, server.writes, result.hint) == (Outcome.FAILED, [], hint)


def test_a_healthy_group_is_assessed_in_two_reads_and_a_sick_one_is_noticed(control: Control, server: Server) -> None:
    result = control.run({}, operation="elasticache.assess")
    assert (result.outcome, result.verdict) == (Outcome.OK, Verdict.HEALTHY), result
    assert len(server.front.actions) <= 3
    server.cache.nodes["cache-001"] = "incompatible-network"
    noticed = control.run({}, operation="elasticache.assess")
    assert (noticed.outcome, noticed.verdict) == (Outcome.FAILED, Verdict.DOWN)
    assert noticed.hint == "inv recover.elasticache-failover --hosts cache"
    assert control.run({}).outcome is Outcome.CHANGED
    assert state(server) == ("cache-002", 1, ON)
