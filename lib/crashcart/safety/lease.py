r"""The lease on a host: two controllers never act on one host at once, and it costs no round trip of its own.

``leased`` puts taking the lease in front of an act's script, in the same exec. What makes it hold, without any waiting:

- A lease is a directory, ``/run/crashcart/lease``, with its record as the only file. It is made aside and renamed into
  place; a rename onto a directory that holds something fails. So it appears at once and with its owner, or not at all.
- The record's name holds until when it counts, and a mark that no other lease ever had. Extending renames the record, giving
  up and taking over unlink it: by name, so that each fails when the lease is no more what was read.
- A lease without a record is nobody's. Whoever is killed half-way leaves one, or a directory aside that is swept up later.
- Until when is counted in the host's time since boot: no clock that is set can shorten or stretch it, and a reboot ends it.

The scripts need sh and coreutils, and room in ``/run`` alone.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import Any

import msgspec

from crashcart.decoding import from_json
from crashcart.errors import BadInput, Refused
from crashcart.transports.base import Command, CommandResult
from crashcart.transports.remote import KILL_AFTER
from crashcart.values import format_span

LEASED = 76
"""Exit status of a leased script that was not run, because another run holds the host."""

NO_LEASE = 77
"""Exit status of a leased script that was not run, because no lease can be had: not root, ``/run`` full or read-only."""

FOLDER = "/run/crashcart"

LONGEST = 86400.0
"""Seconds that a lease lasts at most without being taken again; an act's own time limit, where that is longer."""

_SLACK = 5.0
_WIDEST = 200
_KEEP = 64 * 1024
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_LINE = re.compile(r"crashcart-lease (held|expired) (-?\d{1,12}) (-?\d{1,12}) (.*)")
_NONE = re.compile(r"crashcart-lease none (.*)")

_COMMON = r"""
umask 077
LC_ALL=C
export LC_ALL
folder=$1 run=$2 lease=$1/lease new=
say() { printf 'crashcart-lease %s\n' "$*" >&2; }
leave() {
  [ -z "$new" ] || rm -rf -- "$new" 2>/dev/null
  exit "$1"
}
none() { say "none $*"; leave 77; }
# ours: nobody else may write to the folder, so nothing in it is a trap.
ours() {
  found=$(stat -c '%u %a %F' -- "$folder" 2>&1)
  [ "$found" = "$(id -u) 700 directory" ] || none "$folder must be a directory, ours, with mode 700; it is: $found"
}
clock() {
  { read -r now rest </proc/uptime; } 2>/dev/null || none 'cannot read /proc/uptime'
  instant=${now%.*}${now#*.} now=${now%%.*}
}
number() { case $1 in '' | 0?* | *[!0-9]* | ????????????*) return 1 ;; esac; }
# look: reads the lease. Fails where there is none, or none that stays as it is.
look() {
  [ ! -h "$lease" ] || return 1
  set -- "$lease"/*
  [ $# -eq 1 ] || return 1
  entry=$1 mark=${1##*/}
  until=${mark%%.*} mark=${mark#*.}
  number "$until" || return 1
  { { IFS= read -r holder && IFS= read -r since && IFS= read -r record; } <"$entry"; } 2>/dev/null && number "$since"
}
"""

_TAKE = (
    r"""# $1 folder, $2 run, $3 seconds, $4 record, then the script's own. In a subshell, which leaves no name behind.
("""
    + _COMMON
    + r"""
seconds=$3 words=$4
# Litter is moved before it is removed: whoever was merely slow then finds its directory gone, and never a part of it.
sweep() {
  for old in "$folder"/new.*; do
    age=${old##*/new.}
    age=${age%%.*}
    number "$age" && [ $((now - age)) -gt 60 ] && mv -T -- "$old" "$folder/dead.${old##*/new.}" 2>/dev/null
  done
  for old in "$folder"/dead.*; do [ ! -e "$old" ] || rm -rf -- "$old" 2>/dev/null; done
}
prepare() {
  new=$folder/new.$now.$$.$tries
  why=$(mkdir -m 0700 -- "$new" 2>&1) || { new=; none "$why"; }
  { printf '%s\n' "$run" "$now" "$words" >"$new/$((now + seconds)).$instant.$$"; } 2>/dev/null ||
    none "cannot write to $folder"
}
take() {
  [ -n "$new" ] && [ -d "$new" ] || prepare
  mv -T -- "$new" "$lease" 2>/dev/null && new=
}
extend() {
  later=$((now + seconds))
  [ "$later" -le "$until" ] || mv -T -- "$entry" "$lease/$later.$mark" 2>/dev/null
}
[ -d "$folder" ] || why=$(mkdir -m 0700 -- "$folder" 2>&1)
[ -d "$folder" ] || none "$why"
ours
clock
sweep
for tries in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  clock
  if ! look; then
    take && leave 0
  elif [ "$holder" = "$run" ]; then
    extend && leave 0
  elif [ "$now" -le "$until" ]; then
    say "held $((now - since)) $((until - now)) $record"
    leave 76
  else
    unlink "$entry" 2>/dev/null && say "expired $((now - since)) $((until - now)) $record"
  fi
done
none "cannot tell who holds $lease"
) || exit
shift 4
"""
)

_RELEASE = (
    "# $1 folder, $2 run\n"
    + _COMMON
    + r"""
[ -e "$folder" ] || exit 0
ours
for tries in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  rmdir -- "$lease" 2>/dev/null
  [ -e "$lease" ] || exit 0
  look || continue
  [ "$holder" = "$run" ] || exit 0
  unlink "$entry" 2>/dev/null && echo released
done
none "cannot tell who holds $lease"
"""
)


