# Somebody restarts the unit in a hurry until systemd refuses. No cause is left behind, but without reset-failed no start
# works until the unit's interval is over.
steady
tries=0
while systemctl restart "$unit" 2>/dev/null; do
  tries=$((tries + 1)); [ "$tries" -lt 30 ] || die "$unit has no start limit"
done
is Result start-limit-hit || die "$unit failed otherwise: $(systemctl show --value --property=Result "$unit")"
