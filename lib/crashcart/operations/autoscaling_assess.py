"""How an Auto Scaling group is, and the command that would help."""

from __future__ import annotations

from collections import Counter

from crashcart.facts.autoscaling import ACTIVITIES, Behind, Fleet, Group
from crashcart.operations.autoscaling_trouble import trouble
from crashcart.operations.base import Decision, Done, Fail, Look
from crashcart.results import Verdict

PROGRESS = "wait, then look again: inv check.asg --hosts ..."

RECENT = 900.0
"""Seconds back in which a failed launch still says something about now."""


def assess(state: Fleet) -> Decision:
    """Judge the state as it is now; nothing is waited for."""
    group, verdict = state.group, verdict_of(state)
    if group.status:
        return Fail(f"{group.name} is going away: {group.status}", "", verdict)
    if verdict is Verdict.HEALTHY:
        return Done(f"{group.name}: {standing(state)}", verdict)
    if state.activities is None:
        return Look(ACTIVITIES)
    known = trouble(state, state.activities.within(RECENT), verdict)
    if known:
        return known
    unread = f"; its activities could not be read: {state.activities.unreadable}" if state.activities.unreadable else ""
    return Fail(f"{group.name}: {standing(state)}{unread}", _hint(state), verdict)


def verdict_of(state: Fleet) -> Verdict:
    """Return how the group is, in one word: healthy when as many serve as are desired, and that is more than none."""
    if state.group.status or not state.serving:
        return Verdict.DOWN
    return Verdict.HEALTHY if len(state.serving) >= state.group.desired else Verdict.DEGRADED


def standing(state: Fleet) -> str:
    """Say how many serve, what the others do, and what is unusual about the group."""
    group = state.group
    parts = [f"{len(state.serving)} of {group.desired} serve ({group.sizes})", *_others(group), *map(_behind, state.behind)]
    return "; ".join([*(part for part in parts if part), *_suspended(group)])


def _others(group: Group) -> list[str]:
    words = Counter(
        member.lifecycle if member.lifecycle != "InService" else "unhealthy"
        for member in group.members
        if not member.in_service
    )
    return [f"{number} {word}" for word, number in sorted(words.items())]


def _behind(behind: Behind) -> str:
    if behind.idle:
        return f"no load balancer uses {behind.name}"
    sick = Counter(str(backend.state) for backend in behind.backends if backend.id not in behind.healthy)
    said = ", ".join(f"{number} {word}" for word, number in sorted(sick.items()))
    return f"{behind.name}: {len(behind.healthy)} healthy" + (f", {said}" if said else "")


def _suspended(group: Group) -> list[str]:
    listed = [f"{process.name} ({process.reason})" if process.reason else process.name for process in group.suspended]
    return [f"suspended: {', '.join(listed)}"] if listed else []


def _hint(state: Fleet) -> str:
    group = state.group
    launch = group.suspension("Launch")
    if launch and len(group.active) < group.desired:
        return resume(group, "Launch")
    if any(member.starting for member in group.members):
        return PROGRESS
    more = max(1, min(group.max_size, 2 * group.desired - len(state.serving)))
    return f"inv recover.asg-scale --at-least {more} --hosts ..."


def resume(group: Group, process: str) -> str:
    """Return the command that lets a suspended process go on."""
    return f"aws autoscaling resume-processes --auto-scaling-group-name {group.name} --scaling-processes {process}"
