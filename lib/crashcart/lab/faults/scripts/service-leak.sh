# USR2 makes the service grow until the kernel ends it. Whether systemd then says oom-kill or signal depends on the
# control groups that it may see.
steady
send USR2
eventually 100 is ActiveState failed || die "$unit was not killed: no memory limit holds on this host"