class Lease(msgspec.Struct, frozen=True):
    """What a run asks of a host: to be alone with it for ``seconds``, counted anew by each act.

    ``controller`` is the name of the machine that the run is at work on, ``started`` the run's start in seconds since 1970.
    """

    run: str
    actor: str
    controller: str
    playbook: str
    started: int
    reason: str = ""
    seconds: float = 900.0
    folder: str = FOLDER


class Holder(msgspec.Struct, frozen=True):
    """Who holds a host, as the host tells it: for ``held`` seconds so far, ``left`` more at most (negative: it ran out)."""

    run: str
    actor: str
    controller: str
    playbook: str
    reason: str
    started: datetime | None
    held: float
    left: float

    @property
    def text(self) -> str:
        """Say who, since when, doing what, from where, and how long it is valid at most."""
        started = f", started {self.started:%Y-%m-%d %H:%M:%S} UTC" if self.started else ""
        what = ", ".join(filter(None, (self.playbook, self.reason)))
        ends = f"valid for at most {format_span(self.left)}" if self.left >= 0 else f"ran out {format_span(-self.left)} ago"
        who = f"{self.actor} on {self.controller} holds this host for {format_span(self.held)}"
        return f"{who}: {what} (run {self.run}{started}); {ends}"

    @property
    def hint(self) -> str:
        """Say how to ask, and what helps when nobody can answer."""
        wait = f"ask {self.actor}, or wait at most {format_span(max(0.0, self.left))}"
        return (
            f"{wait}; on {self.controller}, inv runs.show {self.run} shows it, inv runs.resume {self.run} ends it if it died"
        )


def leased(command: Command, lease: Lease) -> Command:
    """Return the command that takes the lease, or takes it again, and then does what the given one does.

    Otherwise it ends with ``LEASED`` or ``NO_LEASE`` and one line on stderr, nothing of the script having been run. Status,
    arguments, stdout and time limit are the script's own; stderr too, but for one line in front when a lease that had run
    out was taken over. Raises ``BadInput`` for a run id that cannot be one.
    """
    seconds = math.ceil(max(min(lease.seconds, LONGEST), command.timeout + KILL_AFTER + _SLACK))
    args = (lease.folder, _run(lease), str(seconds), _encode(lease), *command.args)
    return msgspec.structs.replace(command, script=_TAKE + command.script, args=args)


def release(lease: Lease) -> Command:
    """Return the command that gives the host back; it does nothing where the lease is not this run's."""
    return Command(_RELEASE, (lease.folder, _run(lease)), timeout=10, keep=_KEEP)


def read_holder(result: CommandResult) -> Holder | None:
    """Return who kept a leased command from being run, or None when nobody did."""
    return _read(result, "held") if result.status == LEASED else None


def read_takeover(result: CommandResult) -> Holder | None:
    """Return whose lease, which had run out, was taken over, or None when there was none."""
    return _read(result, "expired")


def refusal(result: CommandResult) -> Refused | None:
    """Return why a leased command was not run, for want of the lease, or None when it was."""
    holder = read_holder(result)
    if holder:
        return Refused(holder.text, hint=holder.hint)
    why = next(filter(None, map(_NONE.fullmatch, _lines(result))), None) if result.status == NO_LEASE else None
    if why is None:
        return None
    hint = f"on the host, as root: ls -ld {FOLDER} {FOLDER}/lease; df {FOLDER}"
    return Refused(f"the host's lease cannot be had: {_clean(why[1])}", hint=hint)


class _Record(msgspec.Struct, frozen=True):
    """A lease's words, one line of JSON. Whatever else is there is of a later version, and nothing is required."""

    run: str = "unknown"
    actor: str = "somebody unknown"
    controller: str = "a machine unknown"
    playbook: str = "nothing known"
    reason: str = ""
    started: int = 0


def _run(lease: Lease) -> str:
    if not _RUN_ID.fullmatch(lease.run):
        raise BadInput(f"{lease.run!r} is no run id")
    return lease.run


def _encode(lease: Lease) -> str:
    words = (lease.actor, lease.controller, lease.playbook, lease.reason)
    actor, controller, playbook, reason = (text.encode(errors="replace").decode()[:_WIDEST] for text in words)
    return msgspec.json.encode(_Record(lease.run, actor, controller, playbook, reason, lease.started)).decode()


def _read(result: CommandResult, what: str) -> Holder | None:
    match = next((match for line in _lines(result) if (match := _LINE.fullmatch(line)) and match[1] == what), None)
    return _holder(match) if match else None


def _lines(result: CommandResult) -> list[str]:
    """Split as the script ends its lines; a quoted text may hold what else counts as the end of one."""
    return result.stderr.head[:_KEEP].decode(errors="replace").split("\n")


def _holder(match: re.Match[str]) -> Holder:
    try:
        record = from_json(match[4], _Record)
    except msgspec.MsgspecError:
        record = _Record()
    words: dict[str, Any] = {
        name: _clean(text) for name, text in msgspec.structs.asdict(record).items() if name != "started"
    }
    return Holder(**words, started=_date(record.started), held=float(match[2]), left=float(match[3]))


def _date(epoch: int) -> datetime | None:
    return datetime.fromtimestamp(epoch, UTC) if 0 < epoch < 2**33 else None


def _clean(text: str) -> str:
    """Make text from a host fit for a line of ours."""
    return "".join(char if char.isprintable() else " " for char in text[:_WIDEST]).strip()
