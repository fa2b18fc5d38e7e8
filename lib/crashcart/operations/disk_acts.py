r"""The acts that free space: deleting a group of files, and emptying a log that is open.

What deleting promises: it never leaves the directory, never follows a link, and deletes only files that still match. It is
one ``find -xdev -type f`` with the predicates of the look and the inode numbers of its files repeated, and ``-delete`` last.
Emptying a log goes through the holder's open file, never by path: whoever may write to the directory could plant a link
there, and root would empty whatever it leads to.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec

from crashcart.facts.disk import literal
from crashcart.facts.disk_script import COMMON
from crashcart.facts.disk_state import DiskState, Holder, Listing, LiveLog, Stage, per_cent
from crashcart.operations.base import Action, Effect
from crashcart.operations.disk_stages import Group, tried
from crashcart.operations.disk_wish import ReclaimWish, split_glob
from crashcart.results import Change, Evidence
from crashcart.transports.base import Command
from crashcart.values import format_size, format_span

DELETE = (
    COMMON
    + r"""
# $1 path, $2 device, $3 stage, $4 latest change, $5 owner's number, then for each directory: itself, its inode numbers,
# how many patterns of names follow, and these. Ends with the plain look. 75: not as it was, nothing done.
# one_of: find words that are true for the inode numbers on stdin, which are sorted. In bundles that one comparison passes
# over, or each file of a large directory would be held against every number; and as text, since awk counts to 2^53 only.
one_of() {
  awk '{ number[NR] = $1 }
    END {
      for (first = 1; first <= NR; first += 50) {
        last = first + 49 < NR ? first + 49 : NR
        printf "%s ( ! -inum -%s ! -inum +%s (", (first > 1 ? " -o" : ""), number[first], number[last]
        for (i = first; i <= last; i++) printf "%s -inum %s", (i > first ? " -o" : ""), number[i]
        printf " ) )"
      }
    }'
}
delete() {
  numbers=$2
  if [ "$stage" = temp ]; then
    numbers=$(printf '%s\n' $numbers | among 0 "$1")
    case $numbers in unknown) say "failed it cannot be told what is open in $1"; return ;; esac
  fi
  [ -n "$numbers" ] || return
  root=$1
  set -- $(printf '%s\n' $numbers | one_of)
  failed=$(sweep "$stage" "$root" -links 1 \( "$@" \) -delete 2>&1 | tr '\000' '\n' | head -c 4000)
  [ -z "$failed" ] || say "failed $failed"
}
path=$1 device=$2 stage=$3 cutoff=$4 uid=$5 within=
shift 5
[ "$(stat -L -c %d -- "$path")" = "$device" ] || exit 75
if [ "$stage" = packages ]; then locked; [ $? -eq 1 ] || exit 75; fi
while [ $# -ge 3 ]; do
  root=$1 inodes=$2 patterns=$3
  shift 3
  while [ "$patterns" -gt 0 ]; do
    glob=$1 patterns=$((patterns - 1))
    shift
    delete "$root" "$inodes"
  done
done
volume "$path"
say end
"""
)

EMPTY = (
    COMMON
    + r"""
# $1 path, $2 device, $3 inode, $4 its path as a pattern, $5 and $6 process and number of the open file to go through.
# Ends with the plain look. 75: not as it was, nothing done.
device=$2
lines=$(holders "$3" "$4") && [ -z "$(mapped "$3")" ] || exit 75
case "
$lines" in *"
$5 $6 "*) ;; *) exit 75 ;; esac
[ "$(stat -L -c %h -- "/proc/$5/fd/$6")" = 1 ] || exit 75
for flags in $(printf '%s\n' "$lines" | awk '{ print $3 }'); do
  case $flags in *[!0-7]*) exit 75 ;; esac
  [ $((0$flags & 3)) -eq 0 ] || [ $((0$flags & 02000)) -ne 0 ] || exit 75
