"""The rules by which a group is made larger, or not (S0-R5; defect 3).

Each rule decides or passes on; their order is the safety argument. The desired capacity is never lowered: what is large
enough already is only waited for, and raising is what remains when no rule objects. That AWS took the call proves nothing:
only instances in service and healthy targets do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from crashcart.facts.autoscaling import ACTIVITIES, POLICIES, REFRESHES, TARGETS, Fleet, Group
from crashcart.facts.autoscaling_activities import Activity
from crashcart.operations.autoscaling_assess import resume, standing, verdict_of
from crashcart.operations.autoscaling_trouble import failing, remedy, shown, trouble
from crashcart.operations.autoscaling_wish import ScaleGoal, ScaleWish
from crashcart.operations.base import Act, Action, Decision, Done, Effect, Fail, Look, Memory, Refuse, Wait
from crashcart.plan import Undo
from crashcart.results import Change
from crashcart.transports.base import ApiCall

POLL = 5.0
"""Seconds between looks at instances that take a minute to come up."""

FORCE = "--force raises it all the same"


class Scene(msgspec.Struct, frozen=True):
    """What a rule decides from: the state, the run's memory and the wish."""

    state: Fleet
    memory: Memory[Fleet, ScaleGoal]
    wish: ScaleWish

    @property
    def group(self) -> Group:
        """The group."""
        return self.state.group

    @property
    def wanted(self) -> int:
        """The number that was settled at the first look."""
        return self.memory.goal.at_least

    @property
    def news(self) -> Sequence[Activity]:
        """The activities that say something: since the first look when this run has acted, else those of the last while."""
        if self.state.activities is None:
            return ()
        if self.memory.acted:
            return self.state.activities.since(self.memory.pin.activities)
        return self.state.activities.within(self.wish.cooldown)


Rule = Callable[[Scene], Decision | None]


def decide_scale(scene: Scene) -> Decision:
    """Go through the rules; the first that has something to say decides."""
    rules = _AFTER if scene.memory.acted else _BEFORE
    return next(decision for decision in (rule(scene) for rule in rules) if decision)


def sizes_token(group: Group) -> str:
    """Name what a change of sizes is decided from."""
    return f"{group.min_size} {group.max_size} {group.desired}"


def going_away(group: Group) -> Refuse | None:
    """Refuse a group that is being deleted."""
    return Refuse(f"{group.name} is going away: {group.status}") if group.status else None


def _going_away(scene: Scene) -> Decision | None:
    return going_away(scene.group)


def _relative_to_what(scene: Scene) -> Decision | None:
    """Refuse a relative wish that might be a repetition, or that adds nothing."""
    goal, wish = scene.memory.goal, scene.wish
    if wish.number is not None or goal.repeated:
        return None
    if goal.unclear:
        why = f"nobody knows whether --by {wish.by} was done already: {goal.unclear}"
        return Refuse(why, f"--at-least {goal.at_least} says it in absolute terms; --cooldown 0s adds without asking")
    if goal.at_least == goal.desired:
        return Refuse(f"{scene.group.name} has a desired capacity of {goal.desired}: {wish.by} adds nothing", "--at-least 1")
    return None


def _serve(scene: Scene) -> Decision | None:
    """Be done when enough serve. What the target groups say of new instances is asked of each of them."""
    state = scene.state
    if scene.group.desired < scene.wanted or len(state.serving) < scene.wanted:
        return None
    if not (state.all_asked if scene.memory.acted else state.vouched):
        return Look(TARGETS)
    done = f"already {scene.group.desired} desired, at least {scene.wanted} wanted; " if not scene.memory.acted else ""
    again = f"; done shortly before: {scene.memory.goal.repeated}" if scene.memory.goal.repeated else ""
    return Done(f"{done}{standing(state)}{again}", verdict_of(state), hold=scene.wish.settle)


def _come_up(scene: Scene) -> Decision | None:
    """Wait for what is desired already, unless it cannot come."""
    if scene.group.desired < scene.wanted:
        return None
    blocked = _blocked(scene)
    if blocked and len(scene.group.active) < scene.wanted:
        return Fail(blocked.why, blocked.hint, verdict_of(scene.state))
    if scene.state.activities is None:
        return Look(ACTIVITIES)
    unread = (
        f"; its activities could not be read: {scene.state.activities.unreadable}"
        if scene.state.activities.unreadable
        else ""
    )
    known = trouble(scene.state, scene.news, verdict_of(scene.state))
    return known or Wait(f"{scene.wanted} wanted, {standing(scene.state)}{_in_words(scene)}{unread}", POLL, _LATE)


_LATE = (
    "aws autoscaling describe-scaling-activities and the instances' own logs tell why; they are not taken back by themselves"
)


def _in_words(scene: Scene) -> str:
    """Show the last failed launch that is not yet one too many."""
    failed = [activity for activity in scene.news if activity.failed]
    return f"; last failed launch: {shown(failed[-1])}" if failed else ""


def _raise_under_way(scene: Scene) -> Decision | None:
    """Refuse to add to a capacity that somebody is just raising: AWS does not tell yet by whom, it may be this very wish."""
    group, goal = scene.group, scene.memory.goal
    if scene.wish.number is not None or goal.repeated or group.desired <= len(group.active):
        return None
    why = f"{group.name} is on its way from {len(group.active)} to {group.desired} already: what to add to is not clear"
    return Refuse(why, f"--at-least {goal.at_least} if that is not enough")


def _changed_meanwhile(scene: Scene) -> Decision | None:
    """Add to the capacity of the first look only: a relative wish is settled once."""
    goal = scene.memory.goal
    if scene.wish.number is not None or goal.repeated or scene.group.desired == goal.desired:
        return None
    moved = f"moved from {goal.desired} to {scene.group.desired} meanwhile, not by this run"
    why = f"the desired capacity of {scene.group.name} {moved}"
    return Refuse(why, f"--at-least {goal.at_least} if that is still wanted")


