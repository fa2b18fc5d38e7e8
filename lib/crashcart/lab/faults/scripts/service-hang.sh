# USR1 makes the service accept connections and never answer, in memory only: a restart cures it.
steady
send USR1
eventually 20 hung || die "$unit still answers"
