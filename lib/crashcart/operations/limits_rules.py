"""The rules by which a unit's limits are changed, or not: what its state, the run's memory and the wish add up to.

A limit that is in force is left alone before anything is refused. Nothing is ever lowered below what the unit uses: the
kernel would kill it at once. Values that a timer is about to put back count as the unit's own (S0-R2, defect 12).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from crashcart.facts.limits import INFINITY, PAGE, UNLIMITED, LimitsState, cpu_words, memory_words
from crashcart.facts.systemd import MOVING, RESTING, UnitState
from crashcart.operations.base import Act, Action, Decision, Done, Effect, Fail, Memory, NoGoal, Refuse, Unknown, Wait
from crashcart.operations.limits_script import KEEP, SET, TAKE_BACK
from crashcart.operations.limits_wish import (
    CPU,
    FIELDS,
    MEBIBYTE,
    MEMORY,
    LimitsWish,
    RestoreWish,
    Setting,
    SetWish,
    current,
    parse_setting,
)
from crashcart.operations.systemd_rules import unloadable
from crashcart.plan import Undo
from crashcart.results import Change
from crashcart.transports.base import Command
from crashcart.values import format_size, format_span

RESTART = "--restart also brings it back, by one restart"
"""What helps with a unit that is down."""

TAKEN_BACK = "the host has taken it back, or somebody else"
MORE_TIME = "a longer --undo-after leaves more time for the verification"


class Scene(msgspec.Struct, frozen=True):
    """What a rule decides from."""

    state: LimitsState
    memory: Memory[LimitsState, NoGoal]
    wish: SetWish

    @property
    def missing(self) -> tuple[Setting, ...]:
        """The limits that are not in force yet."""
        return self.wish.missing(self.state)

    @property
    def is_done(self) -> bool:
        """Whether the limits are in force, and not about to be put back because another run died."""
        return not self.missing and (self.memory.acted or not self.state.armed)

    @property
    def is_moving(self) -> bool:
        """Whether the unit is on its way up or down."""
        return self.state.active in MOVING

    @property
    def is_up(self) -> bool:
        """Whether the unit runs, or may soon."""
        return self.state.active == "active" or self.is_moving


Rule = Callable[[Scene], Decision | None]


def decide_set(scene: Scene) -> Decision:
    """Go through the rules; the first that has something to say decides."""
    decisions = (rule(scene) for rule in _RULES)
    return next(decision for decision in decisions if decision)


def decide_restore(state: LimitsState, wish: RestoreWish, *, acted: bool) -> Decision:
    """Put back what is still as it was given; the rest is not ours any more."""
    mine = [setting.name for setting in wish.given if setting.is_in_force(state)]
    missing = tuple(setting for setting in wish.missing(state) if setting.name in mine)
    if not missing:
        return Done(_put_back(state, wish, acted=acted))
    lowered = _too_low(state, missing)
    if isinstance(lowered, Refuse):
        hint = f"systemctl restart {state.id} on the host frees it; then take it back again"
        return msgspec.structs.replace(lowered, hint=hint)
    if lowered:
        return lowered
    token = token_of(state)
    drops = " ".join(name for name in wish.drop if name in mine)
    call = Command(SET, (state.id, token, _line(missing), "", "", drops, ""), timeout=20)
    summary = f"put {_list(missing)} of {state.id} back"
    return Act(Action(f"restore {state.id}", Effect.CONVERGE, summary, token, call, _changes(state, missing)))


def decide_keep(state: LimitsState, wish: LimitsWish) -> Decision:
    """Disarm the timer while the limits are in force; once the host has put the former ones back, nothing can be kept."""
    missing = wish.missing(state)
    if missing:
        now = _list(current(state, one.name) for one in missing)
        return Fail(f"{TAKEN_BACK}: {state.id} has {now}", MORE_TIME)
    if not state.armed:
        return Done(f"{_list(wish.settings)} of {state.id} stays until the next boot{_masked(state, wish)}")
    token = token_of(state)
    call = Command(KEEP, (state.id, token), timeout=20)
    change = Change(f"the timer on {state.id}'s limits", f"puts {' '.join(state.armed)} back", "gone")
    return Act(
        Action(f"keep {state.id}", Effect.CONVERGE, f"keep {_list(wish.settings)} of {state.id}", token, call, (change,))
    )


def token_of(state: LimitsState) -> str:
    """Name the values that an act is decided from."""
    return f"{state.memory_max} {state.cpu_quota}"


def cannot_load(state: LimitsState) -> tuple[str, str] | None:
    """Say why a unit cannot be had at all, and what would help; None where it can."""
    if state.load == "loaded":
        return None
    return unloadable(UnitState(state.name, load=state.load, load_error=state.load_error))


def _unloadable(scene: Scene) -> Decision | None:
    told = cannot_load(scene.state)
    return Refuse(*told) if told else None


def _strange(scene: Scene) -> Decision | None:
    known = scene.state.active in MOVING | RESTING
    return None if known else Unknown(f"systemd calls {scene.state.id} {scene.state.active!r}, which is not known here")


def _kernel_lags(scene: Scene) -> Decision | None:
    """Wait for the kernel to have what systemd says: systemd tells its control groups a moment later."""
    state, limit = scene.state, scene.state.memory_limit
    if not scene.is_done or state.kernel_max is None or MEMORY not in {one.name for one in scene.wish.settings}:
        return None
    lags = state.kernel_max < UNLIMITED if limit is None else not limit - PAGE < state.kernel_max <= limit
    return Wait(f"systemd has {MEMORY} {memory_words(limit)}, the kernel not yet") if lags else None


def _came_to_rest(scene: Scene) -> Decision | None:
    if not scene.is_done or not scene.memory.acted or scene.wish.also_stopped:
        return None
    state = scene.state
    if scene.is_moving:
        return Wait(f"{state.id} has its limits and is {state.shortly}")
    return None if scene.is_up else Fail(f"{state.id} is {state.shortly} in spite of {_list(scene.wish.settings)}", RESTART)


def _in_force(scene: Scene) -> Decision | None:
    if not scene.is_done:
        return None
    state, already = scene.state, "" if scene.memory.acted else " already, nothing to change"
    return Done(f"{state.id} {state.standing}{already}{_on_paper(scene)}{_masked(state, scene.wish)}")


def _on_paper(scene: Scene) -> str:
    """Say where a memory limit is one in name only."""
    asked = MEMORY in {one.name for one in scene.wish.settings}
    paper = asked and scene.is_up and not scene.state.is_enforced
    return "; this host's kernel keeps no account of its memory, so that limit is on paper only" if paper else ""


def _taken_back(scene: Scene) -> Decision | None:
    """After the act, limits that are not in force were changed by somebody else: the timer, most likely."""
    if not scene.memory.acted:
        return None
    now = _list(current(scene.state, one.name) for one in scene.missing)
    return Fail(f"{TAKEN_BACK}: {scene.state.id} has {now}", MORE_TIME)


def _is_down(scene: Scene) -> Decision | None:
    if scene.is_up or scene.wish.also_stopped:
        return None
    return Refuse(f"{scene.state.id} is {scene.state.shortly}: a limit alone does not bring it back", RESTART)


def _above_memory(scene: Scene) -> Decision | None:
    wanted, state = _wanted(scene.wish, MEMORY), scene.state
    if wanted is None or not state.total or wanted <= state.total:
        return None
    why = f"{MEMORY} {format_size(wanted)} is more than the host has: {format_size(state.total)}"
    return Refuse(why, f"--memory-max {state.total // MEBIBYTE}M at most, or infinity")


def _above_cpus(scene: Scene) -> Decision | None:
    wanted, cpus = _wanted(scene.wish, CPU), scene.state.cpus
    if wanted is None or not cpus or wanted <= cpus * 100:
        return None
    return Refuse(
        f"{CPU} {cpu_words(wanted)} is more than the host has: {cpus} CPUs",
        f"--cpu-quota {cpus * 100}% at most, or infinity",
    )


def _kills(scene: Scene) -> Decision | None:
    return _too_low(scene.state, scene.missing)


def _set(scene: Scene) -> Decision:
    state, wish = scene.state, scene.wish
    former, drops = _former(state, wish), _drops(state, wish)
    token, after = token_of(state), str(round(wish.undo_after * 1000)) if wish.undo_after else ""
    words = (_line(wish.settings), after, _line(former), " ".join(drops) if after else "", TAKE_BACK)
    timed = f"; the host takes it back after {format_span(wish.undo_after)} unless it is kept" if after else ""
    masked = _masked(state, wish)
    action = Action(
        key=f"limit {state.id} {_line(wish.settings)}",
        effect=Effect.CONVERGE,
        summary=f"set {_list(wish.settings)} of {state.id} until the next boot{timed}{masked}; it {state.standing}",
        only_if=token,
        call=Command(SET, (state.id, token, *words), timeout=20),
        changes=_changes(state, wish.settings),
        undo=_undo(state, wish, former, drops),
    )
    return Act(action)


_RULES: tuple[Rule, ...] = (
    _unloadable,
    _strange,
    _kernel_lags,
    _came_to_rest,
    _in_force,
    _taken_back,
    _is_down,
    _above_memory,
    _above_cpus,
    _kills,
    _set,
)


def _undo(state: LimitsState, wish: SetWish, former: tuple[Setting, ...], drops: tuple[str, ...]) -> Undo:
    args: dict[str, object] = {"unit": state.id, "drop": list(drops)}
    args |= {FIELDS[one.name]: one.text for one in former}
    args |= {f"given_{FIELDS[one.name]}": one.text for one in wish.settings}
    return Undo("limits.restore", args, f"put {_list(former)} of {state.id} back")


def _former(state: LimitsState, wish: LimitsWish) -> tuple[Setting, ...]:
    """Return what is put back: what a timer was about to put back already, else what is in force."""
    armed = {name: text for name, _, text in (word.partition("=") for word in state.armed)}
    names = (one.name for one in wish.settings)
    return tuple(parse_setting(name, armed[name] or INFINITY) if name in armed else current(state, name) for name in names)


def _drops(state: LimitsState, wish: LimitsWish) -> tuple[str, ...]:
    """Return the settings that no runtime drop-in held before: one that stays would hide what the unit's files say later."""
    names = tuple(one.name for one in wish.settings)
    ours = {word.partition("=")[0] for word in state.armed}
    fresh = (name for name in names if name not in ours and state.runtime_file(name) not in state.drop_ins)
    return (*(name for name in names if name in ours and name in state.armed_drops), *fresh)


