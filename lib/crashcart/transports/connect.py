"""The way to each target: SSH, or this machine itself where the inventory says ``ansible_connection: local``."""

from __future__ import annotations

from crashcart.errors import BadInput, nearest
from crashcart.secrets import Secret
from crashcart.targets import Target
from crashcart.transports.base import Transport
from crashcart.transports.local import LocalTransport
from crashcart.transports.ssh import SshConnector
from crashcart.transports.ssh import check_target as check_ssh_target

SSH = ("ssh", "smart", "paramiko", "paramiko_ssh")
"""What Ansible calls a connection over SSH; to crashcart they are the same."""


def check_target(target: Target) -> None:
    """Check what a target's connection needs, without contacting anything. Raises ``BadInput``."""
    way = _way(target)
    if way in SSH:
        check_ssh_target(target)
    elif way != "local":
        hint = nearest(way, (*SSH, "local")) or "ssh and local are supported"
        raise BadInput(f"{target.name}: unknown ansible_connection {way!r}", hint=hint)


class TargetConnector:
    """Makes the transports of a run; nothing is contacted before their first use."""

    def __init__(self, *, accept_new_host_keys: bool = False, become_password: Secret | None = None) -> None:
        self._become_password = become_password
        self._ssh = SshConnector(accept_new_host_keys=accept_new_host_keys, become_password=become_password)

    def __call__(self, target: Target) -> Transport:
        """Return a transport of the target's kind."""
        return LocalTransport(self._become_password) if _way(target) == "local" else self._ssh(target)

    @property
    def notes(self) -> tuple[str, ...]:
        """What in the targets' SSH settings is not honoured, each thing once."""
        return self._ssh.notes

    def close(self) -> None:
        """End what the transports share."""
        self._ssh.close()


def _way(target: Target) -> str:
    return str(target.variable("ansible_connection", "ssh"))
