"""The way to each target: SSH, this machine itself (``ansible_connection: local``), or AWS for all that is no host."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from crashcart.errors import BadInput, nearest
from crashcart.secrets import Secret
from crashcart.targets import Target
from crashcart.transports.aws_check import check_cloud_target
from crashcart.transports.aws_names import session_name
from crashcart.transports.base import CloudTransport, Session, Transport
from crashcart.transports.database_access import DATABASE, check_access
from crashcart.transports.local import LocalTransport
from crashcart.transports.ssh import SshConnector
from crashcart.transports.ssh import check_target as check_ssh_target

if TYPE_CHECKING:
    from crashcart.transports.aws import AwsConnector
    from crashcart.transports.aws_places import Place

BESIDE = 10.0
"""Seconds that an answer of what stands beside a target (its lock, its audit) is waited for at most."""

HOST = "linux"
"""The kind of target that is logged in to; the others are resources of a cloud."""

SSH = ("ssh", "smart", "paramiko", "paramiko_ssh")
"""What Ansible calls a connection over SSH; to crashcart they are the same."""


def check_target(target: Target) -> None:
    """Check what a target's connection needs, without contacting anything. Raises ``BadInput``."""
    way = _way(target)
    if target.kind != HOST:
        check_cloud_target(target)
        check_access(target)
    elif way in SSH:
        check_ssh_target(target)
    elif way != "local":
        hint = nearest(way, (*SSH, "local")) or "ssh and local are supported"
        raise BadInput(f"{target.name}: unknown ansible_connection {way!r}", hint=hint)


class TargetConnector:
    """Makes the transports of a run; nothing is contacted before their first use."""

    def __init__(self, *, accept_new_host_keys: bool = False, become_password: Secret | None = None) -> None:
        self._become_password = become_password
        self._ssh = SshConnector(accept_new_host_keys=accept_new_host_keys, become_password=become_password)
        self._session_name, self._run = "crashcart", ""
        self._lock = threading.Lock()
        self._aws: AwsConnector | None = None
        self._beside: AwsConnector | None = None

    def name_run(self, actor: str, run: str) -> None:
        """Say whose run this is, for the records that a cloud keeps itself; before the first cloud target is opened."""
        self._session_name, self._run = session_name(actor, run), run

    def __call__(self, target: Target) -> Session:
        """Return the way to a target of any kind: ``host`` or ``cloud``, or to the database that a resource is."""
        if target.kind == DATABASE:
            from crashcart.transports.databases import open_database  # noqa: PLC0415 -- few runs ask one

            return open_database(target)
        return self.host(target) if target.kind == HOST else self.cloud(target)

    def host(self, target: Target) -> Transport:
        """Return the transport of a host. Raises ``BadInput`` for variables that cannot work."""
        return LocalTransport(self._become_password) if _way(target) == "local" else self._ssh(target)

    def cloud(self, target: Target) -> CloudTransport:
        """Return the transport of a cloud resource. Raises ``BadInput`` for variables that cannot work."""
        with self._lock:
            if self._aws is None:
                from crashcart.transports.aws import AwsConnector  # noqa: PLC0415 -- boto3 costs 0.3 s

                self._aws = AwsConnector(session_name=self._session_name, run=self._run)
        return self._aws(target)

    def beside(self, place: Place) -> CloudTransport:
        """Return the way to a target's lock or audit, with shorter time limits than those of its own calls."""
        with self._lock:
            if self._beside is None:
                from crashcart.transports.aws import AwsConnector  # noqa: PLC0415 -- boto3 costs 0.3 s
                from crashcart.transports.aws_sessions import Limits  # noqa: PLC0415

                limits = Limits(connect=2.0, read=BESIDE, write=BESIDE, attempts=2)
                self._beside = AwsConnector(session_name=self._session_name, run=self._run, limits=limits)
        return self._beside.open(place.access, place.name)

    @property
    def notes(self) -> tuple[str, ...]:
        """What in the targets' SSH settings is not honoured, each thing once."""
        return self._ssh.notes

    def close(self) -> None:
        """End what the transports share."""
        self._ssh.close()
        for connector in (self._aws, self._beside):
            if connector is not None:
                connector.close()


def _way(target: Target) -> str:
    return str(target.variable("ansible_connection", "ssh"))