def _too_low(state: LimitsState, settings: Iterable[Setting]) -> Refuse | Unknown | None:
    wanted = next((one.value for one in settings if one.name == MEMORY), None)
    limit = state.memory_limit
    if wanted is None or (limit is not None and wanted >= limit):
        return None
    if state.used is None:
        return Unknown(f"nobody can tell how much memory {state.id} uses, so {MEMORY} {format_size(wanted)} might kill it")
    if state.used < wanted:
        return None
    why = f"{state.id} uses {format_size(state.used)}: the kernel would kill it at once at {MEMORY} {format_size(wanted)}"
    return Refuse(why, f"--memory-max {state.used * 5 // 4 // MEBIBYTE + 1}M or more")


def _wanted(wish: LimitsWish, name: str) -> float | None:
    return next((one.value for one in wish.settings if one.name == name), None)


def _put_back(state: LimitsState, wish: RestoreWish, *, acted: bool) -> str:
    changed = [current(state, one.name) for one in wish.missing(state)]
    others = f"; somebody changed {_list(changed)} since, which stays" if changed else ""
    return f"{'put' if acted else 'nothing to put'} back: {state.id} {state.standing}{others}"


def _masked(state: LimitsState, wish: LimitsWish) -> str:
    files = [state.lasting_file(one.name) for one in wish.settings if state.lasting_file(one.name) in state.drop_ins]
    return f"; a daemon-reload ends it sooner, because of {' and '.join(files)}" if files else ""


def _changes(state: LimitsState, settings: Iterable[Setting]) -> tuple[Change, ...]:
    return tuple(Change(f"{state.id} {one.name}", current(state, one.name).short, one.short) for one in settings)


def _line(settings: Iterable[Setting]) -> str:
    return " ".join(one.word for one in settings)


def _list(settings: Iterable[Setting]) -> str:
    return " and ".join(one.words for one in settings)
