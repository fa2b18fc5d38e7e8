"""The lab: a practice fleet of containers that run real systemd, sshd and journald, and faults to put into it."""
