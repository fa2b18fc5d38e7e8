"""The script that reads a host's vitals: one exec, nothing written, every tool with its own time limit.

It prints ``name=value`` lines, then sections that begin with ``[name]`` on a line of its own. Each line of a section begins
with a number or a name of ours, so nothing foreign can pass for the head of a section; names of files come last, each ended
by a NUL.
"""

from __future__ import annotations

UNIT_OOM = "fe6faa94e7774663a0da52717891d8ef"
"""Message id of systemd for a unit of which the kernel killed a process for memory."""

SCRIPT = rf"""
# $1 seconds to look back
within() {{ limit=$1; shift; timeout --foreground -k 1 "$limit" "$@" 2>/dev/null; }}
section() {{ printf '\n[%s]\n' "$1"; }}
set -f
now=$(date +%s.%N)
printf 'now=%s\nzone=%s\n' "$now" "$(date +%z)"
read -r uptime rest </proc/uptime && printf 'uptime=%s\n' "$uptime"
monotonic=$(sed -n '/^now at/{{s/^now at \([0-9]*\)[0-9]\{{9\}} nsecs.*/\1/p;q;}}' /proc/timer_list 2>/dev/null)
monotonic=${{monotonic:-${{uptime%.*}}}}
printf 'monotonic=%s\n' "$monotonic"
read -r load </proc/loadavg && printf 'load=%s\n' "$load"
printf 'cpus=%s\n' "$(within 2 getconf _NPROCESSORS_ONLN)"
sed -n 's/^\(MemTotal\|MemAvailable\|SwapTotal\|SwapFree\): *\([0-9]*\) kB$/\1=\2/p' /proc/meminfo
for what in cpu memory io; do sed -n "s/^/$what /p" "/proc/pressure/$what" 2>/dev/null; done

section volumes
{{ within 3 df -l -B1 --output=fstype,size,used,avail,itotal,iused,target -x squashfs -x iso9660 -x devtmpfs -x efivarfs
  [ "$?" -lt 124 ] || printf 'hung\n'; }} | head -c 32768
awk '$6 ~ /^rw/ {{ for (i = 7; i < NF; i++) if ($i == "-") {{
  if ($(i+1) ~ /^(ext[234]|xfs|btrfs|f2fs)$/ && $NF ~ /^ro(,|$)/) print "read-only", $5; break }} }}' \
  /proc/self/mountinfo 2>/dev/null

section units
if command -v systemctl >/dev/null 2>&1; then
  set -- "$1" "$((monotonic > $1 ? monotonic - $1 : 0))"
  within 2 systemctl --no-pager show -p UserspaceTimestampMonotonic | sed 's/^Userspace/booted=/; s/=.*=/=/'
  printf '\n'
  within 4 systemctl --no-pager show -p Id,ActiveState,SubState,Result,NRestarts,ActiveEnterTimestampMonotonic \
    -p InactiveEnterTimestampMonotonic -- '*.service' '*.mount' '*.socket' '*.timer' |
    awk -v RS= -v ORS='\n\n' -v since="$2" 'function stamp() {{
      return match($0, /ActiveEnterTimestampMonotonic=[0-9]+/) ? substr($0, RSTART + 30, RLENGTH - 30) / 1000000 : 0 }}
      {{ seen++ }}
      /(^|\n)ActiveState=failed/ || /(^|\n)SubState=auto-restart/ || /(^|\n)NRestarts=[1-9]/ ||
        (/(^|\n)Id=[^\n]*[.]service/ && stamp() > since)
      END {{ print "seen=" seen + 0 }}' | tail -c 65536
else printf 'seen=none\n\n'
fi

section victims
if command -v journalctl >/dev/null 2>&1; then
  within 4 journalctl --quiet --no-pager -o short-unix --since="@$((${{now%.*}} - $1))" --lines=5000 \
    MESSAGE_ID={UNIT_OOM} + _TRANSPORT=kernel | grep -aE 'Killed process|killed by the OOM killer' | cut -b1-300 | tail -n 20
fi

section processes
within 3 ps -eo rss=,pid=,comm= | sort -rn | head -n 5 | cut -b1-200

section packages
cut=$(date -d "@$((${{now%.*}} - $1))" '+%Y-%m-%d %H:%M:%S')
if [ -f /var/log/dpkg.log ]; then
  within 3 tail -c 262144 /var/log/dpkg.log |
    awk -v cut="$cut" '$3 ~ /^(install|upgrade|remove)$/ && $1 " " $2 >= cut {{ print $1, $2, $3, $4, $6 }}' | tail -n 20
elif command -v rpm >/dev/null 2>&1; then
  within 3 rpm -qa --qf '%{{INSTALLTIME}} install %{{NAME}} %{{VERSION}}\n' |
    awk -v cut="$((${{now%.*}} - $1))" '$1 >= cut' | head -n 20
fi

section files
within 3 find /etc /usr/local /opt /srv /run/systemd/system /run/systemd/system.control -xdev -maxdepth 3 -type f \
  -mmin "-$((($1 + 59) / 60))" -printf '%T@ %p\0' | head -c 16384
exit 0
"""
