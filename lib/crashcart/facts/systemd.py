"""A systemd unit as its host knows it: state, history, required units, and its health URL, in one exec.

Seed rows S0-D3 (``is-active``, ``status``, ``ps``) and S0-D15 (out of memory).

Times are the host's own wall clock, but computed from what has passed since on the clock that never jumps: systemd's
monotonic stamps against ``/proc/timer_list``. Where that file cannot be read (a container hides it) ``/proc/uptime``
stands in. It also counts the time that a machine was suspended, so there a unit may look older than it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

from crashcart.errors import FactUnreadable
from crashcart.facts import http
from crashcart.facts.http import Health, Probe
from crashcart.transports.base import Command, Transport
from crashcart.values import format_span

SCRIPT = (
    http.PROBE
    + r"""
# $1 unit, $2 health URL or nothing, $3 and $4 its limits in seconds
fail() { printf 'error=%s\n' "$1"; exit 0; }
show() { timeout --foreground -k 1 8 systemctl --no-pager show "$@" 2>&1; }
value() { printf '%s\n' "$unit" | sed -n "s/^$1=//p"; }
set -f
command -v systemctl >/dev/null 2>&1 || fail 'this host has no systemctl'
unit=$(show -p LoadState,LoadError,UnitFileState,ActiveState,SubState,Result,NRestarts,Job,InvocationID \
  -p ActiveEnterTimestampMonotonic,InactiveEnterTimestampMonotonic,MainPID,ExecMainPID,ExecMainCode,ExecMainStatus \
  -p Type,ConditionResult,ControlGroup,Requires,Requisite,BindsTo -- "$1") || fail "$unit"
printf 'now=%s\n' "$(date +%s.%N)"
read -r uptime rest </proc/uptime && printf 'uptime=%s\n' "$uptime"
sed -n '/^now at/{s/^now at \([0-9]*\) nsecs.*/monotonic_ns=\1/p;q;}' /proc/timer_list 2>/dev/null
group=$(value ControlGroup)
[ -z "$group" ] || sed -n 's/^oom_kill /oom_kills=/p' "/sys/fs/cgroup$group/memory.events" 2>/dev/null
if [ "$(value ActiveState) $(value Result)" = 'failed signal' ]; then
  # systemd knows oom-kill from version 243 and control groups v2 on; before that only the kernel does.
  dmesg 2>/dev/null | grep -q "Killed process $(value ExecMainPID)[ ,]" && printf 'oom_killed=yes\n'
fi
printf '%s\n' "$unit"
needs="$(value Requires) $(value Requisite) $(value BindsTo)"
if [ "$needs" != "  " ]; then
  needs=$(show -p Id,LoadState,ActiveState,Result -- $needs) || fail "$needs"
  printf '\n[needs]\n%s\n' "$needs"
fi
if [ -n "$2" ] && [ "$(value ActiveState)" = active ]; then
  printf '\n[health]\n'
  probe "$2" "$3" "$4"
