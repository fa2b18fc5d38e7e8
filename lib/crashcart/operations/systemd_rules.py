"""The rules by which a unit is restarted, or not: what its state, the run's memory and the wish add up to.

Each rule is a pure function that decides or passes on; their order is the safety argument. What works is left alone before
anything is refused, and a restart is what remains when no rule objects (S0-R1, defect 13).
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from crashcart.facts.http import Health
from crashcart.facts.systemd import MOVING, RESTING, START_LIMIT, RequiredUnit, UnitState, clock_time
from crashcart.operations.base import Act, Action, Decision, Done, Effect, Fail, Memory, Refuse, Unknown, Wait
from crashcart.results import Change, Verdict
from crashcart.transports.base import Command
from crashcart.values import Duration, Since, UnitName, Url, format_span

LOOPING = 2
"""Automatic restarts while a run looks on that make a crash loop: one may be chance."""

WORKING = frozenset({None, Health.OK})
"""Answers of a health URL that do not speak against an active unit; None is one that was not asked."""

RESTART = r"""
# $1 unit, $2 "ActiveState InvocationID" that the restart was decided from, $3 "reset" to clear the start limit first.
# 75: nothing was done, because that state no longer holds or cannot be read.
unit=$(timeout --foreground -k 1 8 systemctl --no-pager show -p ActiveState,InvocationID,Job -- "$1" 2>/dev/null) || exit 75
value() { printf '%s\n' "$unit" | sed -n "s/^$1=//p"; }
case "$(value Job)" in ''|0) ;; *) exit 75 ;; esac
[ "$(value ActiveState) $(value InvocationID)" = "$2" ] || exit 75
[ -z "$3" ] || systemctl reset-failed -- "$1" || exit 75
exec systemctl --no-ask-password --no-block restart -- "$1"
"""


class UnitWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which unit, and how one can tell that it works. An empty ``health_url`` is none; ``settle`` is in seconds."""

    unit: UnitName
    health_url: str | None = None
    settle: Duration = Duration(10)

    def __post_init__(self) -> None:
        if self.health_url:
            Url.parse(self.health_url)


class RestartWish(UnitWish, frozen=True, forbid_unknown_fields=True):
    """The unit shall be active and healthy for ``settle``; also restarted when ``force``d or not started since a time."""

    since: str | None = None
    force: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.since:
            Since.parse(self.since)


class RestartGoal(msgspec.Struct, frozen=True):
    """Restarted means another invocation than this one; ``since`` (epoch, the host's clock) is the earliest start wanted."""

    invocation_not: str
    since: float | None = None


class Scene(msgspec.Struct, frozen=True):
    """What a rule decides from."""

    state: UnitState
    memory: Memory[UnitState, RestartGoal]
    wish: RestartWish

    @property
    def is_active(self) -> bool:
        """Whether systemd calls the unit active."""
        return self.state.active == "active"

    @property
    def is_restarted(self) -> bool:
        """Whether this is another invocation than the pinned one, whoever began it."""
        return self.state.invocation != self.memory.goal.invocation_not

    @property
    def started(self) -> float | None:
        """When the unit became active, or a oneshot ended; a start is part of that moment as far as we care."""
        return self.state.active_since if self.is_active else self.state.inactive_since

    @property
    def is_late(self) -> bool:
        """Whether the unit was not started since the time that ``since`` asks for."""
        wanted = self.memory.goal.since
        return wanted is not None and (self.started is None or self.started < wanted)

    @property
    def is_owed(self) -> bool:
        """Whether a restart is wanted even of a unit that works."""
        return self.is_late or (self.wish.force and not self.is_restarted)

    @property
    def is_young(self) -> bool:
        """Whether it is too soon to judge; a crash loop looks alive for moments, and a good service may start slowly."""
        looked_for = self.state.now - self.memory.pin.now
        return (looked_for if self.state.age is None else self.state.age) < self.wish.settle

    @property
    def is_well(self) -> bool:
        """Whether the unit works, as far as it can be asked."""
        stays_up = not self.state.restarts or not self.is_young
        return self.state.is_finished_oneshot or (self.is_active and stays_up and self.state.answer in WORKING)

    @property
    def is_restarting_itself(self) -> bool:
        """Whether systemd waits a while before it starts the crashed unit again."""
        return self.state.sub.startswith("auto-restart")


Rule = Callable[[Scene], Decision | None]


def decide_restart(scene: Scene) -> Decision:
    """Go through the rules; the first that has something to say decides."""
    rules = _AFTER if scene.memory.acted else _BEFORE
    decisions = (rule(scene) for rule in rules)
    return next((decision for decision in decisions if decision), Unknown(f"{scene.state.name} is {scene.state.steady}"))