def _above_max(scene: Scene) -> Decision | None:
    group = scene.group
    if scene.wanted <= group.max_size or scene.wish.raise_max:
        return None
    why = f"{scene.wanted} is above the max of {group.name} ({group.sizes})"
    return Refuse(why, f"--raise-max sets its max to {scene.wanted}; inv runs.undo last puts {group.max_size} back")


def _blocked(scene: Scene) -> Refuse | None:
    """Say which suspended process would keep new instances away."""
    group = scene.group
    needed = ("Launch", "AddToLoadBalancer") if group.target_groups else ("Launch",)
    found = next((process for process in map(group.suspension, needed) if process), None)
    if found is None:
        return None
    effect = "nothing would be launched" if found.name == "Launch" else "new instances would get no traffic"
    return Refuse(
        f"the process {found.name} of {group.name} is suspended ({found.reason}): {effect}", resume(group, found.name)
    )


def _refreshing(scene: Scene) -> Decision | None:
    """Refuse while instances are being replaced by others: what comes up may be what is being rolled out."""
    refreshes = scene.state.refreshes
    if scene.wish.force:
        return None
    if refreshes is None:
        return Look(REFRESHES)
    name = scene.group.name
    if refreshes.unreadable:
        return Refuse(f"nobody knows whether an instance refresh of {name} is running: {refreshes.unreadable}", FORCE)
    if not refreshes.running:
        return None
    cancel = f"aws autoscaling cancel-instance-refresh --auto-scaling-group-name {name}"
    return Refuse(f"an instance refresh of {name} is running: {refreshes.running[0]}", f"wait for it, or {cancel}; {FORCE}")


def _failing_already(scene: Scene) -> Decision | None:
    """Refuse to ask for more of what does not come."""
    if scene.wish.force:
        return None
    if scene.state.activities is None:
        return Look(ACTIVITIES)
    failed = failing(scene.news)
    if failed is None:
        return None
    return Refuse(f"{scene.group.name} cannot launch instances as it is: {shown(failed)}", f"{remedy(failed)}; {FORCE}")


def _who_else(scene: Scene) -> Decision | None:
    return Look(POLICIES) if scene.state.policies is None else None


def _raise(scene: Scene) -> Decision:
    group, number = scene.group, scene.wanted
    is_above = number > group.max_size
    sizes = {"MaxSize": number} if is_above else {}
    operation = "UpdateAutoScalingGroup" if is_above else "SetDesiredCapacity"
    changes = [Change(f"desired capacity of {group.name}", str(group.desired), str(number))]
    changes += [Change(f"max size of {group.name}", str(group.max_size), str(number))] if is_above else []
    raised = f", and its max from {group.max_size}" if is_above else ""
    action = Action(
        key=f"raise {group.name} to {number}",
        effect=Effect.CONVERGE,
        summary=f"raise the desired capacity of {group.name} from {group.desired}{raised} to {number}{_said(scene)}",
        only_if=sizes_token(group),
        call=ApiCall("autoscaling", operation, {"AutoScalingGroupName": group.name, **sizes, "DesiredCapacity": number}),
        changes=tuple(changes),
        undo=_undo(scene, is_above=is_above),
        budget="scale",
    )
    return Act(action)


def _undo(scene: Scene, *, is_above: bool) -> Undo:
    group = scene.group
    args = {"desired": group.desired, "raised_to": scene.wanted} | ({"max_size": group.max_size} if is_above else {})
    also = f" and its max to {group.max_size}" if is_above else ""
    return Undo("asg.restore", args, f"lower {group.name} step by step to {group.desired}{also}")


def _said(scene: Scene) -> str:
    """Say what one should know, and what decides nothing: who may take it back, and what goes on already."""
    state, group = scene.state, scene.group
    policies, parts = state.policies, []
    if policies and policies.listed and not group.suspension("AlarmNotification"):
        parts.append(f"a scaling policy may take it back: {', '.join(policies.listed)}")
    if policies and policies.unreadable:
        parts.append(f"whether a scaling policy takes it back is not known: {policies.unreadable}")
    running = state.activities.running if state.activities else ()
    if running:
        parts.append(f"{len(running)} scaling activities are in progress")
    return "".join(f"; {part}" for part in parts) + _in_words(scene)


def _taken_back(scene: Scene) -> Decision | None:
    """Tell a raise that AWS does not show yet from one that a policy, or somebody, has undone."""
    group = scene.group
    if group.desired >= scene.wanted:
        return None
    if scene.state.activities is None:
        return Look(ACTIVITIES)
    pinned = scene.memory.pin.activities
    known = pinned.resizes if pinned else ()
    new = [resize for resize in scene.state.activities.resizes if resize not in known and resize.after < resize.before]
    if new and new[-1].after == group.desired:
        hint = (
            f"if it shall stay: aws autoscaling suspend-processes --auto-scaling-group-name {group.name} --scaling-processes"
        )
        return Fail(
            f"the raise to {scene.wanted} was taken back: {new[-1].line}",
            f"{hint} AlarmNotification",
            verdict_of(scene.state),
        )
    return Wait(f"AWS accepted {scene.wanted} for {group.name} and still shows {group.desired}", POLL)


_BEFORE: tuple[Rule, ...] = (
    _going_away,
    _relative_to_what,
    _serve,
    _come_up,
    _changed_meanwhile,
    _raise_under_way,
    _above_max,
    _blocked,
    _refreshing,
    _failing_already,
    _who_else,
    _raise,
)

_AFTER: tuple[Rule, ...] = (
    _going_away,
    _taken_back,
    _serve,
    _come_up,
)
