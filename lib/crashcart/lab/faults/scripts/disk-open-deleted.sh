# Not a byte free, and nothing to delete: a service holds a deleted log open. Restarted, it lets go and starts afresh.
begin
take "$logs/held.log" "$(part 95)"
top_up "$logs/held.log"
systemd-run --quiet --collect --unit="$holder" --description="Practice log shipper" --property=Type=exec \
  sh -c 'if [ -e "$1" ]; then exec 3<>"$1" && rm -- "$1"; fi; exec sleep infinity' sh "$logs/held.log" ||
  die "cannot start $holder"
gone() { [ ! -e "$logs/held.log" ]; }
eventually 50 gone || die "$holder does not hold its log"
top_up "$logs/app.log"
