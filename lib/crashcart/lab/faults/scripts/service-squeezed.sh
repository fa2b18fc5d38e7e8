# MemoryMax goes down to a little more than the service uses, as if somebody had sized it on a quiet day. Whether the kernel
# enforces that depends on the control groups that it may see; systemd says so either way.
counted() {
  bytes=$(systemctl show --value --property=MemoryCurrent "$unit")
  case $bytes in *[!0-9]*|'') return 1 ;; esac
  cache=$(sed -n 's/^inactive_file //p' "/sys/fs/cgroup$(systemctl show --value --property=ControlGroup "$unit")/memory.stat")
  echo $(((bytes - ${cache:-0}) / 1024))
}
resident() { sed -n 's/^VmRSS:[^0-9]*\([0-9]*\) kB$/\1/p' "/proc/$(systemctl show --value --property=MainPID "$unit")/status"; }
steady
unsqueeze
kb=$(counted 2>/dev/null || resident)
[ -n "$kb" ] && systemctl set-property --runtime "$unit" MemoryMax="$((kb * 108 / 100))K" || die "$unit could not be squeezed"
