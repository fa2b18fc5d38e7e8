"""What ``asg.scale``, ``asg.restore`` and ``asg.assess`` are asked for, and the same in absolute numbers."""

from __future__ import annotations

import math
import re

import msgspec

from crashcart.facts.autoscaling import ACTIVITIES, POLICIES, REFRESHES, Fleet, Group
from crashcart.facts.autoscaling_activities import Resize
from crashcart.values import Duration, Percent, format_span

MOST = 10_000
"""No group is larger; a larger number is a slip of the finger."""

Number = int | str
"""A number of instances; empty: not given."""

_BY = re.compile(r"\+?([0-9]{1,5})(%?)")
_HOUR = 3600.0


class AssessWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing needs to be said."""


class ScaleWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """At least so many instances, or so many more than now (``+2``, ``+50%``); never fewer than now.

    Above the group's max only with ``raise_max``. ``force`` passes over failing launches and a running instance refresh. The
    same ``by`` is not done twice within ``cooldown``. It has to stay so for ``settle``. Times are in seconds.
    """

    at_least: Number = ""
    by: Number = ""
    raise_max: bool = False
    force: bool = False
    cooldown: Duration = Duration(900)
    settle: Duration = Duration(10)

    def __post_init__(self) -> None:
        count("at_least", self.at_least)
        if self.by != "":
            _more(self.by)
        if (self.at_least == "") == (self.by == ""):
            raise ValueError("at_least: expected either --at-least, such as 6, or --by, such as +2 or +50%")

    @property
    def number(self) -> int | None:
        """``at_least``, if it is given."""
        return count("at_least", self.at_least)

    def above(self, desired: int) -> int:
        """Return what ``by`` makes of a desired capacity; a share is rounded up."""
        number, is_share = _more(self.by)
        return desired + (math.ceil(desired * number / 100) if is_share else number)


class RestoreWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The sizes as they were: ``desired`` is only ever lowered, by at most ``step`` of it at a time.

    ``raised_to`` is the desired capacity that is taken back: another one was set since by somebody, and is left alone unless
    ``force``d. ``force`` also lowers a group that is not healthy. It has to stay well for ``settle`` seconds.
    """

    desired: Number = ""
    min_size: Number = ""
    max_size: Number = ""
    raised_to: Number = ""
    step: Percent = Percent(25)
    force: bool = False
    settle: Duration = Duration(10)

    def __post_init__(self) -> None:
        for name in ("desired", "min_size", "max_size"):
            count(name, getattr(self, name), least=0)
        count("raised_to", self.raised_to)
        if self.desired == self.min_size == self.max_size == "":
            raise ValueError("desired: expected --desired, --min-size or --max-size; inv runs.undo knows what a run changed")
        sizes = [
            number for number in (self.size("min_size"), self.size("desired"), self.size("max_size")) if number is not None
        ]
        if sizes != sorted(sizes):
            raise ValueError(f"desired: expected min, desired and max in this order, got {' > '.join(map(str, sizes))}")

    def size(self, name: str) -> int | None:
        """Return one of the numbers, if it is given."""
        return count(name, getattr(self, name), least=0)


class ScaleGoal(msgspec.Struct, frozen=True):
    """The capacity in absolute terms, from the first look; ``desired`` and ``max_size`` are the sizes then.

    ``repeated`` says that the wish was carried out shortly before, by another run or a person. ``unclear`` says why it could
    not be told.
    """

    at_least: int
    desired: int
    max_size: int
    repeated: str = ""
    unclear: str = ""


class RestoreGoal(msgspec.Struct, frozen=True):
    """The sizes that shall be, from the first look. ``before`` is the desired capacity then, ``kept`` why it is left."""

    desired: int
    min_size: int
    max_size: int
    before: int
    kept: str = ""


def count(name: str, raw: Number, *, least: int = 1) -> int | None:
    """Read a number of instances; None when it is not given. Raises ``ValueError`` naming the argument."""
    text = str(raw).strip()
    if text == "":
        return None
    if re.fullmatch(r"[0-9]{1,5}", text) and least <= int(text) <= MOST:
        return int(text)
    raise ValueError(f"{name}: expected a whole number from {least} to {MOST}, such as 6, got {text!r}")


