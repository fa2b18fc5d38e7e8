r"""The scripts that look at a file system. Fixed text; whatever comes from elsewhere is an argument.

They need POSIX utilities, GNU coreutils and GNU findutils, and no room at all: no temporary files and so no
here-documents, and ``sort`` only with its input held well below its buffer. Output is a row of records that each end
with a newline and a NUL; what can hold any byte (a name) comes last in its record. One ``end`` closes the output.

They must not hang where another file system does (a dead NFS server): nothing lists all mounts' sizes, whatever walks is
under ``timeout``, and ``find`` never leaves the file system. ``timeout`` without ``--foreground`` is for walks that start
``stat``, so that it ends that too.
"""

from __future__ import annotations

from crashcart.facts.disk_rules import (
    JOURNAL,
    PACKAGE_CACHES,
    PACKAGE_LOCKS,
    PACKAGE_PIDS,
    PACKAGES,
    ROTATED,
    any_name,
    no_evidence,
)

VOLUME = r"""
say() { printf '%s\n\0' "$*"; }
# volume PATH: how full the file system is that holds this directory. Fails after having said why there is no answer.
volume() {
  [ -e "$1" ] || { say missing; return 1; }
  [ -d "$1" ] || { say not-a-directory; return 1; }
  stat -L --printf 'volume %d %m\n\0' -- "$1" || exit 1
  stat -f --printf 'space %S %b %f %a %c %d %T\n\0' -- "$1" || exit 1
  [ -w "$1" ] || say read-only
}
"""

PLAIN = (
    VOLUME
    + r"""
# $1 path
volume "$1"
say end
"""
)

_INSIDE = r"""
# inner ROOT: the mount points inside, as find names them. A bind mount of the same file system does not stop -xdev.
inner() {
  ROOT=$1/ awk 'index($5, ENVIRON["ROOT"]) == 1 { print "./" substr($5, length(ENVIRON["ROOT"]) + 1) }' /proc/self/mountinfo
}
"""

_SWEEP = f"""
# sweep STAGE ROOT WORDS: let find do WORDS with each file that STAGE may delete in ROOT, or say why ROOT is left out.
# Reads $device, $cutoff (last change, seconds since 1970), $within (a time limit) and, for temp, $glob and $uid.
sweep() (
  stage=$1 root=$2
  shift 2
  left() {{ say "left $stage $1 $root"; exit 0; }}
  [ -e "$root" ] || exit 0
  cd -P -- "$root" 2>/dev/null && [ "$(pwd -P)" = "$root" ] || left link
  [ "$(stat -c %d .)" = "$device" ] || left elsewhere
  points=$(inner "$root") || left mounts
  for point in $points; do
    case $point in *\\\\*|*\\**|*\\?*|*\\[*) left mounts ;; esac
    set -- ! -path "$point" ! -path "$point/*" "$@"
  done
  depth=64
  case $stage in
    packages) set -- {any_name(PACKAGES)} "$@" ;;
    logs) set -- {any_name(ROTATED)} {no_evidence()} "$@" ;;
    journal) depth=2; set -- {any_name(("*@*.journal", "*@*.journal~"))} "$@" ;;
    active) depth=2; set -- -name '*.journal' ! -name '*@*' "$@" ;;
    temp)
      depth=1
      case $glob in .*) ;; *) set -- ! -name '.*' "$@" ;; esac
      set -- -name "$glob" -uid "$uid" {no_evidence()} "$@" ;;
    *) left stage ;;
  esac
  # -O0: tests in the order in which they are written, or thousands of -inum are gone through for each file.
  $within find -P -O0 . -ignore_readdir_race -xdev -maxdepth "$depth" -type f ! -newermt "@$cutoff" "$@"
)
"""

_LOCKED = f"""
# locked: whether a package manager is at work. 0 yes, 1 no, 2 cannot tell
locked() {{
  [ -r /proc/locks ] || return 2
  for file in {" ".join(PACKAGE_LOCKS)}; do
    [ -e "$file" ] || continue
    inode=$(stat -c %i -- "$file") || return 2
    grep -q ":$inode " /proc/locks && return 0
  done
  for file in {" ".join(PACKAGE_PIDS)}; do
    [ -e "$file" ] || continue
    pid=; read -r pid <"$file"
    case $pid in ''|*[!0-9]*) return 0 ;; esac
    [ -d "/proc/$pid" ] && return 0
  done
  return 1
}}
"""

