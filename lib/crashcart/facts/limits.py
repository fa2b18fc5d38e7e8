r"""A unit's resource limits, what it uses of them, and whether the host is about to take a change back, in one exec.

Seed rows S0-R2 (restart with more resources) and S0-D15. What a unit uses is its control group's memory without the page
cache that the kernel can drop at once. Where the kernel keeps no account (a container without the memory controller), the
resident memory of the unit's processes stands in; pages that they share are counted for each.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from crashcart.errors import FactUnreadable
from crashcart.transports.base import Command, Transport
from crashcart.values import format_size

CONTROL = "system.control"
"""Folder of the drop-ins that ``systemctl set-property`` writes: below /run/systemd, or /etc/systemd for lasting ones."""

USED = r"""
# used GROUP MEMORY_CURRENT: lines that tell how much memory a control group uses, as far as the kernel and /proc know.
used() {
  for file in "/sys/fs/cgroup$1/memory.stat" "/sys/fs/cgroup/memory$1/memory.stat"; do
    sed -n 's/^\(total_\)\{0,1\}inactive_file \([0-9]*\)$/cache=\2/p' "$file" 2>/dev/null | tail -n 1
  done
  case $2 in *[!0-9]*|'') resident "$1" ;; esac
}
resident() {
  sum=0 found=
  for file in $(grep -lF -e ":$1" /proc/[0-9]*/cgroup 2>/dev/null); do
    named "$1" "$file" || continue
    kb=$(sed -n 's/^VmRSS:[^0-9]*\([0-9]*\) kB$/\1/p' "${file%/cgroup}/status" 2>/dev/null)
    [ -z "$kb" ] || { sum=$((sum + kb)); found=yes; }
  done
  [ -z "$found" ] || printf 'resident_kb=%s\n' "$sum"
}
named() {
  while IFS= read -r line; do
    case $line in *":$1"|*":$1/"*) return 0 ;; esac
  done <"$2"
  return 1
}
"""
"""Shell functions for scripts that need to know: ``used GROUP MEMORY_CURRENT``."""

TIMER = r"""
# The name of the timer that takes a change of a unit back; an @ in it would make an instance, with a slice of its own.
timer_of() { printf 'crashcart-undo-%s\n' "${1%.service}" | tr @ :; }
"""

SCRIPT = (
    USED
    + TIMER
    + r"""
# $1 unit
fail() { printf 'error=%s\n' "$1"; exit 0; }
show() { timeout --foreground -k 1 8 systemctl --no-pager show "$@" 2>&1; }
value() { printf '%s\n' "$unit" | sed -n "s/^$1=//p"; }
command -v systemctl >/dev/null 2>&1 || fail 'this host has no systemctl'
unit=$(show -p Id,LoadState,LoadError,ActiveState,SubState,Result,ControlGroup \
  -p MemoryMax,MemoryHigh,MemoryCurrent,CPUQuotaPerSecUSec -- "$1") || fail "$unit"
printf '%s\n' "$unit"
timer=$(timer_of "$(value Id)")
armed=$(show -p ActiveState,Description -- "$timer.timer") || armed=
printf '%s\n' "$armed" | sed -n 's/^ActiveState=/timer_state=/p;s/^Description=/timer_does=/p'
drop_ins=
for file in "/run/systemd/system.control/$(value Id).d" "/etc/systemd/system.control/$(value Id).d"; do
  for setting in MemoryMax CPUQuota; do
    [ ! -e "$file/50-$setting.conf" ] || drop_ins="$drop_ins $file/50-$setting.conf"
  done
done
printf 'drop_ins=%s\n' "$drop_ins"
sed -n 's/^MemTotal:[^0-9]*\([0-9]*\) kB$/total_kb=\1/p' /proc/meminfo
printf 'cpus=%s\n' "$(grep -c '^processor' /proc/cpuinfo)"
group=$(value ControlGroup)
[ -n "$group" ] || exit 0
for file in "/sys/fs/cgroup$group/memory.max" "/sys/fs/cgroup/memory$group/memory.limit_in_bytes"; do
  sed -n 's/^/kernel_max=/p' "$file" 2>/dev/null
