# The unit does not restart after SIGKILL, as it would after any other end: it stays failed until somebody restarts it.
steady
send KILL
eventually 50 is ActiveState failed || die "$unit did not fail"
