"""Elastic Load Balancing with time and truth: targets become healthy, drain, and lab hosts are asked over the network.

moto keeps load balancers, listeners, rules and the set of targets; what a target's health is, is decided here. States and
reasons follow the API reference of ``TargetHealth``; the descriptions are those that the CLI reference of
``describe-target-health`` shows, unless a line says unverified.

Simplified: one check decides (AWS waits for ``UnhealthyThresholdCount`` failures, then for ``HealthyThresholdCount``);
a target is known by its id, whatever the port; the load balancer's zones are not compared with the target's.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, ClassVar

import msgspec
from moto.core.responses import ActionResult
from moto.ec2.models.instances import Instance
from moto.elb import urls
from moto.elbv2 import models
from moto.elbv2.exceptions import ELBClientError, TargetGroupNotFoundError, TargetNotRunning
from moto.elbv2.models import FakeTargetGroup, elbv2_backends
from moto.elbv2.responses import ELBV2Response

from crashcart.lab.aws.compute_seed import HEALTH_URL_TAG
from crashcart.lab.aws.health_probe import Answer, Prober
from crashcart.lab.aws.world import World

DELAY = "deregistration_delay.timeout_seconds"


class Health(msgspec.Struct, frozen=True):
    """A target's health as DescribeTargetHealth shows it."""

    State: str
    Reason: str | None = None
    Description: str | None = None


HEALTHY = Health("healthy")
REGISTERING = Health("initial", "Elb.RegistrationInProgress", "Target registration is in progress")
CHECKING = Health("initial", "Elb.InitialHealthChecking", "Initial health checks in progress")
NOT_IN_USE = Health("unused", "Target.NotInUse", "Target group is not configured to receive traffic from the load balancer")
NOT_REGISTERED = Health("unused", "Target.NotRegistered", "Target is not registered to the target group")
DRAINING = Health("draining", "Target.DeregistrationInProgress", "Target deregistration is in progress")
FAILING = Health("unhealthy", "Target.FailedHealthChecks", "Health checks failed")
TIMED_OUT = Health("unhealthy", "Target.Timeout", "Request timed out")


class Drain(msgspec.Struct, frozen=True):
    """A deregistered target that still finishes its requests."""

    target: dict[str, Any]
    until: datetime


