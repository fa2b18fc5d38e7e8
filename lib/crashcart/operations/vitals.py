"""``host.assess`` says how a host is as a machine, by the one fact that decides: disks, memory, victims, units, load, clock.

Seed rows S0-D3, S0-D6, S0-D9 and S0-D15. Load alone is the weakest of signs, so its limit is high; a clock is judged only
by what it is off for certain.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import msgspec

from crashcart.facts import vitals
from crashcart.facts.systemd import clock_time
from crashcart.facts.vitals_state import Unit, Vitals, Volume
from crashcart.operations.base import Decision, HostOperation, Memory, NoGoal
from crashcart.operations.findings import Finding, judge
from crashcart.results import Evidence, Verdict
from crashcart.transports.base import Transport
from crashcart.values import Duration, Percent, format_size, format_span

PRESSED = 10.0
"""Per cent of a minute in which nothing got on for want of memory, above which a host is degraded."""

LOOPING = 3
"""Restarts by systemd that make a crash loop of a unit that was started lately."""


class VitalsWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The limits. Disks and inodes in per cent used; ``memory_above`` in per cent that cannot be had back at once.

    ``load_above`` is load of five minutes for each CPU, ``clock_within`` how far the clock may be off. A victim or a crash
    loop within ``recent`` counts; what changed within ``window`` is told.
    """

    degraded_above: Percent = Percent(90)
    down_above: Percent = Percent(95)
    memory_above: Percent = Percent(95)
    load_above: float = 8.0
    clock_within: Duration = Duration(2)
    recent: Duration = Duration(600)
    window: Duration = Duration(3600)


class AssessHost(HostOperation[VitalsWish, Vitals, NoGoal]):
    """Says whether a host is healthy, degraded or down, and what changed there lately; changes nothing."""

    name = "host.assess"
    reads_only = True
    wish, state, goal_type = VitalsWish, Vitals, NoGoal

    def observe(self, transport: Transport, wish: VitalsWish, looks: frozenset[str]) -> Vitals:
        """Read the vitals. Raises ``FactUnreadable`` and the transport's errors."""
        return vitals.observe(transport, max(wish.window, wish.recent))

    def goal(self, pin: Vitals, wish: VitalsWish) -> NoGoal:
        """There is none."""
        return NoGoal()

    def decide(self, state: Vitals, memory: Memory[Vitals, NoGoal], wish: VitalsWish) -> Decision:
        """Judge by the worst of all vitals; nothing is waited for."""
        return judge(_findings(state, wish), _well(state), (_changes(state),))


def _findings(state: Vitals, wish: VitalsWish) -> Iterator[Finding]:
    """Yield what is wrong, causes before their effects: a full disk fails services, not the other way round."""
    yield from _disks(state, wish)
    yield from _memory(state, wish)
    yield from _failed(state)
    yield from _loops(state, wish)
    if state.load_per_cpu > wish.load_above:
        yield Finding(Verdict.DEGRADED, f"load {state.load:g} in the last 5 min on {state.cpus} CPUs, {_largest(state)}")
    off = abs(state.ahead) - state.ahead_margin
    if off > wish.clock_within:
        where = "ahead of" if state.ahead > 0 else "behind"
        how = "chronyc makestep, or systemctl restart systemd-timesyncd, on the host"
        yield Finding(Verdict.DEGRADED, f"its clock is at least {format_span(off)} {where} ours", how)
    if state.silent:
        yield Finding(Verdict.UNKNOWN, f"the host does not tell {' and '.join(state.silent)}")


def _disks(state: Vitals, wish: VitalsWish) -> Iterator[Finding]:
    for mount in state.read_only:
        how = "journalctl -k on the host says why; it needs fsck, then a mount for writing"
        yield Finding(Verdict.DOWN, f"{mount} was made read-only by the kernel after an error", how)
    for volume in sorted(state.volumes, key=lambda volume: -volume.fullest):
        if volume.fullest > wish.degraded_above:
            yield _full(volume, wish)


def _full(volume: Volume, wish: VitalsWish) -> Finding:
    of_inodes = volume.inode_percent > volume.percent
    what = f"{volume.inode_percent} % of inodes used" if of_inodes else f"{volume.percent} % full"
    left = "" if of_inodes else f", {format_size(volume.available)} left"
    hint = f"inv recover.disk-space --path {shlex.quote(volume.mount)} --hosts ..."
    verdict = Verdict.DOWN if volume.fullest > wish.down_above else Verdict.DEGRADED
    return Finding(verdict, f"{volume.mount}: {what}{left}", hint)


def _memory(state: Vitals, wish: VitalsWish) -> Iterator[Finding]:
    if state.memory_percent > wish.memory_above:
        left = f"{format_size(state.memory_available)} of {format_size(state.memory)} memory left"
        yield Finding(Verdict.DEGRADED, f"{left}, {_largest(state)}")
    pressed = state.pressure.get("memory full", 0.0)
    if pressed > PRESSED:
        yield Finding(Verdict.DEGRADED, f"for {pressed:g} % of the last minute all waited for memory, {_largest(state)}")
    victims = [victim for victim in state.victims if state.now - victim.at <= wish.recent]
    if victims:
        last, names = victims[-1], ", ".join(dict.fromkeys(victim.name for victim in victims))
        unit = next((victim.name for victim in victims if victim.name.endswith(".service")), "")
        hint = f"inv check.limits --unit {unit} --hosts ..." if unit else ""
        yield Finding(Verdict.DEGRADED, f"killed for memory: {names}, last at {clock_time(last.at, state.now)}", hint)


def _failed(state: Vitals) -> Iterator[Finding]:
    for unit in state.failed:
        since = f" since {clock_time(unit.inactive_since, state.now)}" if unit.inactive_since else ""
        is_service = unit.name.endswith(".service")
        hint = f"inv recover.service-restart --unit {shlex.quote(unit.name)} --hosts ..." if is_service else ""
        yield Finding(Verdict.DEGRADED, f"{unit.name} has failed{since} ({unit.result or 'no reason given'})", hint)


def _loops(state: Vitals, wish: VitalsWish) -> Iterator[Finding]:
    for unit in state.units:
        if unit.restarts >= LOOPING and unit.active != "failed" and _is_young(unit, state, wish):
            hint = f"inv check.logs --unit {shlex.quote(unit.name)} --hosts ..."
            yield Finding(Verdict.DEGRADED, f"{unit.name} was restarted by systemd {unit.restarts} times", hint)


def _is_young(unit: Unit, state: Vitals, wish: VitalsWish) -> bool:
    return unit.active != "active" or (unit.active_since is not None and state.now - unit.active_since <= wish.recent)


def _largest(state: Vitals) -> str:
    shown = [f"{one.command} (pid {one.pid}) {format_size(one.resident)}" for one in state.processes[:3]]
    return f"largest: {', '.join(shown)}" if shown else "its processes are not known"


def _changes(state: Vitals) -> Evidence:
    lines = tuple(f"{clock_time(change.at, state.now)} {change.what}" for change in state.changes)
    return Evidence("changed lately", lines=lines)


def _well(state: Vitals) -> str:
    fullest = max(state.volumes, key=lambda volume: volume.fullest, default=None)
    disk = f", fullest disk {fullest.mount} {fullest.fullest} %" if fullest else ""
    up = f"up {format_span(max(0.0, state.now - state.booted))}, " if state.booted else ""
    return f"{up}load {state.load:g} on {state.cpus} CPUs, memory {state.memory_percent} % used{disk}"
