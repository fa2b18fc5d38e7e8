"""RDS, simulated behind the real seam: it describes databases in AWS's own words, fails them over and tells of it.

What is documented of AWS is done as documented; what is not, such as how long the old state is still shown after an accepted
call, is a number that a test chooses. Every request is checked against botocore's model of it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from queue import SimpleQueue
from typing import Any

import botocore.session
import msgspec
from botocore.validate import ParamValidator

from crashcart.clock import FakeClock
from crashcart.engine.evidence import EvidenceKeeper
from crashcart.engine.guard import Unguarded
from crashcart.engine.reconcile import Reconciler, Surroundings
from crashcart.engine.turn import Again, Finished, Ready
from crashcart.engine.undo import UndoList
from crashcart.errors import Busy, ConnectionLost, NoSuchResource, Throttled
from crashcart.events import Stream
from crashcart.operations.base import Action
from crashcart.operations.rds import FailOver
from crashcart.plan import PlannedStep
from crashcart.results import Phase, StepResult
from crashcart.targets import Target
from crashcart.transports.base import ApiCall
from tests.unit.operations.simulated_unit import Journal, Killed, NoMarks

WRITES = {"FailoverDBCluster", "RebootDBInstance"}
ZONES = ("us-east-1a", "us-east-1b")


class Pace(msgspec.Struct, frozen=True):
    """How a failover goes, in seconds after its call: ``lingers`` before anything shows, then moves, then is over.

    ``ends``: ``moved``; ``reverted`` and ``abandoned`` tell events; ``nothing`` tells none; ``never`` stays under way.
    """

    lingers: float = 2.0
    moves: float = 10.0
    over: float = 20.0
    ends: str = "moved"
    zone_lags: float = 180.0


class FakeRds:
    """One database: the cluster ``orders`` with three members, or the Multi-AZ instance ``billing``."""

    def __init__(self, clock: FakeClock, kind: str = "rds_cluster", pace: Pace | None = None) -> None:
        self.clock, self.kind, self.pace = clock, kind, pace or Pace()
        self.name = "orders" if kind == "rds_cluster" else "billing"
        self.status, self.writer, self.zone = "available", "orders-1", ZONES[0]
        self.members = {"orders-1": "available", "orders-2": "available", "orders-3": "available"}
        self.events: list[tuple[float, str]] = []
        self.failovers = 0
        self.base = time.time()
        self._due: list[tuple[float, Callable[[], None]]] = []

    @property
    def now(self) -> float:
        return self.clock.monotonic()

    def settle(self) -> None:
        """Let happen what is due by now."""
        while self._due and self._due[0][0] <= self.now:
            self._due.pop(0)[1]()

    def fail_over(self, target: str | None = None) -> None:
        """Do what a forced failover does, beginning now."""
        self.settle()
        if self.status != "available":
            raise Busy(f"InvalidDBClusterStateFault: {self.name} is {self.status}")
        target = target or "orders-2"
        if self.kind == "rds_cluster" and (target == self.writer or self.members.get(target) != "available"):
            raise Busy(f"InvalidDBClusterStateFault: cannot fail over to {target}")
        if self.pace.ends in {"abandoned", "nothing"}:
            self._abandon()
            return
        self.failovers += 1
        if self.kind == "rds_cluster":
            self._move_cluster(self.writer, target)
        else:
            self._move_instance()

    def tell(self, message: str) -> None:
        self.events.append((self.base + self.now, message))

    def _abandon(self) -> None:
        if self.pace.ends == "abandoned":
            words = "Abandoning user requested failover since a failover recently occurred on the database instance."
            self._at(self.pace.lingers, lambda: self.tell(words))

    def _at(self, after: float, act: Callable[[], None]) -> None:
        self._due.append((self.now + after, act))
        self._due.sort(key=lambda due: due[0])

    def _set(self, status: str, message: str = "") -> Callable[[], None]:
        def act() -> None:
            self.status = status
            if message:
                self.tell(message)

        return act

    def _move_cluster(self, old: str, new: str) -> None:
        def move() -> None:
            self.writer, self.members[old] = new, "rebooting"

        def back() -> None:
            if self.members[old] == "rebooting":
                self.members[old] = "available"

        begins = self.pace.lingers
        self._at(begins, self._set("failing-over", f"Started cross AZ failover to DB instance: {new}"))
        if self.pace.ends == "reverted":
            self._at(begins + self.pace.over, self._set("available", f"Promoting previous primary again: {old}"))
        elif self.pace.ends == "moved":
            if self.members[old] == "available":
                self._at(begins + self.pace.over + 5, back)
                self._at(begins + self.pace.moves, move)
            else:
                self._at(begins + self.pace.moves, lambda: setattr(self, "writer", new))
            self._at(begins + self.pace.over, self._set("available", f"Completed failover to DB instance: {new}"))

    def _move_instance(self) -> None:
        begins, other = self.pace.lingers, ZONES[1 - ZONES.index(self.zone)]
        self._at(begins, self._set("rebooting", "Multi-AZ instance failover started."))
        if self.pace.ends == "moved":
            self._at(begins + self.pace.over, self._set("available", "Multi-AZ instance failover completed"))
            self._at(begins + self.pace.over + self.pace.zone_lags, lambda: setattr(self, "zone", other))

    def describe(self, call: ApiCall) -> dict[str, Any]:
        """Answer a describing call."""
        self.settle()
        answer: dict[str, Any] = getattr(self, f"_{call.operation}")(call.params)
        return answer

    def _DescribeDBClusters(self, params: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 -- AWS's name
        if self.kind != "rds_cluster":
            raise NoSuchResource("no", action="rds:DescribeDBClusters", code="DBClusterNotFoundFault")
        members = [
            {"DBInstanceIdentifier": name, "IsClusterWriter": name == self.writer, "PromotionTier": tier}
            for tier, name in enumerate(self.members)
        ]
        about = {"DBClusterIdentifier": self.name, "Status": self.status, "Engine": "aurora-postgresql"}
        arn = {"DBClusterArn": f"arn:aws:rds:us-east-1:123456789012:cluster:{self.name}", "DBClusterParameterGroup": "own"}
        return {"DBClusters": [{**about, **arn, "DBClusterMembers": members}]}

    def _DescribeDBInstances(self, params: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 -- AWS's name
        plain = {"DBInstanceClass": "db.r6g.large", "Engine": "aurora-postgresql"}
        if self.kind == "rds_cluster":
            listed = self.members.items()
            return {"DBInstances": [_instance(name, status, MultiAZ=False, **plain) for name, status in listed]}
        other = ZONES[1 - ZONES.index(self.zone)]
        zones = {"AvailabilityZone": self.zone, "SecondaryAvailabilityZone": other}
        return {"DBInstances": [_instance(self.name, self.status, MultiAZ=True, **zones, **plain)]}

    def _DescribeEvents(self, params: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 -- AWS's name
        if params["SourceIdentifier"] != self.name:
            return {"Events": []}
        since = time.time() - params["Duration"] * 60
        return {"Events": [_event(at, message) for at, message in self.events if at >= since]}

    def _GetMetricData(self, params: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 -- AWS's name
        return {"MetricDataResults": [{"Id": query["Id"], "Values": [20.0]} for query in params["MetricDataQueries"]]}

    def _DescribePendingMaintenanceActions(self, params: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 -- AWS's name
        return {"PendingMaintenanceActions": []}

    def _DescribeDBClusterParameters(self, params: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 -- AWS's name
        return {"Parameters": [{"ParameterName": "rds.force_ssl", "ParameterValue": "1"}]}

    def _DescribeDBParameters(self, params: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 -- AWS's name
        return {"Parameters": [{"ParameterName": "work_mem", "ParameterValue": "65536"}]}


def _instance(name: str, status: str, **more: Any) -> dict[str, Any]:
    arn = f"arn:aws:rds:us-east-1:123456789012:db:{name}"
    groups = [{"DBParameterGroupName": "tuned", "ParameterApplyStatus": "in-sync"}]
    named = {"DBInstanceIdentifier": name, "DBInstanceStatus": status, "DBInstanceArn": arn}
    return {**named, "DBParameterGroups": groups, **more}


def _event(at: float, message: str) -> dict[str, Any]:
    return {"Message": message, "Date": datetime.fromtimestamp(at, UTC), "EventCategories": ["failover"]}


@cache
def _shape(service: str, operation: str) -> Any:
    return botocore.session.get_session().get_service_model(service).operation_model(operation).input_shape


class FakeCloud:
    """The transport to one ``FakeRds``; what is asked for evidence, on other threads, is only answered.

    ``lose`` the first answer ``before`` or ``after`` the effect; refuse ``throttles`` writes; for ``stale`` seconds after a
    write show what was before it; kill the controller ``before`` or ``after`` a call, which are counted from 0.
    """

    def __init__(
        self,
        rds: FakeRds,
        *,
        lose: str = "",
        throttles: int = 0,
        stale: float = 0.0,
        die_at: tuple[int, str] = (-1, ""),
    ) -> None:
        self.rds, self.resource, self.region, self.is_emulated = rds, rds.name, "us-east-1", True
        self.reads: list[ApiCall] = []
        self.writes: list[ApiCall] = []
        self.evidence: list[ApiCall] = []
        self.interfere: Callable[[ApiCall], None] = lambda call: None
        self._lose, self._throttles, self._stale, self._die_at = lose, throttles, stale, die_at
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
        key = f"{call.operation} {call.params}"
        if self.rds.now < self._written + self._stale and key in self._old:
            return self._old[key]
        self._old[key] = self.rds.describe(call)
        return self._old[key]

    def _write(self, call: ApiCall) -> dict[str, Any]:
        if self._throttles:
            self._throttles -= 1
            raise Throttled("Throttling: Rate exceeded")
        lose, self._lose = self._lose, ""
        if lose == "before":
            raise ConnectionLost("cut")
        assert call.operation in WRITES
        self.rds.fail_over(call.params.get("TargetDBInstanceIdentifier"))
        self._written = self.rds.now
        if lose == "after":
            raise ConnectionLost("cut")
        return {}


def run(
    cloud: FakeCloud,
    wish: dict[str, object],
    *,
    journal: Journal | None = None,
    may_act: bool = True,
    deadline: float = 600.0,
) -> StepResult | Action:
    """Run the step with the real reconciler to its result, or to the act that check mode stops at."""
    journal, clock = journal or Journal(), cloud.rds.clock
    step = PlannedStep(
        "failover", "rds.failover", Phase.STEP, {"kind": cloud.rds.kind, **wish}, attempts=3, deadline=deadline
    )
    stream = Stream(journal)
    surroundings = Surroundings(stream, clock, EvidenceKeeper(journal, stream), Unguarded())
    undos = UndoList("run", cloud.rds.name, cloud.rds.name, NoMarks())
    target = Target(cloud.rds.name, cloud.rds.kind)
    reconciler = Reconciler(target, step, FailOver(), surroundings, undos, journal.recall())
    while True:
        match reconciler.turn(cloud, may_act=may_act):
            case Finished(result):
                return result
            case Ready(action):
                return action
            case Again(after):
                # A real clock moves on by itself; this one stands still when a remainder is lost in rounding.
                clock.wait(SimpleQueue[None](), max(after, 0.001), busy=False)


def result_of(
    cloud: FakeCloud, wish: dict[str, object], *, journal: Journal | None = None, deadline: float = 600.0
) -> StepResult:
    """Run the step to its result."""
    result = run(cloud, wish, journal=journal, deadline=deadline)
    assert isinstance(result, StepResult)
    return result
