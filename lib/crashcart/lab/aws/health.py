"""AWS Health, which moto does not have: DescribeEvents with the issues that faults make. There are none otherwise.

User guide and API reference of AWS Health: events by service and region; ``PUBLIC`` ones concern everybody in a region,
``ACCOUNT_SPECIFIC`` ones this account. How long an issue is open is unverified: here always ten minutes. An account without
a support plan is what ``aws.error --service health --value SubscriptionRequiredException`` makes of this one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import Any, ClassVar

from moto.core.request import Request
from moto.core.responses import ActionResult, BaseResponse

from crashcart.lab.aws.world import ANY, World

LASTS = timedelta(minutes=10)


class LabHealth(BaseResponse):
    """The API's actions."""

    world: ClassVar[World]

    def __init__(self) -> None:
        super().__init__(service_name="health")
        self.automated_parameter_parsing = True

    def describe_events(self) -> ActionResult:
        """DescribeEvents: open issues of the services and regions that are asked for."""
        wanted = self._get_params().get("filter") or {}
        fits = "issue" in wanted.get("eventTypeCategories", ["issue"]) and "open" in wanted.get("eventStatusCodes", ["open"])
        return ActionResult({"events": list(self._issues(wanted)) if fits else []})

    def _issues(self, wanted: dict[str, Any]) -> Iterator[dict[str, Any]]:
        services = wanted.get("services") or []
        for condition in self.world.standing():
            if condition.kind == "health.issue":
                service = "EC2" if condition.resource == ANY else condition.resource.upper()
                regions = wanted.get("regions") or [self.region]
                if not services or service in services:
                    yield self._event(service, regions[0], ours=condition.value == "ours")

    def _event(self, service: str, region: str, *, ours: bool) -> dict[str, Any]:
        code, now = f"AWS_{service}_OPERATIONAL_ISSUE", self.world.now()
        return {
            "arn": f"arn:aws:health:{region}::event/{service}/{code}/{code}_LAB",
            "service": service,
            "eventTypeCode": code,
            "eventTypeCategory": "issue",
            "region": region,
            "startTime": now - LASTS,
            "lastUpdatedTime": now,
            "statusCode": "open",
            "eventScopeCode": "ACCOUNT_SPECIFIC" if ours else "PUBLIC",
        }


def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer one request, as a WSGI application."""
    request = Request(environ)
    status, headers, body = LabHealth.dispatch(request, request.url, dict(request.headers))
    start_response(f"{status} ", list(headers.items()))
    return [body if isinstance(body, bytes) else str(body).encode()]


def install(world: World) -> None:
    """Make it part of this world."""
    LabHealth.world = world
