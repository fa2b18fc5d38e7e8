"""The rules by which a group gets its old sizes back, gently: a part at a time, and only while all the others serve."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from crashcart.facts.autoscaling import ACTIVITIES, TARGETS, Fleet, Group
from crashcart.operations.autoscaling_assess import resume, standing, verdict_of
from crashcart.operations.autoscaling_scale import POLL, going_away, sizes_token
from crashcart.operations.autoscaling_wish import RestoreGoal, RestoreWish
from crashcart.operations.base import Act, Action, Decision, Done, Effect, Fail, Look, Memory, Refuse, Wait
from crashcart.results import Change
from crashcart.transports.base import ApiCall

ASIDE = "--force lowers it all the same"


class Scene(msgspec.Struct, frozen=True):
    """What a rule decides from: the state, the run's memory and the wish."""

    state: Fleet
    memory: Memory[Fleet, RestoreGoal]
    wish: RestoreWish

    @property
    def group(self) -> Group:
        """The group."""
        return self.state.group

    @property
    def goal(self) -> RestoreGoal:
        """The sizes that shall be."""
        return self.memory.goal

    @property
    def last_set(self) -> int:
        """The desired capacity that this run set last, or found."""
        numbers = [int(key.rpartition(" ")[2]) for key in self.memory.applied]
        return numbers[-1] if numbers else self.goal.before

    @property
    def is_steady(self) -> bool:
        """Whether nobody is coming or going."""
        return len(self.group.active) == self.group.desired and not self.group.leaving


Rule = Callable[[Scene], Decision | None]


def decide_restore(scene: Scene) -> Decision:
    """Go through the rules; the first that has something to say decides."""
    return next(decision for decision in (rule(scene) for rule in _RULES) if decision)


def _going_away(scene: Scene) -> Decision | None:
    return going_away(scene.group)


def _is_there(scene: Scene) -> Decision | None:
    """Be done when the sizes are as they shall be and, after a change of ours, whoever had to leave has left."""
    group, goal = scene.group, scene.goal
    if (group.min_size, group.max_size, group.desired) != (goal.min_size, goal.max_size, goal.desired):
        return None
    if scene.memory.acted and not scene.is_steady:
        return Wait(f"{group.name} has its sizes back; {standing(scene.state)}", POLL)
    kept = f"; the desired capacity is left alone: {goal.kept} ({ASIDE})" if goal.kept else ""
    nothing = "" if scene.memory.acted else "nothing to put back: "
    return Done(f"{nothing}{standing(scene.state)}{kept}", verdict_of(scene.state), hold=scene.wish.settle)


def _out_of_order(scene: Scene) -> Decision | None:
    goal = scene.goal
    if goal.min_size <= goal.desired:
        return None
    why = f"a min of {goal.min_size} would raise the desired capacity of {scene.group.name}, which is {goal.desired}"
    return Refuse(why, f"inv recover.asg-scale --at-least {goal.min_size} --hosts ... raises it")


def _set_by_others(scene: Scene) -> Decision | None:
    """Stop where the capacity is not what this run set last: AWS may show it late, or somebody wants it otherwise."""
    group, last = scene.group, scene.last_set
    if group.desired == last:
        return None
    if not scene.memory.acted:
        return Refuse(f"the desired capacity of {group.name} moved from {last} to {group.desired} meanwhile", "run it again")
    if group.desired < last:
        return Fail(f"somebody lowered {group.name} to {group.desired} meanwhile", "look at who did, then run it again")
    if scene.state.activities is None:
        return Look(ACTIVITIES)
    raised = [resize for resize in scene.state.activities.resizes if resize.after == group.desired > resize.before]
    known = scene.memory.pin.activities.resizes if scene.memory.pin.activities else ()
    new = [resize for resize in raised if resize not in known and not resize.by_user]
    if new:
        return Fail(f"{group.name} was raised again while it was lowered: {new[-1].line}", ASIDE, verdict_of(scene.state))
    return Wait(f"AWS accepted {last} for {group.name} and still shows {group.desired}", POLL)