fi
"""
)

MOVING = frozenset({"activating", "deactivating", "reloading", "refreshing"})
"""What systemd calls a unit that is on its way; all but these and ``active``, ``inactive``, ``failed`` is unknown to us."""

RESTING = frozenset({"active", "inactive", "failed"})

START_LIMIT = "start-limit-hit"
"""Result of a unit that systemd does not start any more. One that failed before keeps its first result instead."""

_NO_SUCH_NAME = re.compile(r"neither a valid invocation ID nor unit name|(?:not a valid|invalid) unit name", re.IGNORECASE)
_SECONDS = re.compile(r"[0-9]{1,11}(?:\.[0-9]+)?")
_NEEDED = ("LoadState", "ActiveState", "SubState", "InvocationID")
_KILLED = {2: "killed by signal", 3: "dumped core on signal"}


class RequiredUnit(msgspec.Struct, frozen=True):
    """A unit that another one cannot start without; ``must_run`` means that it has to be active beforehand (Requisite)."""

    name: str
    load: str
    active: str
    result: str = ""
    must_run: bool = False

    @property
    def trouble(self) -> str:
        """What keeps the requiring unit from starting, or nothing."""
        if self.load not in {"loaded", "stub", "merged"}:
            return self.load
        if self.active == "failed":
            return f"failed ({self.result})" if self.result else "failed"
        return f"{self.active} and must be active first" if self.must_run and self.active != "active" else ""


class UnitState(msgspec.Struct, frozen=True):
    """One unit. Times are seconds since 1970 by the host's own clock; None where systemd does not remember.

    ``restarts`` counts systemd's automatic restarts since somebody last started the unit by hand. ``exit_kind`` is 1 for a
    main process that exited with ``exit_status``, 2 or 3 for one killed by that signal. ``oom_killed`` is what the kernel's
    log says of that process; ``oom_kills`` counts processes of the running unit that were killed for memory. ``health`` is
    asked of active units only.
    """

    name: str
    load: str = "loaded"
    load_error: str = ""
    file_state: str = ""
    active: str = "active"
    sub: str = "running"
    result: str = "success"
    restarts: int = 0
    job: int = 0
    invocation: str = ""
    kind: str = ""
    main_pid: int = 0
    exit_kind: int = 0
    exit_status: int = 0
    condition: bool = True
    oom_killed: bool = False
    oom_kills: int = 0
    now: float = 0.0
    active_since: float | None = None
    inactive_since: float | None = None
    needs: tuple[RequiredUnit, ...] = ()
    health: Probe | None = None

    @property
    def age(self) -> float | None:
        """Seconds since an active unit became active."""
        return None if self.active_since is None else max(0.0, self.now - self.active_since)

    @property
    def answer(self) -> Health | None:
        """How the health URL answered; None where it was not asked."""
        return self.health.health if self.health else None

    @property
    def broken_need(self) -> RequiredUnit | None:
        """The first required unit that keeps this one from starting."""
        return next((need for need in self.needs if need.trouble), None)

    @property
    def is_finished_oneshot(self) -> bool:
        """Whether the unit is a task that runs to its end, and is not running now."""
        return self.kind == "oneshot" and self.active == "inactive" and self.result == "success" and self.load == "loaded"

    @property
    def is_killed_for_memory(self) -> bool:
        """Whether the kernel ended the unit because memory was short."""
        return self.result == "oom-kill" or self.oom_killed

    @property
    def ending(self) -> str:
        """How a failed unit ended: systemd's result, and the status or signal of its main process."""
        if self.is_killed_for_memory:
            return "out of memory: the kernel killed it"
        if self.result == "exit-code" and self.exit_kind == 1:
            return f"exit-code, status {self.exit_status}"
        if self.result in {"signal", "core-dump"} and self.exit_kind in _KILLED:
            return f"{self.result}, {_KILLED[self.exit_kind]} {self.exit_status}"
        return self.result or "no reason given"

    @property
    def shortly(self) -> str:
        """The state in a word or two: ``active``, ``failed (exit-code, status 3)``, ``activating (auto-restart)``."""
        if self.active == "failed":
            return f"failed ({self.ending})"
        return f"{self.active} ({self.sub})" if self.active in MOVING else self.active

    @property
    def standing(self) -> str:
        """The state in words, since when and for how long, and what the health URL answered."""
        since = self._since
        span = "" if since is None else f" ({format_span(max(0.0, self.now - since))})"
        return self._words(span)

    @property
    def steady(self) -> str:
        """As ``standing``, but the same at every look while nothing changes."""
        return self._words("")

    def _words(self, span: str) -> str:
        state = "stopped" if self.active == "inactive" else self.shortly
        killed = f", {self.oom_kills} of its processes were killed for memory" if self.oom_kills else ""
        answer = f", {self.health.line}" if self.health else ""
        since = f" since {clock_time(self._since, self.now)}" if self._since else ""
        if self.active == "inactive" and not since:
            since = " (systemd does not remember since when)"  # as it forgets any unit that nothing refers to
        return f"{state}{since}{span}{killed}{answer}"

    @property
    def _since(self) -> float | None:
        if self.active in MOVING:
            return None
        return self.active_since if self.active == "active" else self.inactive_since


def clock_time(moment: float, now: float) -> str:
    """Write a time of the host's clock in UTC, with its date unless it is today's."""
    at, today = (datetime.fromtimestamp(value, UTC) for value in (moment, now))
    return f"{at:%H:%M:%S} UTC" if at.date() == today.date() else f"{at:%Y-%m-%d %H:%M:%S} UTC"


def observe(transport: Transport, unit: str, url: str | None) -> UnitState:
    """Read a unit and probe its health URL. Raises ``FactUnreadable`` and the transport's errors."""
    result = transport.run(Command(SCRIPT, (unit, *http.arguments(url or ""))))
    if not result.ok:
        raise FactUnreadable(f"the state of {unit} could not be read: {result.ending}")
    # Journals hold plain values, so the typed text of a wish is taken as text.
    state = msgspec.structs.replace(parse(result.stdout.data), name=str(unit))
    if url and state.health:
        state = msgspec.structs.replace(state, health=http.complete(transport, state.health, url))
    return state


