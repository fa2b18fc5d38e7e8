# Shared by all faults. Nothing here needs a temporary file or a here-document: the disk may be full.
unit=api.service
url=http://127.0.0.1:8000/health

die() { echo "$*" >&2; exit 1; }

# eventually TRIES COMMAND...: ten tries a second.
eventually() {
  left=$1; shift
  until "$@"; do left=$((left - 1)); [ "$left" -gt 0 ] || return 1; sleep 0.1; done
}

is() { [ "$(systemctl show --value --property="$1" "$unit")" = "$2" ]; }
healthy() { curl -fsS --max-time 1 -o /dev/null "$url" 2>/dev/null; }
running() { is ActiveState active && healthy; }
hung() { is ActiveState active && ! healthy; }
send() { systemctl kill --kill-who=main --signal="$1" "$unit"; }

# steady: the service runs, answers, and its start counter is at zero. A drill host need not have it.
steady() {
  is LoadState loaded || return 0
  systemctl reset-failed "$unit"
  running || systemctl restart "$unit"
  eventually 50 running || die "$unit does not come back"
}

# unsqueeze: no limit of the service is one that somebody set until the next boot, and no timer is about to set one.
unsqueeze() {
  systemctl stop "crashcart-undo-${unit%.service}.timer" 2>/dev/null
  [ -d "/run/systemd/system.control/$unit.d" ] || return 0
  rm -r "/run/systemd/system.control/$unit.d"
  systemctl daemon-reload
}
