# Shared by the disk faults. Everything that they make is one of these paths, or a package of ours in apt's cache.
disk=/var
logs=/var/log/app
packages=/var/cache/apt/archives
holder=drill-log-shipper.service
ours="$logs /var/log/audit /var/log/auth.log.1.gz /var/lib/canary /etc/canary
/tmp/drill-link.tmp /tmp/drill-agent.sock /var/tmp/drill-link.tmp /var/tmp/drill-agent.sock
/var/tmp/drill-old.tmp /var/tmp/drill-young.tmp /var/tmp/drill-foreign.tmp"
# While the mark is there, the paths above are a drill's to remove. It is set first and goes last, on the other file system.
mark=/etc/crashcart-drill

claim() {
  for path in $ours; do
    if [ -e "$path" ] || [ -L "$path" ]; then die "$path is there already, and no drill made it"; fi
  done
  : >"$mark"
}

sweep() {
  [ -e "$mark" ] || return 0
  systemctl stop "$holder" 2>/dev/null
  umount "$logs/mounted" 2>/dev/null
  rm -rf --one-file-system -- $ours || die "cannot remove what the drill made"
  find "$packages" -xdev -maxdepth 1 -type f -name 'drill-*.deb' -delete
  rm -f "$mark"
}

free() { df --output="$1" --block-size=1 "$disk" | tail -n 1 | tr -d ' '; }
part() { echo $(($(free avail) / 100 * $1)); }
aged() { touch -h -d '30 days ago' -- "$@"; }
young() { touch -h -d '1 day ago' -- "$@"; }

# take FILE BYTES: a file of that size, at once where the file system can.
take() { fallocate --length "$2" -- "$1" 2>/dev/null || head -c "$2" /dev/zero >"$1"; }

# top_up FILE: let it grow until not one block is left. Some come free only after what is delayed has been written.
top_up() {
  [ -e "$1" ] || : >"$1"
  for round in 1 2 3 4 5 6 7 8; do
    [ "$(free avail)" -gt 0 ] || return 0
    fallocate --offset "$(stat -c %s -- "$1")" --length "$(free avail)" -- "$1" 2>/dev/null
    dd if=/dev/zero bs=4096 >>"$1" 2>/dev/null
    sync --file-system "$1"
  done
  [ "$(free avail)" -eq 0 ] || die "$disk still has $(free avail) bytes free"
}

# socket FILE: a socket that nobody listens on; a pipe will do where there is no perl.
socket() { perl -MSocket -e 'socket(S, AF_UNIX, SOCK_STREAM, 0) && bind(S, sockaddr_un($ARGV[0])) or exit 1' "$1" || mkfifo "$1"; }

# plant: the canary tree. A recovery has good reasons to look at most of it, and none to touch any of it.
plant() {
  mkdir -p "$logs" /var/log/audit /var/lib/canary/nested /etc/canary
  for file in /var/lib/canary/data.log.1.gz /var/lib/canary/nested/old.log.2 /etc/canary/app.conf /etc/canary/app.log.1.gz \
    /var/log/audit/audit.log.1 /var/log/auth.log.1.gz /var/tmp/drill-old.tmp /var/tmp/drill-foreign.tmp; do
    echo "canary $file" >"$file" && aged "$file"
  done
  for file in "$logs/app.log" "$logs/young.log.1" "$logs/young.log.2.gz" /var/tmp/drill-young.tmp; do
    echo "canary $file" >"$file" && young "$file"
  done
  for file in /var/lib/canary/agent.sock /tmp/drill-agent.sock /var/tmp/drill-agent.sock; do
    socket "$file" && aged "$file"
  done
  ln -s /var/lib/canary/data.log.1.gz "$logs/link.log.1.gz" && aged "$logs/link.log.1.gz"
  # drill-old.tmp may go, for it is old and its owner's; the others must not.
  chown api /var/tmp/drill-old.tmp /var/tmp/drill-young.tmp /var/tmp/drill-agent.sock /tmp/drill-agent.sock 2>/dev/null
  aged /var/lib/canary /var/lib/canary/nested /etc/canary
}

begin() { sweep && claim && plant; }