class LabTargetGroup(FakeTargetGroup):
    """A target group that knows since when a target is registered, and until when it drains."""

    world: ClassVar[World]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.registered: dict[str, datetime] = {}
        self.drains: dict[str, Drain] = {}

    def register(self, targets: list[dict[str, Any]]) -> None:
        """Add targets, or none: each must be a running instance of the group's network (API reference: RegisterTargets)."""
        for target in targets:
            self._admit(target["Id"])
        for target in targets:
            if target["Id"] not in self.targets:
                self.registered[target["Id"]] = self.world.now()
            self.drains.pop(target["Id"], None)
        super().register(targets)

    def deregister(self, targets: list[dict[str, Any]]) -> None:
        """Let targets drain; one that is not registered is no error (API reference: DeregisterTargets)."""
        for target in targets:
            gone = self.targets.pop(target["Id"], None)
            if gone is not None and self.in_use():
                self.drains[target["Id"]] = Drain(gone, self.world.now() + self.delay())

    def deregister_terminated_instances(self, instance_ids: list[str]) -> None:
        """Let the targets of terminated instances drain like any others (unverified: AWS may drop them at once)."""
        self.deregister([{"Id": name} for name in instance_ids])

    def in_use(self) -> bool:
        """Tell whether a listener or rule of any load balancer forwards to this group."""
        backend = elbv2_backends[self.account_id][self.region_name]
        return backend._any_listener_using(self.arn)  # noqa: SLF001 - moto's own answer to this question

    def delay(self) -> timedelta:
        """How long a deregistered target drains (target group attributes: 300 s unless set)."""
        return timedelta(seconds=float(str(self.attributes[DELAY])))

    def draining(self) -> list[dict[str, Any]]:
        """The targets that still drain; those whose delay has expired are forgotten."""
        self.drains = {name: drain for name, drain in self.drains.items() if drain.until > self.world.now()}
        return [drain.target for drain in self.drains.values()]

    def instance(self, name: str) -> Instance | None:
        """The instance behind a target, or none for an address or an unknown id."""
        return self.ec2_backend.get_instance_by_id(name)

    def health_url(self, name: str) -> str | None:
        """Where a registered lab host is asked, or none for a target that is only simulated."""
        instance = self.instance(name) if name in self.targets else None
        tags = instance.get_tags() if instance else []
        return next((str(tag["value"]) for tag in tags if tag["key"] == HEALTH_URL_TAG), None)

    def health(self, name: str, answer: Answer | None) -> Health:
        """Judge one target; ``answer`` is what its lab host said."""
        if name not in self.targets:
            return DRAINING if any(target["Id"] == name for target in self.draining()) else NOT_REGISTERED
        if not self.in_use():
            return NOT_IN_USE
        instance = self.instance(name)
        if instance and instance.state in {"stopped", "terminated"}:
            return Health("unused", "Target.InvalidState", f"Target is in the {instance.state} state")
        return self._checked(name, instance, self._seen(name, instance, answer))

    def _checked(self, name: str, instance: Instance | None, seen: Health) -> Health:
        """A new target is initial until its first checks are through, whatever they find."""
        age = (self.world.now() - self.registered[name]).total_seconds()
        registration = self.world.seconds("elbv2.registration")
        if age < registration:
            return REGISTERING
        return CHECKING if age < registration + self.world.seconds("elbv2.first-checks") else seen

    def _seen(self, name: str, instance: Instance | None, answer: Answer | None) -> Health:
        if self.world.condition("elbv2.unhealthy", name) or self.world.condition("elbv2.unhealthy", self.name):
            return mismatch(503)
        if getattr(instance, "fails_health_checks", False):
            return FAILING
        return self._verdict(answer) if answer else HEALTHY

    def _verdict(self, answer: Answer) -> Health:
        if answer.outcome == "timeout":
            return TIMED_OUT
        if answer.outcome == "failed":
            return FAILING
        return HEALTHY if answer.outcome == "open" or self._matches(answer.status) else mismatch(answer.status)

    def _matches(self, status: int) -> bool:
        codes = str(getattr(self, "matcher", {}).get("HttpCode", "200"))
        bounds = (part.partition("-") for part in codes.split(","))
        return any(int(low) <= status <= int(high or low) for low, _, high in bounds)

    def _admit(self, name: str) -> None:
        if not name.startswith("i-"):
            return
        instance = self.instance(name)
        if instance is None:  # the code is documented, the text unverified
            raise ELBClientError("InvalidTarget", f"The following targets are not valid instances: '{name}'")
        if instance.state != "running":
            raise TargetNotRunning(name)
        if instance.vpc_id != self.vpc_id:
            text = f"The following targets are not in the target group VPC '{self.vpc_id}': '{name}'"
            raise ELBClientError("InvalidTarget", text)


def mismatch(status: int) -> Health:
    """A target that answered with a status that the group does not take for health."""
    return Health("unhealthy", "Target.ResponseCodeMismatch", f"Health checks failed with these codes: [{status}]")


class LabElbV2(ELBV2Response):
    """The API's actions that differ from moto's."""

    prober: ClassVar[Prober]

    def describe_target_health(self) -> ActionResult:
        """DescribeTargetHealth: the targets asked for, else all that are registered or drain."""
        group = self._target_group()
        asked = self._get_param("Targets", []) or [*group.targets.values(), *group.draining()]
        urls_of = {target["Id"]: url for target in asked if (url := group.health_url(target["Id"]))}
        answers = self.prober.ask(urls_of.values()) if group.in_use() else {}
        described = [_described(group, target, answers.get(urls_of.get(target["Id"], ""))) for target in asked]
        return ActionResult({"TargetHealthDescriptions": described})

    def _target_group(self) -> LabTargetGroup:
        group = self.elbv2_backend.target_groups.get(self._get_param("TargetGroupArn"))
        if not isinstance(group, LabTargetGroup):
            raise TargetGroupNotFoundError
        return group


def _described(group: LabTargetGroup, target: dict[str, Any], answer: Answer | None) -> dict[str, Any]:
    port = group.targets.get(target["Id"], target).get("Port", group.port)
    check = group.health_check_port
    return {
        "Target": {"Id": target["Id"], "Port": port},
        "HealthCheckPort": str(port) if check in {None, "traffic-port"} else check,
        "TargetHealth": group.health(target["Id"], answer),
    }


def install(world: World) -> None:
    """Put this behaviour into moto: the model class that a new target group gets, and the class that answers the API."""
    LabTargetGroup.world = world
    LabElbV2.prober = Prober(world.now)
    models.FakeTargetGroup = LabTargetGroup  # type: ignore[misc]
    urls.ELBV2Response = LabElbV2  # type: ignore[attr-defined]