def _already_well(scene: Scene) -> Decision | None:
    if scene.is_owed or not scene.is_well:
        return None
    state, why = scene.state, "restart not needed"
    if state.is_finished_oneshot:
        why = "a oneshot unit need not run, --force runs it"
    elif state.invocation != scene.memory.pin.invocation:
        why = f"{'systemd' if state.restarts else 'somebody else'} restarted it meanwhile, this run did not"
    return Done(f"{state.name} {state.standing}; {why}", Verdict.HEALTHY)


def _cannot_load(scene: Scene) -> Decision | None:
    return None if scene.state.load == "loaded" else Refuse(*unloadable(scene.state))


def _asks_for_the_future(scene: Scene) -> Decision | None:
    wanted, now = scene.memory.goal.since, scene.state.now
    if wanted is None or wanted <= now + 1:
        return None
    return Refuse(f"since {clock_time(wanted, now)} lies in the future: it is {clock_time(now, now)} on the host")


def _strange(scene: Scene) -> Decision | None:
    known = scene.state.active in MOVING | RESTING
    return None if known else Unknown(f"systemd calls {scene.state.name} {scene.state.active!r}, which is not known here")


def _loops_by_itself(scene: Scene) -> Decision | None:
    restarts = scene.state.restarts - scene.memory.pin.restarts
    looping = scene.is_restarting_itself or (scene.is_active and scene.is_young)
    if scene.is_owed or not looping or restarts < LOOPING:
        return None
    why = f"crash loop: systemd restarted {scene.state.name} {restarts} times while we looked; another would only repeat it"
    return Fail(why, f"{_journal_hint(scene.state)}; --force restarts it once all the same", Verdict.DOWN)


def _moving(scene: Scene) -> Decision | None:
    state = scene.state
    if scene.is_restarting_itself and scene.is_owed and not state.job and not scene.memory.acted:
        return None  # nothing runs that a restart could disturb, and it may be long until systemd tries again
    job = f", job {state.job} is pending" if state.job else ""
    return Wait(f"{state.name} is {state.active} ({state.sub}){job}") if job or state.active in MOVING else None


def _too_soon(scene: Scene) -> Decision | None:
    if scene.is_owed or not scene.is_active or not scene.is_young:
        return None
    state = scene.state
    by = f" by systemd, restart number {state.restarts}" if state.restarts else ""
    settle = format_span(scene.wish.settle)
    return Wait(f"{state.name} was just started{by} and has {settle} to settle: {state.steady}", after=1.0)


def _lacks_another(scene: Scene) -> Decision | None:
    broken = scene.state.broken_need
    if broken is None:
        return None
    why = f"{scene.state.name} requires {broken.name}, which is {broken.trouble}: a restart cannot work"
    return Refuse(why, need_hint(scene.state.name, broken))


def _cannot_tell(scene: Scene) -> Decision | None:
    state = scene.state
    works = scene.is_active or state.is_finished_oneshot
    if works and scene.memory.goal.since is not None and scene.started is None:
        return Unknown(f"{state.name} is {state.steady}, but the host does not tell since when")
    asked = scene.is_active and not scene.is_owed
    return Unknown(f"{state.name} is {state.steady}") if asked and state.answer is Health.UNKNOWN else None


def _asks_the_wrong_page(scene: Scene) -> Decision | None:
    if scene.is_owed or not scene.is_active or scene.state.answer is not Health.WRONG:
        return None
    why = f"{scene.state.name} is {scene.state.standing}: it serves, but that is no health page, and no restart makes it one"
    return Refuse(why, "correct --health-url, or restart it all the same with --force")


def _restart(scene: Scene) -> Decision:
    state = scene.state
    # systemd reports start-limit-hit only of a unit that did not fail before; and the limit counts our restart too, so that
    # a unit with a history would be stopped and then not started.
    reset = state.active == "failed" or state.restarts > 0 or state.result == START_LIMIT
    return _act(scene, f"restart {state.name} {scene.memory.pin.invocation or 'never-run'}", reset=reset)


def _act(scene: Scene, key: str, *, reset: bool) -> Act:
    state = scene.state
    token = f"{state.active} {state.invocation}"
    limit = ", clearing its start limit first" if reset else ""
    before = f"{state.shortly}, {state.health.line}" if state.health else state.shortly
    action = Action(
        key=key,
        effect=Effect.ONCE,
        summary=f"restart {state.name}{limit}: it is {state.standing}{_asked(scene)}",
        only_if=token,
        call=Command(RESTART, (state.name, token, "reset" if reset else ""), timeout=20),
        changes=(Change(state.name, before, "active"),),
        disturbs=True,
        budget="restart",
    )
    return Act(action)


