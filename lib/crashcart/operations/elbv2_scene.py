"""What the rules of registering and deregistering have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

from crashcart.facts.elbv2 import TargetGroup
from crashcart.operations.base import Action, Decision, Effect, Memory, NoGoal, Refuse
from crashcart.operations.elbv2_wish import TargetWish
from crashcart.plan import Undo
from crashcart.results import Change
from crashcart.transports.base import ApiCall

POLL = 2.0
"""Seconds between looks; a load balancer checks each target every few seconds."""

W = TypeVar("W", bound=TargetWish)


class Scene(msgspec.Struct, Generic[W], frozen=True):
    """What a rule decides from: the state, the run's memory and the wish."""

    state: TargetGroup
    memory: Memory[TargetGroup, NoGoal]
    wish: W

    @property
    def port(self) -> int | None:
        """The port that is meant: the wish's, else that of the only registration, else the group's."""
        ports = {backend.port for backend in self.state.asked}
        return self.wish.number or (ports.pop() if len(ports) == 1 else self.state.port)

    @property
    def who(self) -> str:
        """The target, with its port where that is not the group's."""
        return self.wish.member if self.port == self.state.port else f"{self.wish.member}:{self.port}"


Rule = Callable[[Scene[W]], Decision | None]


def first_of(rules: tuple[Rule[W], ...], scene: Scene[W]) -> Decision:
    """Return the decision of the first rule that has something to say."""
    return next(decision for decision in (rule(scene) for rule in rules) if decision)


def target_token(state: TargetGroup) -> str:
    """Name what a change is decided from: whether, where and in which state the target is registered."""
    listed = sorted(f"{backend.port}={'on' if backend.registered else 'draining'}" for backend in state.asked)
    return " ".join(listed) or "absent"


def other_type(scene: Scene[W]) -> Decision | None:
    """Refuse a target that is of another type than the group's."""
    expected = "instance" if scene.wish.is_instance else "ip"
    if scene.state.target_type == expected:
        return None
    why = (
        f"{scene.state.name} takes targets of type {scene.state.target_type}, and {scene.wish.member} is of type {expected}"
    )
    return Refuse(why, "name an IP address" if scene.state.target_type == "ip" else "")


def action(scene: Scene[W], *, register: bool, summary: str, undo: Undo) -> Action:
    """Return the one call that registers or deregisters the target."""
    state, who = scene.state, scene.who
    target = {"Id": scene.wish.member} | ({"Port": scene.port} if scene.port else {})
    words = ("registered", "not registered")
    return Action(
        key=f"{'register' if register else 'deregister'} {who} in {state.name}",
        effect=Effect.CONVERGE,
        summary=summary,
        only_if=target_token(state),
        call=ApiCall(
            "elbv2",
            "RegisterTargets" if register else "DeregisterTargets",
            {"TargetGroupArn": state.arn, "Targets": [target]},
        ),
        changes=(Change(f"{who} in {state.name}", words[register], words[not register]),),
        undo=undo,
    )