done
command exec 9>>"/proc/$5/fd/$6" || exit 75
[ "$(stat -L -c %d:%i /proc/self/fd/9)" = "$2:$3" ] || exit 75
truncate -s 0 /proc/self/fd/9 || exit 1
volume "$1"
say end
"""
)

TAIL = r"""
# $1 device:inode, $2 and $3 process and number of the open file
command exec 8<"/proc/$2/fd/$3" || exit 1
[ "$(stat -L -c %d:%i /proc/self/fd/8)" = "$1" ] || exit 1
stat -L -c '%s bytes, last written %y; the end of it:' /proc/self/fd/8
tail -c 262144 <&8
"""

DELETE_LIMIT = 240.0
"""Seconds for one group; freeing large files takes a slow disk a while."""

SHOWN = 1000
"""Files of a group that the record names; the rest is counted."""


_WORDS = {
    Stage.PACKAGES: "cached package",
    Stage.LOGS: "rotated log",
    Stage.JOURNAL: "archived journal file",
    Stage.TEMP: "temporary file",
    Stage.LIVE: "open log",
}


class Scene(msgspec.Struct, frozen=True):
    """What an act is made from: the state with its listing, the wish, the run's acts so far, and the state's token."""

    state: DiskState
    listing: Listing
    wish: ReclaimWish
    applied: tuple[str, ...]
    token: str


def delete_action(group: Group, scene: Scene) -> Action:
    """Return the act that deletes a group. Its key tells a second try from the first."""
    tries = tried(group, scene.applied)
    return Action(
        key=f"{group.key}#{tries + 1}" if tries else group.key,
        effect=Effect.CONVERGE,
        summary=_summary(group, scene.wish),
        only_if=scene.token,
        call=Command(DELETE, tuple(_arguments(group, scene)), timeout=DELETE_LIMIT),
        changes=_planned(scene.state, group.size, len(group.files)),
        proof=(_proof(group),),
        clocked=(3,),
    )


def empty_action(log: LiveLog, holder: Holder, scene: Scene) -> Action:
    """Return the act that empties an open log. Its key holds device, inode and length, so that its effect can be seen."""
    args = (scene.wish.path, str(log.device), str(log.inode), literal(log.path), str(holder.pid), str(holder.fd))
    return Action(
        key=f"{live_key(log)}{log.length}",
        effect=Effect.DESTROY,
        summary=f"empty {log.path}, {format_size(log.size)}, which {holder.command} (pid {holder.pid}) keeps open",
        only_if=scene.token,
        call=Command(EMPTY, args, timeout=60),
        changes=_planned(scene.state, log.size, 0),
    )


def name_stage(stage: Stage, count: int = 2) -> str:
    """Call the files of a stage by their name."""
    return _WORDS[stage] if count == 1 else f"{_WORDS[stage]}s"


def tail_of(action: Action) -> Command:
    """Return the command that keeps the end of a log before it is emptied."""
    _, device, inode, _, pid, fd = action.command.args
    return Command(TAIL, (f"{device}:{inode}", pid, fd), timeout=10)


def live_key(log: LiveLog) -> str:
    """Begin the key of the act that empties this log."""
    return f"{Stage.LIVE}:{log.device}:{log.inode}:"


def is_emptied(state: DiskState, key: str) -> bool:
    """Whether the log that the key names is shorter now."""
    stage, *numbers = key.split(":")
    if stage != Stage.LIVE or len(numbers) != 3:
        return False
    device, inode, length = map(int, numbers)
    return any((log.device, log.inode) == (device, inode) and log.length < length for log in state.live)


def _arguments(group: Group, scene: Scene) -> Iterator[str]:
    owner = group.files[0].owner
    aged = group.stage in {Stage.LOGS, Stage.TEMP}
    # As in the look: what is not chosen by its age must not have changed since.
    latest = scene.listing.now - scene.wish.max_age if aged else scene.listing.now + 1
    yield from (scene.wish.path, str(scene.state.device), group.stage.value, str(max(0, int(latest))), str(owner))
    for root in group.roots:
        patterns = _patterns(root, scene.wish) if group.stage is Stage.TEMP else ("*",)
        inodes = " ".join(map(str, sorted(file.inode for file in group.files if file.root == root)))
        yield from (root, inodes, str(len(patterns)), *patterns)


def _patterns(root: str, wish: ReclaimWish) -> tuple[str, ...]:
    return tuple(pattern for place, pattern in map(split_glob, wish.tmp_globs) if place == root)


def _summary(group: Group, wish: ReclaimWish) -> str:
    narrowed = {
        Stage.LOGS: f" older than {format_span(wish.max_age)}",
        Stage.JOURNAL: f" without an entry of the last {format_span(wish.incident_window)}",
        Stage.TEMP: f" of {wish.tmp_owner} older than {format_span(wish.max_age)}",
    }.get(group.stage, "")
    what = f"{_count(group)}{narrowed}"
    return f"delete {what} in {' and '.join(group.roots)}, {format_size(group.size)}"


def _planned(state: DiskState, size: int, files: int) -> tuple[Change, ...]:
    used, inodes = max(0, state.used - size), max(0, state.inodes_used - files)
    bytes_after = per_cent(used, used + state.available + size)
    changes = [Change(f"{state.mount} bytes", _use(state.percent, state.used), f"about {_use(bytes_after, used)}")]
    if state.inodes and files:
        before = f"{state.inode_percent} % ({state.inodes_used})"
        changes.append(Change(f"{state.mount} inodes", before, f"about {per_cent(inodes, state.inodes)} % ({inodes})"))
    return tuple(changes)


def _use(percent: int, used: int) -> str:
    return f"{percent} % ({format_size(used)})"


def _count(group: Group) -> str:
    return f"{len(group.files)} {name_stage(group.stage, len(group.files))}"


def _proof(group: Group) -> Evidence:
    lines = [f"{_count(group)}, {group.size} bytes on the disk: size, mtime, inode, path"]
    for file in group.files[:SHOWN]:
        modified = datetime.fromtimestamp(file.modified, UTC)
        lines.append(f"{file.size} {modified:%Y-%m-%dT%H:%M:%SZ} {file.inode} {file.path}")
    if len(group.files) > SHOWN:
        lines.append(f"... and {len(group.files) - SHOWN} more")
    return Evidence(f"{name_stage(group.stage)} to be deleted", lines=tuple(lines))
