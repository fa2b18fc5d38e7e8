"""Jump hosts: one connection each, shared by all targets behind it."""

from __future__ import annotations

import threading
from collections import defaultdict

import paramiko
from fabric import Connection

from crashcart.errors import ConnectRefused, ConnectTimeout, CrashcartError, Unreachable
from crashcart.transports.endpoint import Endpoint
from crashcart.transports.limits import Deadline
from crashcart.transports.ssh_login import Login, Means

_PROHIBITED = 1
_CONNECT_FAILED = 2
_REMEMBER = 30.0
"""Seconds for which a failed login to a jump host is not tried again: else a thousand targets would wait for each."""


class JumpHosts:
    """The jump hosts of a run, each logged in to when first needed."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._lock = threading.Lock()
        self._hops: defaultdict[Endpoint, _Hop] = defaultdict(_Hop)

    def tunnel(self, endpoint: Endpoint) -> paramiko.Channel:
        """Open a byte stream to an endpoint through its jump host.

        Raises what the login to the jump host raises, ``ConnectRefused`` or ``ConnectTimeout`` for the way from there.
        """
        jump = endpoint.jump
        if jump is None:
            raise ValueError(f"{endpoint.address} has no jump host")
        with self._lock:
            hop = self._hops[jump]
        connection = hop.connection(Login(jump, self._means, self.tunnel), jump)
        try:
            channel: paramiko.Channel = connection.transport.open_channel(
                "direct-tcpip", (endpoint.host, endpoint.port), ("127.0.0.1", 0), timeout=self._means.limits.connect
            )
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise _no_way(error, jump, endpoint) from error
        return channel

    def close(self) -> None:
        """End all connections to jump hosts."""
        with self._lock:
            hops = list(self._hops.values())
            self._hops.clear()
        for hop in hops:
            hop.close()


class _Hop:
    """The connection to one jump host. The first target that needs it logs in, the others wait for that."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._failure: CrashcartError | None = None
        self._until = Deadline(0.0)

    def connection(self, login: Login, jump: Endpoint) -> Connection:
        with self._lock:
            if self._connection is not None and self._connection.is_connected:
                return self._connection
            if self._failure is not None and not self._until.passed:
                raise type(self._failure)(self._failure.message, hint=self._failure.hint) from self._failure
            try:
                self._connection = login.open()
            except CrashcartError as error:
                failure = type(error)(f"jump host {jump.host}: {error.message}", hint=error.hint)
                self._failure, self._until = failure, Deadline(_REMEMBER)
                raise failure from error
            return self._connection

    def close(self) -> None:
        if self._connection is not None:
            self._connection.client.close()


def _no_way(error: Exception, jump: Endpoint, endpoint: Endpoint) -> Unreachable:
    code = error.code if isinstance(error, paramiko.ChannelException) else 0
    if code == _CONNECT_FAILED:
        return ConnectRefused(
            f"jump host {jump.host} cannot connect to {endpoint.address}",
            hint=f"is {endpoint.host} up, and can {jump.host} resolve and reach it? Is the port right (ansible_port)?",
        )
    if code == _PROHIBITED:
        return Unreachable(
            f"jump host {jump.host} does not forward to {endpoint.address}",
            hint=f"allow it in its sshd_config: AllowTcpForwarding, PermitOpen (for {jump.user})",
        )
    if "timeout" in str(error).lower():
        return ConnectTimeout(f"jump host {jump.host} gets no answer from {endpoint.address}")
    return Unreachable(f"jump host {jump.host} was lost on the way to {endpoint.address}: {error or 'it hung up'}")