done
used "$group" "$(value MemoryCurrent)"
"""
)

PAGE = 65536
"""Bytes of the largest page: the kernel rounds a limit down to whole pages."""

INFINITY = "infinity"
UNLIMITED = 2**60
"""Bytes from which on a number is none: old kernels and systemds write no limit as a huge one."""

_BACK = re.compile(r"crashcart puts (.*) of \S+ back(?: and drops (.*))?")
_NO_SUCH_NAME = re.compile(r"neither a valid invocation ID nor unit name|(?:not a valid|invalid) unit name", re.IGNORECASE)
_SPAN = re.compile(r"([0-9]+(?:\.[0-9]+)?)(us|ms|min|s|h|d|w)")
_MICROSECONDS = {"us": 1, "ms": 10**3, "s": 10**6, "min": 6 * 10**7, "h": 36 * 10**8, "d": 864 * 10**8, "w": 6048 * 10**8}
_NEEDED = ("LoadState", "ActiveState", "MemoryMax", "CPUQuotaPerSecUSec")


class LimitsState(msgspec.Struct, frozen=True):
    """One unit's limits: ``memory_max`` and ``cpu_quota`` as systemd shows them, so that scripts can compare.

    ``id`` is the unit's own name, where it was asked for by another. ``used`` (bytes) is None where nobody can tell;
    ``by_processes`` says that it was added up from the unit's processes. ``total`` (bytes) and ``cpus`` are the host's.
    ``kernel_max`` is the limit that the kernel enforces (bytes, ``UNLIMITED`` for none; None: it does not say). ``drop_ins``
    are the files of ``systemctl set-property`` that there are (systemd's own list is as old as its last reading of files).
    ``armed`` is what a timer on the host is about to put back, as ``systemctl
    set-property`` takes it, and ``armed_drops`` the settings whose drop-ins it then removes.
    """

    name: str
    id: str = ""
    load: str = "loaded"
    load_error: str = ""
    active: str = "active"
    sub: str = "running"
    result: str = "success"
    memory_max: str = INFINITY
    memory_high: str = INFINITY
    cpu_quota: str = INFINITY
    used: int | None = None
    by_processes: bool = False
    total: int = 0
    cpus: int = 0
    kernel_max: int | None = None
    drop_ins: tuple[str, ...] = ()
    armed: tuple[str, ...] = ()
    armed_drops: tuple[str, ...] = ()

    @property
    def memory_limit(self) -> int | None:
        """Bytes that the unit may use; None is no limit."""
        return _bytes(self.memory_max)

    @property
    def cpu_percent(self) -> float | None:
        """Per cent of one CPU that the unit may use; None is no limit."""
        return _percent(self.cpu_quota)

    @property
    def is_enforced(self) -> bool:
        """Whether the kernel of this host has an account of the unit's memory."""
        return self.kernel_max is not None

    @property
    def shortly(self) -> str:
        """The unit's state in a word or two: ``active``, ``failed (oom-kill)``."""
        if self.active == "failed":
            return f"failed ({self.result})" if self.result else "failed"
        return self.active if self.active in {"active", "inactive"} else f"{self.active} ({self.sub})"

    @property
    def standing(self) -> str:
        """What the unit uses and may use, in words."""
        used = "an unknown amount" if self.used is None else format_size(self.used)
        limit, quota = memory_words(self.memory_limit), cpu_words(self.cpu_percent)
        by = " (its processes added up)" if self.by_processes else ""
        return f"uses {used} of memory{by}, MemoryMax is {limit}{self._throttle}, CPUQuota is {quota}"

    @property
    def _throttle(self) -> str:
        """Name a MemoryHigh below the limit: the kernel slows the unit down there, and a higher MemoryMax does not help."""
        high, limit = _bytes(self.memory_high), self.memory_limit
        return f" (MemoryHigh {format_size(high)} slows it down before)" if high and (limit is None or high < limit) else ""

    def runtime_file(self, setting: str) -> str:
        """Return the drop-in that ``systemctl set-property --runtime`` writes for a setting."""
        return f"/run/systemd/{CONTROL}/{self.id}.d/50-{setting}.conf"

    def lasting_file(self, setting: str) -> str:
        """Return the drop-in of a lasting ``set-property``: it wins when systemd next reads its files."""
        return f"/etc/systemd/{CONTROL}/{self.id}.d/50-{setting}.conf"


def memory_words(limit: int | None) -> str:
    """Write a memory limit as people read it."""
    return "unlimited" if limit is None else format_size(limit)


def cpu_words(percent: float | None) -> str:
    """Write a CPU limit as systemd takes it: 100% is one CPU."""
    return "unlimited" if percent is None else f"{percent:.2f}".rstrip("0").rstrip(".") + "%"


def observe(transport: Transport, unit: str) -> LimitsState:
    """Read a unit's limits. Raises ``FactUnreadable`` and the transport's errors."""
    result = transport.run(Command(SCRIPT, (str(unit),)))
    if not result.ok:
        raise FactUnreadable(f"the limits of {unit} could not be read: {result.ending}")
    return msgspec.structs.replace(parse(result.stdout.data), name=str(unit))


def parse(stdout: bytes) -> LimitsState:
    """Read what the script printed; the caller knows the unit's name. Raises ``FactUnreadable``."""
    fields = dict(line.partition("=")[::2] for line in stdout.decode(errors="replace").splitlines() if "=" in line)
    if "error" in fields:
        return _unreadable(fields["error"])
    missing = [name for name in _NEEDED if not fields.get(name)]
    if missing:
        raise FactUnreadable(f"systemctl does not tell {' and '.join(missing)}; systemd 232 or newer is needed")
    return LimitsState(
        name="",
        id=fields.get("Id", ""),
        load=fields["LoadState"],
        load_error=fields.get("LoadError", "").partition(" ")[2].strip('"'),
        active=fields["ActiveState"],
        sub=fields.get("SubState", ""),
        result=fields.get("Result", ""),
        memory_max=_checked(fields, "MemoryMax"),
        memory_high=_checked(fields, "MemoryHigh"),
        cpu_quota=_checked(fields, "CPUQuotaPerSecUSec"),
        used=_used(fields),
        by_processes="resident_kb" in fields,
        total=(_integer(fields, "total_kb") or 0) * 1024,
        cpus=_integer(fields, "cpus") or 0,
        kernel_max=_kernel_max(fields),
        drop_ins=tuple(fields.get("drop_ins", "").split()),
        armed=_armed(fields, 1),
        armed_drops=_armed(fields, 2),
    )


def _unreadable(error: str) -> LimitsState:
    """Tell a name that cannot be a unit's from a systemd that does not answer."""
    if _NO_SUCH_NAME.search(error):
        return LimitsState("", load="not-found", load_error=error, active="inactive", sub="dead")
    why = f"systemd cannot be asked: {error[:300] or 'no answer within 8 s'}"
    raise FactUnreadable(why, final="has no systemctl" in error)


def _checked(fields: Mapping[str, str], name: str) -> str:
    """Return a limit as it was shown. Raises ``FactUnreadable`` for what is no limit."""
    text = fields.get(name, INFINITY)
    try:
        _percent(text) if name.startswith("CPU") else _bytes(text)
    except ValueError as error:
        raise FactUnreadable(f"systemd shows {name}={text[:40]!r}, which is not known here") from error
    return text


def _bytes(text: str) -> int | None:
    if text == INFINITY:
        return None
    return int(text) if int(text) < UNLIMITED else None


def _percent(text: str) -> float | None:
    """Read the CPU time per second that systemd shows as a span (``1.500000s``, ``2min 500ms``)."""
    if text == INFINITY:
        return None
    if _SPAN.sub("", text).strip():
        raise ValueError(text)
    return sum(float(number) * _MICROSECONDS[unit] for number, unit in _SPAN.findall(text)) / 10**4


def _used(fields: Mapping[str, str]) -> int | None:
    """Return what the unit uses in bytes: nothing where nothing of it runs, None where that cannot be told."""
    if not fields.get("ControlGroup"):
        return 0 if fields["ActiveState"] in {"inactive", "failed"} else None
    current = _integer(fields, "MemoryCurrent")
    if current is not None and current < UNLIMITED:
        return max(0, current - (_integer(fields, "cache") or 0))
    resident = _integer(fields, "resident_kb")
    return None if resident is None else resident * 1024


def _kernel_max(fields: Mapping[str, str]) -> int | None:
    limit = _integer(fields, "kernel_max")
    return UNLIMITED if fields.get("kernel_max") == "max" else limit and min(limit, UNLIMITED)


def _armed(fields: Mapping[str, str], part: int) -> tuple[str, ...]:
    does = _BACK.fullmatch(fields.get("timer_does", ""))
    return tuple((does[part] or "").split()) if does and fields.get("timer_state") == "active" else ()


def _integer(fields: Mapping[str, str], name: str) -> int | None:
    """Return a number; systemd writes ``[not set]`` for one that it does not know."""
    text = fields.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() else None
