"""The emulator's scaling group and target groups, and a run of one operation over them in the tests' own time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

from crashcart.clock import FakeClock
from crashcart.engine.guard import Unguarded
from crashcart.engine.headcount import Headcount
from crashcart.engine.rollout import Guarding
from crashcart.engine.run import Past, Run
from crashcart.events import RunStarted, Stream
from crashcart.journal.folder import RunFolder
from crashcart.journal.owed import Marks
from crashcart.journal.recall import PastRun
from crashcart.lab.aws import compute_seed
from crashcart.lab.aws.compute_seed import GROUP
from crashcart.plan import OnFailure, Options, Plan, PlannedStep, TargetPlan
from crashcart.results import Mode, Phase, TargetResult
from crashcart.transports.aws import AwsConnector
from tests.emulator import Emulator

WRITES = frozenset({"SetDesiredCapacity", "UpdateAutoScalingGroup", "RegisterTargets", "DeregisterTargets"})
WEB, API, HOSTS = compute_seed.TARGET_GROUPS.values()
T = TypeVar("T")


class LabClock(FakeClock):
    """A clock that nobody waits for; the lab's time moves with it. ``then`` happens once, at the first wait."""

    def __init__(self, emulator: Emulator, then: Callable[[], object] | None = None) -> None:
        super().__init__()
        self._emulator, self._then = emulator, then

    def wait(self, inbox: SimpleQueue[T], seconds: float | None, *, busy: bool) -> T | None:
        before = self.monotonic()
        item = super().wait(inbox, seconds, busy=busy)
        passed = self.monotonic() - before
        if passed:
            self._emulator.advance(passed)
            then, self._then = self._then, None
            if then:
                then()
        return item


class Compute:
    """The emulator with what runs on instances: two of at most four in service, behind two target groups."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.client = emulator.client

    def seed(self) -> None:
        """Begin anew, with everything up and healthy."""
        self.emulator.reset("compute")
        self.advance(30)
        self.forget()

    def advance(self, seconds: float) -> None:
        self.emulator.advance(seconds)

    def forget(self) -> None:
        """Count requests from here."""
        self.emulator.forget_requests()

    @property
    def actions(self) -> list[str]:
        return [str(request["action"]) for request in self.emulator.requests()]

    @property
    def writes(self) -> int:
        """How often something was asked that only the operations ask here."""
        return sum(action in WRITES for action in self.actions)

    @property
    def group(self) -> dict[str, Any]:
        groups = self.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[GROUP])
        found: dict[str, Any] = groups["AutoScalingGroups"][0]
        return found

    @property
    def sizes(self) -> tuple[int, int, int]:
        group = self.group
        return group["MinSize"], group["DesiredCapacity"], group["MaxSize"]

    @property
    def in_service(self) -> int:
        return sum(member["LifecycleState"] == "InService" for member in self.group["Instances"])

    def arn(self, name: str) -> str:
        return str(self.client("elbv2").describe_target_groups(Names=[name])["TargetGroups"][0]["TargetGroupArn"])

    def states(self, name: str = HOSTS) -> dict[str, str]:
        """The states of a target group's targets."""
        health = self.client("elbv2").describe_target_health(TargetGroupArn=self.arn(name))
        return {one["Target"]["Id"]: one["TargetHealth"]["State"] for one in health["TargetHealthDescriptions"]}

    def run_instance(self, **more: Any) -> str:
        """Start an instance of nobody's in the load balancer's network."""
        subnet = self.client("ec2").describe_subnets(Filters=[{"Name": "cidr-block", "Values": ["10.20.0.0/24"]}])
        image = self.client("ec2").describe_images(Owners=["self"])["Images"][0]["ImageId"]
        where = {"SubnetId": subnet["Subnets"][0]["SubnetId"], "ImageId": image, **more}
        ran = self.client("ec2").run_instances(InstanceType="t3.small", MinCount=1, MaxCount=1, **where)
        return str(ran["Instances"][0]["InstanceId"])


class Control:
    """Runs one operation over one target with everything that a run has."""

    def __init__(self, folder: Path, server: Compute, connect: AwsConnector) -> None:
        self.folder, self.server, self.connect = folder, server, connect

    def run(
        self,
        operation: str,
        wish: dict[str, object],
        name: str = GROUP,
        *,
        mode: Mode = Mode.APPLY,
        deadline: float = 120.0,
        on_failure: OnFailure = OnFailure.KEEP,
        then: Callable[[], object] | None = None,
    ) -> TargetResult:
        """Run it to its end; ``then`` happens when the run first waits."""
        kind = "autoscaling_group" if operation.startswith("asg") else "target_group"
        step = PlannedStep("step", operation, Phase.STEP, wish, attempts=3, deadline=deadline)
        target = self.server.emulator.target(kind, name)
        plan = Plan("recover.test", "Test", name, (TargetPlan(target, (step,)),), on_failure=on_failure)
        first = RunStarted(f"run{len(list(self.folder.iterdir()))}", "tester", plan, Options(mode=mode))
        clock = LabClock(self.server.emulator, then)
        return self._execute(first, clock, RunFolder.create(self.folder, first, clock), Past())

    def resume(self) -> TargetResult:
        """Go on with the last run, as after a crash."""
        journal, clock = max(self.folder.glob("run*/events.jsonl")), LabClock(self.server.emulator)
        past = PastRun.read(journal)
        record = RunFolder.reopen(journal, clock)
        return self._execute(past.started, clock, record, Past(past.recall(), past.begun()))

    def _execute(self, first: RunStarted, clock: FakeClock, record: RunFolder, past: Past) -> TargetResult:
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
                past=past,
            )
            (result,) = run.execute().results
            return result
        finally:
            record.close()