def scale_goal(pin: Fleet, wish: ScaleWish) -> ScaleGoal:
    """Turn the wish into a number, once. A relative one that was carried out a moment ago is the number it led to."""
    group = pin.group
    if wish.number is not None:
        return ScaleGoal(wish.number, group.desired, group.max_size)
    done = _repeated(pin, wish)
    if done:
        ago = format_span(max(0.0, pin.activities.at - done.at)) if pin.activities else ""
        return ScaleGoal(done.after, group.desired, group.max_size, repeated=f"{done.line}, {ago} ago")
    unclear = pin.activities.unreadable if pin.activities and wish.cooldown else ""
    return ScaleGoal(wish.above(group.desired), group.desired, group.max_size, unclear=unclear)


def restore_goal(pin: Fleet, wish: RestoreWish) -> RestoreGoal:
    """Settle which sizes are put back, and which somebody has set since."""
    group, raised = pin.group, count("raised_to", wish.raised_to)
    min_size, max_size = wish.size("min_size"), wish.size("max_size")
    low = group.min_size if min_size is None else min_size
    wanted = wish.size("desired")
    kept = "" if wish.force or wanted is None or group.desired <= wanted else _set_since(pin, raised)
    desired = group.desired if wanted is None or kept or group.desired <= wanted else max(wanted, low)
    return RestoreGoal(desired, low, _restored_max(group, max_size, raised, desired, wish), group.desired, kept)


def scale_looks(seen: Fleet, wish: ScaleWish) -> frozenset[str]:
    """Return the dearer facts that a plain look calls for, so that they are part of the pin and cost no second look."""
    group, number = seen.group, wish.number
    if number is None:
        return frozenset({ACTIVITIES})
    if group.desired < number:
        return frozenset({ACTIVITIES, POLICIES, REFRESHES}) if _may(group, number, wish) else frozenset({ACTIVITIES})
    return frozenset({ACTIVITIES}) if len(seen.serving) < number else frozenset()


def restore_looks(seen: Fleet, wish: RestoreWish) -> frozenset[str]:
    """Return the dearer facts that a plain look calls for: who set the present capacity, where nothing else tells."""
    wanted = wish.size("desired")
    asks = wanted is not None and seen.group.desired > wanted and not wish.force and wish.raised_to == ""
    return frozenset({ACTIVITIES}) if asks else frozenset()


def _more(raw: Number) -> tuple[int, bool]:
    found = _BY.fullmatch(str(raw).strip())
    number = int(found[1]) if found else 0
    if not found or not 1 <= number <= MOST:
        hint = "capacity is only ever raised here"
        raise ValueError(f"by: expected a number or share to add, such as +2 or +50%, got {str(raw)!r}; {hint}")
    return number, bool(found[2])


def _may(group: Group, number: int, wish: ScaleWish) -> bool:
    return number <= group.max_size or wish.raise_max


def _repeated(pin: Fleet, wish: ScaleWish) -> Resize | None:
    """Return the last change of the capacity, if it is what this wish would have done, and recent."""
    if pin.activities is None or not wish.cooldown:
        return None
    last = pin.activities.resizes[-1:]
    recent = [resize for resize in last if resize.by_user and resize.at >= pin.activities.at - wish.cooldown]
    same = [resize for resize in recent if resize.after == wish.above(resize.before) and resize.after <= pin.group.desired]
    return same[-1] if same else None


def _set_since(pin: Fleet, raised: int | None) -> str:
    """Say who has set another capacity than the one that is taken back, or nothing."""
    group = pin.group
    if raised is not None:
        changed = f"it was raised to {raised}, and somebody has set {group.desired} since"
        return "" if group.desired == raised else changed
    if pin.activities is None or pin.activities.unreadable:
        return f"nobody knows who set {group.desired}: {pin.activities.unreadable if pin.activities else 'not asked'}"
    last = [resize for resize in pin.activities.resizes[-1:] if resize.at >= pin.activities.at - _HOUR]
    own = [resize for resize in last if not resize.by_user and resize.after == group.desired]
    return f"{own[0].line}, and might do so again" if own else ""


def _restored_max(group: Group, wanted: int | None, raised: int | None, desired: int, wish: RestoreWish) -> int:
    """Return the max to put back, never below the capacity that stays; one that somebody has set since is left."""
    if wanted is None or (raised is not None and group.max_size != raised and not wish.force):
        return group.max_size
    return max(wanted, desired)