def parse(stdout: bytes) -> UnitState:
    """Read what the script printed; the caller knows the unit's name. Raises ``FactUnreadable``."""
    # What a service answers comes last, so it cannot be mistaken for anything else.
    facts, asked, health = stdout.partition(b"\n[health]\n")
    own, _, needed = facts.decode(errors="replace").partition("\n[needs]\n")
    fields = _fields(own)
    if "error" in fields:
        return _unreadable(own)
    missing = [name for name in _NEEDED if name not in fields]
    if missing:
        raise FactUnreadable(f"systemctl does not tell {' and '.join(missing)}; systemd 232 or newer is needed")
    return _state(fields, _required(needed, fields), http.parse(health) if asked else None)


def _state(fields: Mapping[str, str], needs: tuple[RequiredUnit, ...], health: Probe | None) -> UnitState:
    return UnitState(
        name="",
        load=fields["LoadState"],
        load_error=fields.get("LoadError", "").partition(" ")[2].strip('"'),
        file_state=fields.get("UnitFileState", ""),
        active=fields["ActiveState"],
        sub=fields["SubState"],
        result=fields.get("Result", ""),
        restarts=_integer(fields, "NRestarts"),
        job=_integer(fields, "Job"),
        invocation=fields["InvocationID"],
        kind=fields.get("Type", ""),
        main_pid=_integer(fields, "MainPID"),
        exit_kind=_integer(fields, "ExecMainCode"),
        exit_status=_integer(fields, "ExecMainStatus"),
        condition=fields.get("ConditionResult") != "no",
        oom_killed="oom_killed" in fields,
        oom_kills=_integer(fields, "oom_kills"),
        now=_number(fields, "now"),
        active_since=_moment(fields, "ActiveEnterTimestampMonotonic"),
        inactive_since=_moment(fields, "InactiveEnterTimestampMonotonic"),
        needs=needs,
        health=health,
    )


def _unreadable(own: str) -> UnitState:
    """Tell a name that cannot be a unit's from a systemd that does not answer."""
    error = " ".join(own.partition("error=")[2].split())
    if _NO_SUCH_NAME.search(error):
        return UnitState("", load="not-found", load_error=error, active="inactive", sub="dead")
    why = f"systemd cannot be asked: {error[:300] or 'no answer within 8 s'}"
    raise FactUnreadable(why, final="has no systemctl" in error)


def _required(text: str, fields: Mapping[str, str]) -> tuple[RequiredUnit, ...]:
    before = set(fields.get("Requisite", "").split())
    blocks = [_fields(block) for block in text.split("\n\n") if "Id=" in block]
    return tuple(
        RequiredUnit(
            block["Id"],
            block.get("LoadState", ""),
            block.get("ActiveState", ""),
            block.get("Result", ""),
            must_run=block["Id"] in before,
        )
        for block in blocks
    )


def _fields(text: str) -> dict[str, str]:
    return dict(line.partition("=")[::2] for line in text.splitlines() if "=" in line)


def _integer(fields: Mapping[str, str], name: str) -> int:
    """Return a number; systemd writes ``[not set]``, or leaves a property out that a kind of unit has not."""
    text = fields.get(name, "")
    return int(text) if text.isdecimal() else 0


def _number(fields: Mapping[str, str], name: str) -> float:
    """Return seconds. Raises ``FactUnreadable`` for what is no number, or no time that a calendar knows."""
    text = fields.get(name, "")
    if not _SECONDS.fullmatch(text):
        raise FactUnreadable(f"the host does not tell its time: {name}={text!r}")
    return float(text)


def _moment(fields: Mapping[str, str], name: str) -> float | None:
    """Turn a monotonic stamp (microseconds, 0 for never) into the host's wall clock time.

    A stamp that lies in the future, or before 1970, belongs to another clock than ours (a container with its own uptime, a
    machine whose clock is not set): not known.
    """
    stamp = _integer(fields, name) / 1e6
    passed = _monotonic(fields) - stamp
    moment = round(_number(fields, "now") - max(0.0, passed), 3)
    return moment if stamp and passed > -1 and moment >= 0 else None


def _monotonic(fields: Mapping[str, str]) -> float:
    if "monotonic_ns" in fields:
        return _integer(fields, "monotonic_ns") / 1e9
    return _number(fields, "uptime")