def _asked(scene: Scene) -> str:
    """Say which flag a restart of a working unit is owed to."""
    if not scene.is_active or not scene.is_owed:
        return ""
    wanted = scene.memory.goal.since if scene.is_late else None
    return f"; asked for with {'--force' if wanted is None else '--since ' + clock_time(wanted, scene.state.now)}"


def _dies_at_once(scene: Scene) -> Decision | None:
    looping = scene.is_restarting_itself or (scene.is_active and scene.state.restarts > 0)
    if not scene.is_restarted or not looping:
        return None
    why = f"crash loop: {scene.state.name} was restarted and did not stay up"
    return Fail(f"{why} ({scene.state.ending})", _journal_hint(scene.state), Verdict.DOWN)


def _was_not_restarted(scene: Scene) -> Decision | None:
    """The job is gone, and yet the invocation is the old one."""
    state = scene.state
    if scene.is_restarted or state.is_finished_oneshot:
        return None
    again = f"restart {state.name} {scene.memory.pin.invocation} without start limit"
    if state.result == START_LIMIT and again not in scene.memory.applied:
        return _act(scene, again, reset=True)
    why = f"the restart was accepted, but {state.name} did not start: it is {state.shortly}{_obstacle(state)}"
    return Fail(why, _journal_hint(state), Verdict.DOWN)


def _obstacle(state: UnitState) -> str:
    if state.broken_need:
        return f"; {state.broken_need.name} is {state.broken_need.trouble}"
    if state.active != "inactive" or state.condition:
        return ""
    # A unit that systemd has forgotten has no invocation, and its conditions read as unmet even if it ran for a moment.
    return "; its start conditions do not hold" + ("" if state.invocation else ", or it ended at once")


def _is_down_again(scene: Scene) -> Decision | None:
    state = scene.state
    if scene.is_active or state.is_finished_oneshot:
        return None
    ended = f"failed again ({state.ending})" if state.active == "failed" else "was restarted and stopped again by itself"
    memory = "; a restart only repeats that, it needs more memory or a smaller load" if state.is_killed_for_memory else ""
    return Fail(f"{state.name} {ended}{memory}", _journal_hint(state), Verdict.DOWN)


def _is_still_sick(scene: Scene) -> Decision | None:
    state = scene.state
    if not scene.is_active or state.answer in WORKING:
        return None
    why = f"{state.name} was restarted: {state.steady}"
    return Unknown(why) if state.answer is Health.UNKNOWN else Wait(why)


def _is_back(scene: Scene) -> Decision:
    if scene.state.is_finished_oneshot:
        return Done(f"{scene.state.name} was run, and ended well", Verdict.HEALTHY)
    return Done(f"{scene.state.name} was restarted: {scene.state.steady}", Verdict.HEALTHY, hold=scene.wish.settle)


_BEFORE: tuple[Rule, ...] = (
    _already_well,
    _cannot_load,
    _asks_for_the_future,
    _strange,
    _loops_by_itself,
    _moving,
    _too_soon,
    _lacks_another,
    _cannot_tell,
    _asks_the_wrong_page,
    _restart,
)

_AFTER: tuple[Rule, ...] = (
    _strange,
    _dies_at_once,
    _moving,
    _was_not_restarted,
    _is_down_again,
    _is_still_sick,
    _is_back,
)


def unloadable(state: UnitState) -> tuple[str, str]:
    """Say why a unit cannot be started at all, and what would help."""
    if state.load == "not-found":
        return f"there is no unit {state.name} on this host", "systemctl list-unit-files lists the units of a host"
    if state.load == "masked":
        return f"{state.name} is masked: somebody decided that it must not start", f"systemctl unmask {state.name}"
    why = f"{state.name} cannot be loaded ({state.load}): {state.load_error or 'no reason given'}"
    return why, f"systemd-analyze verify {state.name}"


def restart_hint(unit: str) -> str:
    """Return the command that would bring a unit back."""
    return f"inv recover.service-restart --unit {unit} --hosts ..."


def need_hint(unit: str, need: RequiredUnit) -> str:
    """Return what would mend a requirement: bring the required unit back, or see why it is required at all."""
    return restart_hint(need.name) if need.load == "loaded" else f"systemctl cat {unit} shows why it is required"


def _journal_hint(state: UnitState) -> str:
    return f"journalctl -u {state.name} on the host; what it said before the restart is in the run's folder"
