"""What limits send to a host: set them and arm the timer that takes them back, put them back, disarm the timer.

Everything is written below /run only, so that it works with a full disk and is gone after a reboot. What the timer runs is
handed to systemd as data for a shell's stdin: systemd 252 garbles a ``$`` in the arguments of a transient unit when it reads
its files again (``daemon-reload``).
"""

from __future__ import annotations

import base64

from crashcart.facts.limits import CONTROL, TIMER, USED

_HEAD = (
    TIMER
    + r"""
show() { timeout --foreground -k 1 8 systemctl --no-pager show "$@" 2>/dev/null; }
value() { show --value -p "$1" -- "$unit"; }
now() { printf '%s %s\n' "$(value MemoryMax)" "$(value CPUQuotaPerSecUSec)"; }
disarm() {
  systemctl stop "$timer.timer" "$timer.service" 2>/dev/null
  systemctl reset-failed "$timer.service" 2>/dev/null
}
"""
)

_DROP = rf"""
drop() {{
  for setting in $1; do rm -f "/run/systemd/{CONTROL}/$unit.d/50-$setting.conf"; done
  rmdir "/run/systemd/{CONTROL}/$unit.d" 2>/dev/null
}}
"""

_TAKE_BACK = (
    USED
    + _DROP
    + rf"""
# No set -f: used() lists /proc, and settings hold no pattern.
# $1 unit, $2 what was given, $3 what is put back, $4 settings whose drop-ins go. Left alone: what somebody changed since.
take_back() {{
  unit=$1
  for word in $2; do
    grep -qxF -e "$word" "/run/systemd/{CONTROL}/$unit.d/50-${{word%%=*}}.conf" && continue
    echo "crashcart: $word of $unit was changed since, nothing is put back"
    return 0
  done
  for word in $3; do
    case $word in MemoryMax=*[0-9]) room "${{word#*=}}" || return 1 ;; esac
  done
  systemctl --no-ask-password set-property --runtime -- "$unit" $3 && drop "$4"
}}
# A limit below what is in use would have the kernel kill the unit.
room() {{
  group=$(systemctl show --value -p ControlGroup -- "$unit")
  [ -n "$group" ] || return 0
  current=$(systemctl show --value -p MemoryCurrent -- "$unit")
  told=$(used "$group" "$current")
  cache=$(printf '%s\n' "$told" | sed -n 's/^cache=//p')
  kb=$(printf '%s\n' "$told" | sed -n 's/^resident_kb=//p')
  case $current in *[!0-9]*|'') in_use=${{kb:+$((kb * 1024))}} ;; *) in_use=$((current - ${{cache:-0}})) ;; esac
  [ -n "$in_use" ] && [ "$in_use" -lt "$1" ] && return 0
  echo "crashcart: $unit uses ${{in_use:-an unknown number of}} bytes, MemoryMax=$1 would kill it: not put back" >&2
  return 1
}}
export LC_ALL=C
take_back "$@" </dev/null
"""
)

TAKE_BACK = base64.b64encode(_TAKE_BACK.encode()).decode()
"""The timer's script, in the form that systemd takes: arguments are unit, given, former, drops."""

SET = (
    _HEAD
    + _DROP
    + r"""
# $1 unit, $2 "MemoryMax CPUQuotaPerSecUSec" that this was decided from, $3 what to set; then either
# $4 milliseconds until the host puts $5 back and drops $6, by the script $7; or $4 empty: $6 is dropped at once.
# 75: nothing was done, because those values no longer hold or cannot be read.
set -f
unit=$1 timer=$(timer_of "$1")
[ "$(now)" = "$2" ] || exit 75
if [ -n "$4" ]; then
  disarm
  systemd-run --quiet --unit="$timer.service" --on-active="$4ms" --timer-property=AccuracySec=100ms \
    --description="crashcart puts $5 of $unit back${6:+ and drops $6}" \
    -p StandardInput=data -p StandardInputData="$7" -- /bin/sh -s -- "$unit" "$3" "$5" "$6" </dev/null || exit
fi
systemctl --no-ask-password set-property --runtime -- "$unit" $3 || { status=$?; disarm; exit "$status"; }
[ -n "$4" ] || { drop "$6"; disarm; }
exit 0
"""
)

KEEP = (
    _HEAD
    + r"""
# $1 unit, $2 "MemoryMax CPUQuotaPerSecUSec" that are to stay. 75: they did not, the timer was faster.
unit=$1 timer=$(timer_of "$1")
[ "$(now)" = "$2" ] || exit 75
disarm
[ "$(now)" = "$2" ] || exit 75
"""
)
