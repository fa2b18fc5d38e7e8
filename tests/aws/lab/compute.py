"""What the tests of Auto Scaling, ELBv2 and EC2 share: a seeded emulator, seen through real boto3 clients."""

from __future__ import annotations

import http.server
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import ClientError

from crashcart.lab.aws.compute_seed import GROUP, LabInstance, seed_compute
from tests.emulator import Emulator

LONG = 120.0


class Compute:
    """The seeded group, its target groups and its instances, as the API shows them."""

    def __init__(self, emulator: Emulator, *hosts: LabInstance) -> None:
        self.emulator = emulator
        seed_compute(emulator.client, hosts)
        self.autoscaling, self.elb, self.ec2 = (emulator.client(name) for name in ("autoscaling", "elbv2", "ec2"))
        found = self.elb.describe_target_groups()["TargetGroups"]
        self.target_groups = {group["TargetGroupName"]: group["TargetGroupArn"] for group in found}
        self.pass_time(LONG)

    def pass_time(self, seconds: float) -> None:
        """Let the lab's time pass."""
        self.emulator.advance(seconds)

    def fault(self, kind: str, resource: str, value: str = "on") -> None:
        """Make a standing fault hold for a resource."""
        self.emulator.condition(kind, resource, value)

    def group(self) -> Any:
        """The group as DescribeAutoScalingGroups shows it."""
        return self.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[GROUP])["AutoScalingGroups"][0]

    def lifecycles(self) -> Counter[str]:
        """How many members are in each lifecycle state."""
        return Counter(member["LifecycleState"] for member in self.group()["Instances"])

    def members(self) -> list[str]:
        """The ids of the members in service."""
        return [member["InstanceId"] for member in self.group()["Instances"] if member["LifecycleState"] == "InService"]

    def activities(self, **wanted: Any) -> list[Any]:
        """The group's scaling activities."""
        return list(self.autoscaling.describe_scaling_activities(AutoScalingGroupName=GROUP, **wanted)["Activities"])

    def scale(self, desired: int, **wanted: Any) -> None:
        """Set the desired capacity."""
        self.autoscaling.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=desired, **wanted)

    def descriptions(self, target_group: str, *ids: str) -> list[Any]:
        """The descriptions of all targets of a group, or of some."""
        asked = {"Targets": [{"Id": name} for name in ids]} if ids else {}
        answer = self.elb.describe_target_health(TargetGroupArn=self.target_groups[target_group], **asked)
        return list(answer["TargetHealthDescriptions"])

    def health(self, target_group: str, *ids: str) -> dict[str, tuple[str, str | None]]:
        """State and reason of targets, by id."""
        found = self.descriptions(target_group, *ids)
        return {
            target["Target"]["Id"]: (target["TargetHealth"]["State"], target["TargetHealth"].get("Reason"))
            for target in found
        }

    def register(self, target_group: str, *ids: str) -> None:
        """Register instances."""
        self.elb.register_targets(TargetGroupArn=self.target_groups[target_group], Targets=[{"Id": name} for name in ids])

    def deregister(self, target_group: str, *ids: str) -> None:
        """Deregister instances."""
        self.elb.deregister_targets(TargetGroupArn=self.target_groups[target_group], Targets=[{"Id": name} for name in ids])

    def hosts(self) -> dict[str, str]:
        """The ids of the lab hosts' instances, by host name."""
        filters = [{"Name": "tag-key", "Values": ["crashcart:host"]}]
        found = self.ec2.describe_instances(Filters=filters)["Reservations"]
        instances = [instance for reservation in found for instance in reservation["Instances"]]
        return {
            tag["Value"]: one["InstanceId"] for one in instances for tag in one["Tags"] if tag["Key"] == "crashcart:host"
        }


def refused(call: Callable[[], object]) -> tuple[str, str]:
    """Make a call that must be refused; tell code and text."""
    try:
        call()
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["Error"]["Message"]
    raise AssertionError("the call was accepted")


class HealthServer:
    """A service with /health whose answer a test chooses."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.status = 200
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        """Where it is asked."""
        return f"http://127.0.0.1:{self.port}/health"


@contextmanager
def health_server() -> Iterator[HealthServer]:
    """Serve /health on a free port."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        health = HealthServer(server.server_port)
        server.RequestHandlerClass = _handler(health)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield health
        finally:
            server.shutdown()
            thread.join()


def _handler(health: HealthServer) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            health.asked.append(self.path)
            self.send_response(health.status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler
