"""Why a group does not get its instances, in words, and what would help."""

from __future__ import annotations

from collections.abc import Sequence

from crashcart.facts.autoscaling import Fleet
from crashcart.facts.autoscaling_activities import LASTING, Activity, Kind, Reason, failures
from crashcart.operations.base import Fail
from crashcart.results import Verdict

PATIENCE = 3
"""Failed launches in a row that may pass by themselves; AWS tries each zone of a group in turn."""

CYCLES = 2
"""New instances that fail their health checks before one calls it a cycle."""

_WORDS = {
    Reason.CAPACITY: (
        "AWS has no capacity for its instances",
        "allow another instance type or zone in the group; a shortage may also pass: AWS goes on trying",
    ),
    Reason.IMAGE: ("its image (AMI) cannot be used", "name an image that exists in its launch template, then run it again"),
    Reason.QUOTA: (
        "an account quota is used up",
        "aws service-quotas request-service-quota-increase ..., or end instances that nobody needs",
    ),
    Reason.ADDRESSES: (
        "its subnet has no free IP addresses",
        "add a subnet: aws autoscaling update-auto-scaling-group --vpc-zone-identifier ...",
    ),
    Reason.PERMISSION: ("it may not launch instances", "mend its service-linked role, or the key of its encrypted volumes"),
    Reason.SETTINGS: ("its launch settings cannot work", "mend its launch template, then run it again"),
    Reason.HOOK: ("a lifecycle hook gave its new instances up", "find out why they do not get ready in time"),
    Reason.OTHER: ("its launches fail", "aws autoscaling describe-scaling-activities tells more"),
}


def failing(activities: Sequence[Activity]) -> Activity | None:
    """Return the last failed launch if launching does not work, by what these activities, oldest first, tell.

    A reason that lasts is enough once; another has to come back. A launch that is under way may still succeed.
    """
    failed = failures(activities)
    if not failed:
        return None
    last = failed[-1]
    trying = any(one.kind is Kind.LAUNCH and not one.ended and one.at >= last.at for one in activities)
    return None if trying or (last.reason not in LASTING and len(failed) < PATIENCE) else last


def cycling(activities: Sequence[Activity]) -> tuple[Activity, ...]:
    """Return the terminations of instances that came up among these activities and failed their health checks."""
    new = {activity.instance for activity in activities if activity.kind is Kind.LAUNCH}
    gone = tuple(activity for activity in activities if activity.for_health and activity.instance in new)
    return gone if len(gone) >= CYCLES else ()


def shown(activity: Activity) -> str:
    """Say why a launch failed, in our words and in AWS's."""
    return f"{_WORDS[activity.reason][0]}: {activity.said or 'AWS does not say why'}"


def remedy(activity: Activity) -> str:
    """Say what would help."""
    return _WORDS[activity.reason][1]


def trouble(state: Fleet, activities: Sequence[Activity], verdict: Verdict) -> Fail | None:
    """Fail when launches fail, or when what comes up is taken out again, instead of waiting for it."""
    failed = failing(activities)
    if failed:
        return Fail(f"{state.group.name} cannot launch instances: {shown(failed)}", remedy(failed), verdict)
    cycle = cycling(activities)
    if not cycle:
        return None
    names = ", ".join(activity.instance for activity in cycle)
    why = f"new instances of {state.group.name} come up and are replaced ({names}): {cycle[-1].cause}"
    return Fail(why, "mend what makes them fail (image, configuration, what they depend on) before adding more", verdict)