_OPENED = r"""
in_time() { case $1 in 12[4-7]|137) return 1 ;; esac; }
# opened ROOT: lines with the inode numbers of what is open or mapped in ROOT, and of more; fails when that cannot be told.
# By the text of the links, so that only what lies in ROOT is asked for its number; and by fdinfo, which asks nothing and
# sees through mount namespaces (Linux 5.14 and later).
opened() (
  [ -r /proc/1/fd ] || exit 1
  set +f
  timeout -k 1 5 find /proc/[0-9]*/fd -maxdepth 1 -lname "$1/*" -exec stat -L -c %i -- {} + 2>/dev/null
  in_time $? || exit 1
  timeout -k 1 5 find /proc/[0-9]*/fdinfo -maxdepth 1 -type f -exec grep -hs '^ino:' {} + 2>/dev/null
  in_time $? || exit 1
  timeout -k 1 5 grep -hsF -- " $1/" /proc/[0-9]*/maps
  in_time $?
)
# among 1|0 ROOT: of the inode numbers on stdin those that are open (1) or not (0); "unknown" when that cannot be told
among() {
  { opened "$2" && echo end; cat; } | awk -v want="$1" '
    $0 == "end" { asked = 1; next }
    !asked { seen[NF == 1 ? $1 : NF == 2 ? $2 : $5] = 1; next }
    ($1 in seen) == want { print $1 }
    END { if (!asked) print "unknown" }'
}
"""

_HOLDERS = r"""
# holders INODE PATTERN: "pid fd flags" of each open file that is DEVICE:INODE; fails when that cannot be told
holders() (
  [ -r /proc/1/fd ] || exit 1
  set +f
  links=$(timeout -k 1 5 find /proc/[0-9]*/fd -maxdepth 1 -lname "$2" 2>/dev/null)
  in_time $? || exit 1
  number="^ino:[[:space:]]*$1\$"
  infos=$(timeout -k 1 5 find /proc/[0-9]*/fdinfo -maxdepth 1 -type f -exec grep -ls "$number" {} + 2>/dev/null)
  in_time $? || exit 1
  for fd in $(printf '%s\n' $links $infos | sed 's,/fdinfo/,/fd/,' | sort -u -S 4M); do
    pid=${fd#/proc/} pid=${pid%%/*}
    [ "$(timeout -k 1 2 stat -L -c %d:%i -- "$fd" 2>/dev/null)" = "$device:$1" ] || continue
    flags=$(sed -n 's/^flags:[[:space:]]*//p' "/proc/$pid/fdinfo/${fd##*/}" 2>/dev/null)
    [ -z "$flags" ] || printf '%s %s %s\n' "$pid" "${fd##*/}" "$flags"
  done
)
# mapped INODE: the processes that map it: to cut a mapped file is to kill them
mapped() ( set +f; timeout -k 1 5 grep -ls "^[^ ]* [^ ]* [^ ]* [^ ]* $1 " /proc/[0-9]*/maps; in_time $? || echo unknown )
"""

COMMON = "set -f\n" + VOLUME + _INSIDE + _SWEEP + _LOCKED + _OPENED + _HOLDERS
"""What looks and acts share, above all the predicates of each stage."""

