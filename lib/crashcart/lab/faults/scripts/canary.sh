# Every canary with type, mode, owner, size, time and target, then the digests; NUL ends a record, so any name is safe.
# Directories that a recovery may delete from are not listed themselves: their times may change.
set -- /var/lib/canary /etc/canary /etc/passwd /var/log/audit /var/log/auth.log.1.gz \
  "$logs/young.log.1" "$logs/young.log.2.gz" "$logs/link.log.1.gz" \
  "$logs/passwd.log.9.gz" "$logs/root.log.10.gz" "$logs/canary" "$logs/mounted/old.log.12.gz" \
  /tmp/drill-link.tmp /tmp/drill-agent.sock /var/tmp/drill-link.tmp /var/tmp/drill-agent.sock \
  /var/tmp/drill-young.tmp /var/tmp/drill-foreign.tmp
find "$@" -printf '%y %m %u %g %s %T@ %p -> %l\0' 2>/dev/null | sort -z
find "$@" -type f -print0 2>/dev/null | sort -z | xargs -0 -r sha256sum -z
