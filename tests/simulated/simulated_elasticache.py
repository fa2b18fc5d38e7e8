"""ElastiCache, simulated behind the real seam: it describes groups in AWS's own words, changes them and tells of it.

What is documented of AWS is done as documented; what is not, such as how long the old state is still shown after an accepted
call, is a number that a test chooses. Every request is checked against botocore's model of it. Whole targets are driven,
with their undo, and resumed from the events that a killed one left.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import botocore.session
import msgspec
from botocore.validate import ParamValidator

from crashcart.clock import FakeClock
from crashcart.engine.evidence import EvidenceKeeper
from crashcart.engine.guard import Unguarded
from crashcart.engine.reconcile import Reconciler, Surroundings
from crashcart.engine.targetrun import TargetRun
from crashcart.engine.undo import UndoList
from crashcart.errors import Busy, ConnectionLost, InvalidCall, NoSuchResource, Throttled
from crashcart.events import Stream
from crashcart.facts import elasticache, elasticache_events, elasticache_lag
from crashcart.journal.lines import Head, Line
from crashcart.journal.recall import PastRun
from crashcart.operations import find_operation
from crashcart.operations.base import Action
from crashcart.plan import PlannedStep, TargetPlan, UndoPolicy
from crashcart.results import Phase, TargetResult
from crashcart.targets import Target
from crashcart.transports.base import ApiCall
from tests.unit.operations.simulated_unit import Journal, Killed

WRITES = {"ModifyReplicationGroup", "TestFailover", "RebootCacheCluster"}
ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")
EPOCH = 1893456000.0
KIND = "elasticache_replication_group"


class Pace(msgspec.Struct, frozen=True):
    """How a change goes, in seconds after its call: it ``lingers`` before anything shows, then takes ``over``.

    A promotion ``ends`` as ``moved``; ``nothing`` comes of it; ``never`` stays under way; or ``elsewhere``. ``shows`` says
    whether the group's status tells of a failover.
    """

    lingers: float = 2.0
    over: float = 20.0
    ends: str = "moved"
    shows: bool = True


class FakeElastiCache:
    """The replication group ``cache``: three nodes, or with cluster mode two node groups of two nodes."""

    def __init__(self, clock: FakeClock, pace: Pace | None = None, *, clustered: bool = False, safe: bool = True) -> None:
        self.clock, self.pace, self.clustered = clock, pace or Pace(), clustered
        self.name, self.status = "cache", "available"
        self.settings = ("enabled", "enabled") if safe else ("disabled", "disabled")
        names = ["cache-0001-001", "cache-0001-002", "cache-0002-001", "cache-0002-002"]
        self.nodes = dict.fromkeys(names if clustered else ["cache-001", "cache-002", "cache-003"], "available")
        self.primaries = {"0001": "cache-0001-001", "0002": "cache-0002-001"} if clustered else {"0001": "cache-001"}
        self.events: list[tuple[float, str, str, str]] = []
        self.lag = 0.02
        self.promotions: list[str] = []
        self.reboots: list[str] = []
        self.tests = 0
        self._busy = False
        self._due: list[tuple[float, Callable[[], None]]] = []

    @property
    def now(self) -> float:
        return self.clock.monotonic()

    @property
    def primary(self) -> str:
        return self.primaries["0001"]

    def settle(self) -> None:
        """Let happen what is due by now."""
        while self._due and self._due[0][0] <= self.now:
            self._due.pop(0)[1]()

    def tell(self, kind: str, source: str, message: str, ago: float = 0.0) -> None:
        self.events.append((EPOCH + self.now - ago, kind, source, message))

    def shard_of(self, node: str) -> str:
        return node.split("-")[1] if self.clustered else "0001"

    # -- what changes something

    def change(self, call: ApiCall) -> None:
        """Do what a call says, beginning now."""
        self.settle()
        getattr(self, f"_{call.operation}")(call.params)
        self.settle()

    def _ModifyReplicationGroup(self, params: dict[str, Any]) -> None:  # noqa: N802 -- AWS's name
        self._must_be_available()
        target = params.get("PrimaryClusterId")
        if target and "enabled" in self.settings:
            raise _invalid("ModifyReplicationGroup", "InvalidParameterCombination: automatic failover is enabled")
        if self.clustered:
            raise _invalid("ModifyReplicationGroup", "InvalidParameterCombination: cluster mode enabled")
        if target:
            self._promote(target)
            return
        words = {True: "enabled", False: "disabled"}
        wanted = (words[params["AutomaticFailoverEnabled"]], words[params["MultiAZEnabled"]])
        passing = ("enabling" if params["AutomaticFailoverEnabled"] else "disabling", self.settings[1])
        self._busy = True
        self._at(self.pace.lingers, lambda: self._set("modifying", passing))
        self._at(self.pace.lingers + self.pace.over, lambda: self._set("available", wanted))

    def _promote(self, target: str) -> None:
        self.promotions.append(target)
        if self.pace.ends == "nothing":
            return
        chosen = target if self.pace.ends != "elsewhere" else "cache-003"
        self._busy = True
        self._at(self.pace.lingers, lambda: self._set("modifying"))
        if self.pace.ends != "never":
            self._at(self.pace.lingers + self.pace.over / 2, lambda: self._move("0001", chosen))
            self._at(self.pace.lingers + self.pace.over, lambda: self._set("available"))

    def _TestFailover(self, params: dict[str, Any]) -> None:  # noqa: N802 -- AWS's name
        self._must_be_available()
        shard = params["NodeGroupId"]
        if self.settings[0] != "enabled":
            raise Busy("InvalidReplicationGroupState: automatic failover is not enabled")
        self.tests += 1
        if self.tests > 15:
            raise _invalid("TestFailover", "APICallRateForCustomerExceeded: the shard limit is exceeded")
        old = self.primaries[shard]
        new = next(name for name in self.nodes if self.shard_of(name) == shard and name != old)
        self.promotions.append(new)
        if self.pace.ends == "nothing":
            return
        self._busy = True
        begins, ends = self.pace.lingers, self.pace.lingers + self.pace.over
        self._at(
            begins, lambda: self.tell("replication-group", self.name, f"Test Failover API called for node group {shard}")
        )
        if self.pace.shows:
            self._at(begins, lambda: self._set("modifying"))
        if self.pace.ends == "never":
            return
        self._at(begins + self.pace.over / 2, lambda: self._move(shard, new))
        self._at(begins + self.pace.over / 2, lambda: self.tell("cache-cluster", old, f"Recovering cache nodes {old}"))
        self._at(ends, lambda: self._set("available"))
        self._at(ends, lambda: self.tell("cache-cluster", old, f"Finished recovery for cache nodes {old}"))

    def _RebootCacheCluster(self, params: dict[str, Any]) -> None:  # noqa: N802 -- AWS's name
        name = params["CacheClusterId"]
        if self.nodes[name] != "available":
            raise Busy(f"InvalidCacheClusterState: {name} is {self.nodes[name]}")
        self.reboots.append(name)
        if self.pace.ends == "nothing":
            return
        self._at(self.pace.lingers, lambda: self.nodes.update({name: "rebooting cluster nodes"}))
        if self.pace.ends != "never":
            ends = self.pace.lingers + self.pace.over
            self._at(ends, lambda: self.nodes.update({name: "available"}))
            for node in params["CacheNodeIdsToReboot"]:
                self._at(ends, lambda node=node: self.tell("cache-cluster", name, f"Cache node {node} restarted"))  # type: ignore[misc]

    def _must_be_available(self) -> None:
        if self.status != "available" or self._busy:
            raise Busy(f"InvalidReplicationGroupState: {self.name} is {self.status}")

    def _move(self, shard: str, new: str) -> None:
        old, self.primaries[shard] = self.primaries[shard], new
        message = f"Failover from primary node {old} to replica node {new} completed"
        self.tell("replication-group", self.name, message)
        self.tell("cache-cluster", new, message)

    def _at(self, after: float, act: Callable[[], None]) -> None:
        self._due.append((self.now + after, act))
        self._due.sort(key=lambda due: due[0])

    def _set(self, status: str, settings: tuple[str, str] | None = None) -> None:
        self.status, self._busy = status, status != "available"
        self.settings = settings or self.settings

    # -- what describes

    def describe(self, call: ApiCall) -> dict[str, Any]:
        """Answer a describing call."""
        self.settle()
        answer: dict[str, Any] = getattr(self, f"_{call.operation}")(call.params)
        return answer

    def _DescribeReplicationGroups(self, params: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 -- AWS's name
        if params.get("ReplicationGroupId", self.name) != self.name:
            action = "elasticache:DescribeReplicationGroups"
            raise NoSuchResource("ReplicationGroupNotFoundFault: no", action=action, code="ReplicationGroupNotFoundFault")
        automatic, multi_az = self.settings
        shards = [
            {"NodeGroupId": shard, "Status": "available", "NodeGroupMembers": self._members(shard)}
            for shard in self.primaries
        ]
        about = {"ReplicationGroupId": self.name, "Status": self.status, "AutomaticFailover": automatic, "MultiAZ": multi_az}
        mode = {"ClusterEnabled": self.clustered, "ClusterMode": "enabled" if self.clustered else "disabled"}
        return {"ReplicationGroups": [{**about, **mode, "NodeGroups": shards, "MemberClusters": list(self.nodes)}]}

    def _members(self, shard: str) -> list[dict[str, Any]]:
        names = [name for name in self.nodes if self.shard_of(name) == shard]
        return [self._member(name, ZONES[number % 3]) for number, name in enumerate(names)]

    def _member(self, name: str, zone: str) -> dict[str, Any]:
        role = {} if self.clustered else {"CurrentRole": "primary" if name == self.primary else "replica"}
        return {"CacheClusterId": name, "CacheNodeId": "0001", "PreferredAvailabilityZone": zone, **role}

    def _DescribeCacheClusters(self, params: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 -- AWS's name
        other = {"CacheClusterId": "elsewhere", "CacheClusterStatus": "deleting"}
        return {
            "CacheClusters": [
                other,
                *({"CacheClusterId": name, "CacheClusterStatus": status} for name, status in self.nodes.items()),
            ]
        }

    def _DescribeEvents(self, params: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 -- AWS's name
        since, source = EPOCH + self.now - params["Duration"] * 60, params.get("SourceIdentifier")
        told = [event for event in self.events if event[0] >= since and event[1] == params["SourceType"]]
        return {"Events": [_event(*event) for event in told if source in {None, event[2]}]}

    def _GetMetricData(self, params: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 -- AWS's name
        primaries = set(self.primaries.values())
        queries = [
            (query["Id"], query["MetricStat"]["Metric"]["Dimensions"][0]["Value"]) for query in params["MetricDataQueries"]
        ]
        return {
            "MetricDataResults": [{"Id": one, "Values": [] if name in primaries else [self.lag]} for one, name in queries]
        }


def _event(at: float, kind: str, source: str, message: str) -> dict[str, Any]:
    return {"Date": datetime.fromtimestamp(at, UTC), "SourceType": kind, "SourceIdentifier": source, "Message": message}


def _invalid(call: str, message: str) -> InvalidCall:
    return InvalidCall(f"elasticache:{call}: {message}", action=f"elasticache:{call}", code=message.partition(":")[0])


@cache
def _shape(service: str, operation: str) -> Any:
    return botocore.session.get_session().get_service_model(service).operation_model(operation).input_shape


class FakeCloud:
    """The transport to one ``FakeElastiCache``; what is asked for evidence, on other threads, is only answered.

    ``lose`` the answer of the write of that number, from 0, ``before`` or ``after`` its effect; refuse ``throttles`` writes;
    for ``stale`` seconds after a write show what was before it; kill the controller ``before`` or ``after`` a call, which
    are counted from 0. ``deny`` reads by name.
    """

    def __init__(
        self,
        cache: FakeElastiCache,
        *,
        lose: tuple[int, str] = (-1, ""),
        throttles: int = 0,
        stale: float = 0.0,
        die_at: tuple[int, str] = (-1, ""),
        deny: tuple[str, ...] = (),
    ) -> None:
        self.cache, self.resource, self.region, self.is_emulated = cache, cache.name, "us-east-1", True
        self.reads: list[ApiCall] = []
        self.writes: list[ApiCall] = []
        self.evidence: list[ApiCall] = []
        self.interfere: Callable[[ApiCall], None] = lambda call: None
        self._lose, self._throttles, self._stale, self._die_at, self._deny = lose, throttles, stale, die_at, deny
        self._old: dict[str, dict[str, Any]] = {}
        self._written = float("-inf")

    @property
    def calls(self) -> int:
        return len(self.reads) + len(self.writes)

    def read(self, call: ApiCall) -> dict[str, Any]:
        return self._counted(call, self.reads, self._read)

    def write(self, call: ApiCall) -> dict[str, Any]:
        return self._counted(call, self.writes, self._write)

    def cancel(self) -> None:
        """Nothing is in flight."""

    def close(self) -> None:
        """Nothing is open."""

    def _counted(self, call: ApiCall, kept: list[ApiCall], answer: Callable[[ApiCall], dict[str, Any]]) -> dict[str, Any]:
        report = ParamValidator().validate(call.params, _shape(call.service, call.operation))
        assert not report.has_errors(), report.generate_report()
        if threading.current_thread() is not threading.main_thread():
            self.evidence.append(call)
            return answer(call)
        self.interfere(call)
        number = self.calls
        kept.append(call)
        if self._die_at == (number, "before"):
            raise Killed
        found = answer(call)
        if self._die_at == (number, "after"):
            raise Killed
        return found

    def _read(self, call: ApiCall) -> dict[str, Any]:
        if call.operation in self._deny:
            raise _invalid(call.operation, "AccessDenied: no")
        key = f"{call.operation} {call.params}"
        if self.cache.now < self._written + self._stale and key in self._old:
            return self._old[key]
        self._old[key] = self.cache.describe(call)
        return self._old[key]

    def _write(self, call: ApiCall) -> dict[str, Any]:
        if self._throttles:
            self._throttles -= 1
            raise Throttled("Throttling: Rate exceeded")
        number, when = self._lose
        lost = len(self.writes) - 1 == number
        if lost and when == "before":
            raise ConnectionLost("cut")
        assert call.operation in WRITES
        self.cache.change(call)
        self._written = self.cache.now
        if lost:
            raise ConnectionLost("cut")
        return {}


class Marks:
    """Notes whether something may be owed."""

    def __init__(self) -> None:
        self.noted: set[str] = set()

    def add(self, key: str, run: str) -> None:
        self.noted.add(run)

    def drop(self, key: str, run: str) -> None:
        self.noted.discard(run)


def run(
    cloud: FakeCloud,
    wish: dict[str, object],
    *,
    operation: str = "elasticache.failover",
    journal: Journal | None = None,
    may_act: bool = True,
    deadline: float = 600.0,
) -> TargetResult | Action:
    """Run one step on the target, and its undo where it fails, to the result, or to the act that check mode stops at."""
    journal, clock = journal or Journal(), cloud.cache.clock
    past = PastRun(Path(), tuple(Line(0, "", Head(datetime.now(UTC), ""), event) for event in journal.events))
    step = PlannedStep("it", operation, Phase.STEP, wish, attempts=8, deadline=deadline, undo=UndoPolicy(deadline=300.0))
    stream, target = Stream(journal), Target(cloud.cache.name, KIND)
    surroundings = Surroundings(stream, clock, EvidenceKeeper(journal, stream), Unguarded())
    recalled = past.recall()

    def make(plan: TargetPlan, step: PlannedStep, undos: UndoList) -> Reconciler:
        found = find_operation(step.operation)
        return Reconciler(target, step, found, surroundings, undos, recalled.get((target.name, step.name)))

    undos = UndoList("run", target.name, target.name, Marks())
    driven = TargetRun(TargetPlan(target, (step,)), make, stream, undos, begun=past.begun().get(target.name))
    with on_time(clock):
        return _drive(driven, cloud, clock, may_act=may_act)


def on_time(clock: FakeClock, modules: tuple[Any, ...] = (elasticache, elasticache_events, elasticache_lag)) -> Any:
    """Let the facts tell the time by this clock."""
    watch = SimpleNamespace(time=lambda: EPOCH + clock.monotonic())
    return _Patches([patch.object(module, "time", watch) for module in modules])


class _Patches:
    def __init__(self, patches: list[Any]) -> None:
        self._patches = patches

    def __enter__(self) -> None:
        for one in self._patches:
            one.start()

    def __exit__(self, *_: object) -> None:
        for one in self._patches:
            one.stop()


def _drive(driven: TargetRun, cloud: FakeCloud, clock: FakeClock, *, may_act: bool) -> TargetResult | Action:
    while driven.result is None:
        after = driven.turn(lambda _: cloud, may_act=may_act)
        if driven.wanted:
            return driven.wanted
        if after is not None:
            # A real clock moves on by itself; this one stands still when a remainder is lost in rounding.
            clock.wait(SimpleQueue[None](), max(after, 0.001), busy=False)
    return driven.result


def result_of(cloud: FakeCloud, wish: dict[str, object], **more: Any) -> TargetResult:
    """Run the step to its result."""
    result = run(cloud, wish, **more)
    assert isinstance(result, TargetResult)
    return result