CANDIDATES = (
    COMMON
    + f"""
# $1 path, $2 longest age in seconds, $3 owner of temporary files or nothing, then what to list: see the loop at the end.
list() {{
  say "root $1 $2"
  {{ sweep "$1" "$2" -printf 'file %D %i %n %b %T@ %U %P\\n\\0' 2>/dev/null; say "ended $?"; }} | head -c 500000
  printf '\\0'
}}
packages() {{
  locked
  case $? in 0) say 'left packages locked -'; return ;; 2) say 'left packages unknown -'; return ;; esac
  for cache in {" ".join(PACKAGE_CACHES)}; do [ ! -e "$cache" ] || list packages "$cache"; done
}}
journal() {{
  [ -d {JOURNAL} ] || return
  list journal {JOURNAL}
  cutoff=$((now + 86400))
  list active {JOURNAL}
  printf 'headers '
  TZ=UTC $within journalctl --quiet --header --directory={JOURNAL} 2>/dev/null |
    grep -i -e '^File path: ' -e '^Tail realtime timestamp: ' | head -c 500000
  printf '\\n\\0'
}}
"""
    + r"""
temp() {
  glob=$2
  list temp "$1"
  printf 'open %s ' "$1"
  sweep temp "$1" -printf '%i\n' 2>/dev/null | among 1 "$1" | tr '\n' ' '
  printf '\n\0'
}
# live PATH PATTERN: a log that may be emptied while it is open, and who holds it
live() {
  directory=${1%/*}
  [ "$(cd -P -- "$directory" 2>/dev/null && pwd -P)" = "$directory" ] && [ ! -L "$1" ] || { say "lost link $1"; return; }
  [ -f "$1" ] || { say "lost absent $1"; return; }
  facts=$(stat -c '%d %i %h %b %s' -- "$1") || return
  say "live $facts $1"
  inode=${facts#* } inode=${inode%% *}
  lines=$(holders "$inode" "$2") || { say "unasked $inode"; return; }
  set -- $lines
  while [ $# -ge 3 ]; do say "holder $inode $1 $2 $3 $(comm "$1")"; shift 3; done
  [ -z "$(mapped "$inode")" ] || say "mapped $inode"
}
comm() { name=; read -r name <"/proc/$1/comm"; printf %s "$name"; } 2>/dev/null
# service PID: the system's unit that it belongs to; not one of a user's own service manager
service() {
  sed -n '/\/user\.slice\//d; s|.*/\([^/]*\.service\)\(/.*\)*$|\1|p' "/proc/$1/cgroup" 2>/dev/null | head -n 1
}
# held: deleted files that are still open, the largest first. Deleted links only, and of those any: in containers they lead
# through other paths to the same file system.
held() {
  [ -r /proc/1/fd ] || { say 'left held unknown -'; return; }
  lines=$(set +f; timeout -k 1 5 find /proc/[0-9]*/fd -maxdepth 1 -lname '/* (deleted)' \
    -exec stat -L -c '%d %h %b %i %n' -- {} + 2>/dev/null)
  in_time $? || { say 'left held unknown -'; return; }
  printf '%s\n' "$lines" | grep "^$device 0 " | head -n 20000 | sort -k 3,3nr -S 16M | head -n 100 |
    while read -r ignored ignored blocks inode fd; do
      pid=${fd#/proc/} pid=${pid%%/*}
      unit=$(service "$pid")
      printf 'held %s %s %s %s %s\n' "$inode" "$blocks" "$pid" "${unit:--}" "$(comm "$pid")"
      printf '%s\n\0' "$(readlink -- "$fd" 2>/dev/null)"
    done
}
# Sorting must not spill to a disk that is full: 8 MB of lines at most, in a buffer that holds their index, too. A list that
# did not come to its end, or was cut, has no line that says "whole".
top() { head -c 8000000 | sort -z -k 1,1nr -S 64M | head -z -n 11; }
largest() {
  { $within find -P "$mount" -xdev -type f -size +1M -printf '%b largest %p\n\0' 2>/dev/null
    in_time $? && printf '99999999999999999 whole largest\n\0'; } | top
}
crowded() {
  { $within du -x -S -0 --inodes -- "$mount" 2>/dev/null
    in_time $? && printf '99999999999999999 whole crowded\n\0'; } | top
}
path=$1 max_age=$2 owner=$3
shift 3
volume "$path" || { say end; exit 0; }
device=$(stat -L -c %d -- "$path") mount=$(stat -L -c %m -- "$path") now=$(date +%s) || exit 1
within='timeout --foreground -k 1 20'
uid=$owner
case $owner in *[!0-9]*) uid=$(timeout -k 1 5 id -u -- "$owner" 2>/dev/null) || say 'left temp nobody -' ;; esac
case $(find --version 2>/dev/null) in *GNU*) ;; *) say 'no-gnu-find'; shift $# ;; esac
while [ $# -gt 0 ]; do
  cutoff=$((now + 1)) # the clock's seconds are cut off: nothing that has changed since this look
  case $1 in
    packages) say "listing $now"; packages; shift ;;
    logs) cutoff=$((now - max_age)); list logs "$2"; shift 2 ;;
    journal) journal; shift ;;
    temp) cutoff=$((now - max_age)); [ -z "$uid" ] || temp "$2" "$3"; shift 3 ;;
    live) live "$2" "$3"; shift 3 ;;
    held) held; shift ;;
    largest) say 'ranked largest'; largest; shift ;;
    crowded) say 'ranked crowded'; crowded; shift ;;
    *) exit 2 ;;
  esac
done
say end
"""
)
"""What could be deleted, what is deleted already but held open, and what is largest: as the arguments ask."""