def _only_bounds(scene: Scene) -> Decision | None:
    return _change(scene, scene.goal.desired) if scene.group.desired <= scene.goal.desired else None


def _all_serve(scene: Scene) -> Decision | None:
    """Take nobody away while others come, go, or are not well."""
    group, state = scene.group, scene.state
    if scene.memory.acted and not scene.is_steady:
        return Wait(f"lowered to {group.desired}, on the way to {scene.goal.desired}: {standing(state)}", POLL)
    if scene.wish.force:
        return None
    if not state.vouched:
        return Look(TARGETS)
    if len(state.serving) >= group.desired and scene.is_steady:
        return None
    why = f"{group.name} is not well enough to lose instances: {standing(state)}"
    return Wait(why, POLL) if scene.memory.acted else Refuse(why, f"inv check.asg --hosts ... until it is; {ASIDE}")


def _cannot_leave(scene: Scene) -> Decision | None:
    """Refuse what would have no effect: nobody may be terminated."""
    group = scene.group
    terminate = group.suspension("Terminate")
    if terminate:
        why = f"the process Terminate of {group.name} is suspended ({terminate.reason}): nobody would leave"
        return Refuse(why, resume(group, "Terminate"))
    free = [member for member in group.active if not member.protected]
    if group.desired - _next(scene) <= len(free):
        return None
    why = f"{len(group.active) - len(free)} instances of {group.name} are protected from scale-in"
    return Refuse(why, "aws autoscaling set-instance-protection --no-protected-from-scale-in ...")


def _lower(scene: Scene) -> Decision:
    return _change(scene, _next(scene))


def _next(scene: Scene) -> int:
    """Return the next capacity on the way: at least one instance less, at most ``step``."""
    now = scene.group.desired
    return max(scene.goal.desired, now - max(1, int(now * scene.wish.step / 100)))


def _change(scene: Scene, desired: int) -> Decision:
    """Send one step; the last one also puts the bounds back."""
    group, goal = scene.group, scene.goal
    sizes: dict[str, int] = {}
    if desired == goal.desired:
        bounds = {"MinSize": (group.min_size, goal.min_size), "MaxSize": (group.max_size, goal.max_size)}
        sizes = {name: new for name, (old, new) in bounds.items() if old != new}
    low, high = sizes.get("MinSize", group.min_size), sizes.get("MaxSize", group.max_size)
    key = f"set min, max and desired of {group.name} to {low} {high} {desired}"
    if key in scene.memory.applied:
        return Wait(f"AWS accepted new sizes for {group.name} and still shows {group.sizes}", POLL)
    params: dict[str, Any] = {"AutoScalingGroupName": group.name, **sizes, "DesiredCapacity": desired}
    action = Action(
        key=key,
        effect=Effect.CONVERGE,
        summary=_summary(scene, desired, sizes),
        only_if=sizes_token(group),
        call=ApiCall("autoscaling", "UpdateAutoScalingGroup" if sizes else "SetDesiredCapacity", params),
        changes=_changes(group, desired, sizes),
    )
    return Act(action)


def _summary(scene: Scene, desired: int, sizes: dict[str, int]) -> str:
    parts = [f"{name} to {number}" for name, number in sizes.items()]
    if desired != scene.group.desired:
        way = f", on the way to {scene.goal.desired}" if desired != scene.goal.desired else ""
        parts.insert(0, f"the desired capacity from {scene.group.desired} to {desired}{way}")
    return f"set of {scene.group.name}: {', '.join(parts)}"


def _changes(group: Group, desired: int, sizes: dict[str, int]) -> tuple[Change, ...]:
    before = {"DesiredCapacity": group.desired, "MinSize": group.min_size, "MaxSize": group.max_size}
    after = {"DesiredCapacity": desired, **sizes}
    return tuple(
        Change(f"{name} of {group.name}", str(before[name]), str(new)) for name, new in after.items() if before[name] != new
    )


_RULES: tuple[Rule, ...] = (
    _going_away,
    _is_there,
    _out_of_order,
    _set_by_others,
    _only_bounds,
    _all_serve,
    _cannot_leave,
    _lower,
)
