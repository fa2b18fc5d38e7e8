"""One login: a byte stream, the handshake, the host's key, the user's key; every way to fail said in words."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import paramiko
from fabric import Config, Connection
from paramiko.ssh_exception import IncompatiblePeer

from crashcart.errors import CrashcartError, SilentPeer, Unreachable
from crashcart.transports.endpoint import Endpoint
from crashcart.transports.hostkeys import HostKeys
from crashcart.transports.knownhosts import KnownHosts, PublicKey
from crashcart.transports.limits import Deadline, Limits
from crashcart.transports.ssh_keys import Credentials, KeyRing
from crashcart.transports.ssh_session import KEEPALIVE, LOG, Session
from crashcart.transports.wire import ProxyWire, dial

_RESETS = (EOFError, ConnectionResetError, BrokenPipeError)
_NO_BANNER = "Error reading SSH protocol banner"
"""How paramiko puts a reset, or a silence, before the first line; which of both is told by the time that has passed."""

_PAUSE = 0.2
"""Seconds before the second try: an sshd that drops connections at random (MaxStartups) is busy right now."""


class HandshakeReset(Unreachable):
    """The peer hung up during the handshake; the one failure after which a second try makes sense."""


class Means(NamedTuple):
    """What all logins of a run share."""

    known: KnownHosts
    keys: KeyRing
    limits: Limits
    accept_new: bool


class Login:
    """One login to one endpoint. ``tunnel`` opens a channel to an endpoint through its jump host."""

    def __init__(self, endpoint: Endpoint, means: Means, tunnel: Callable[[Endpoint], paramiko.Channel]) -> None:
        self._endpoint = endpoint
        self._means = means
        self._tunnel = tunnel
        self._keys = HostKeys(endpoint, means.known, accept_new=means.accept_new)
        self._wire: Any = None
        self._session: Session | None = None
        self._aborted = False

    def open(self) -> Connection:
        """Log in, with a second try only after a reset during the handshake.

        Raises ``Unreachable`` and its kinds, or ``HostKeyRefused``.
        """
        deadline = Deadline(self._means.limits.login)
        try:
            return self._attempt(deadline)
        except HandshakeReset:
            if self._aborted:
                raise
        time.sleep(_PAUSE)
        return self._attempt(deadline)

    def abort(self) -> None:
        """End the attempt from another thread; ``open`` then fails soon, except within a TCP connect."""
        self._aborted = True
        self._hang_up()

    def _hang_up(self) -> None:
        for part in (self._session, self._wire):
            # Behind a jump host, even closing needs a connection that may be gone.
            with contextlib.suppress(paramiko.SSHException, EOFError, OSError):
                if part is not None:
                    part.close()

    def _attempt(self, deadline: Deadline) -> Connection:
        self._session = None
        self._wire = self._open_wire(deadline)
        if self._aborted:
            self._hang_up()
            raise Unreachable(f"the login to {self._endpoint.address} was given up")
        connection = self._connection(deadline)
        started = time.monotonic()
        try:
            connection.open()
        except CrashcartError:
            self._hang_up()
            raise
        except Exception as error:
            # paramiko raises again whatever its thread met, and a hostile peer can make that any exception.
            failure = self._explain(error, time.monotonic() - started, deadline)
            self._hang_up()
            raise failure from error
        connection.transport.set_keepalive(KEEPALIVE)
        return connection

    def _open_wire(self, deadline: Deadline) -> Any:
        if self._endpoint.jump is not None:
            return self._tunnel(self._endpoint)
        if self._endpoint.proxy_command:
            return ProxyWire(self._endpoint.proxy_command)
        limit = min(self._means.limits.connect, self._endpoint.connect_timeout)
        return dial(self._endpoint, deadline.within(limit))

    def _connection(self, deadline: Deadline) -> Connection:
        """Make a Fabric connection that depends on nothing but the endpoint: no file and no other thread's settings."""
        limits = self._means.limits
        connection = Connection(
            host=self._endpoint.host,
            user=self._endpoint.user,
            port=self._endpoint.port,
            config=Config(lazy=True, ssh_config=paramiko.SSHConfig()),
            gateway=False,
            forward_agent=False,
            connect_kwargs={
                "sock": self._wire,
                "timeout": deadline.left,
                "banner_timeout": deadline.within(limits.banner),
                "channel_timeout": limits.channel,
                "transport_factory": self._new_session,
                "auth_strategy": Credentials(self._endpoint, self._means.keys, deadline, limits.authentication),
            },
        )
        connection.client.set_log_channel(LOG)
        connection.client.set_missing_host_key_policy(_Policy(self._keys))
        return connection

    def _new_session(self, wire: Any, **_: Any) -> Session:
        self._session = Session(wire, self._keys.preferred(), self._means.limits.banner)
        return self._session

    def _explain(self, error: Exception, waited: float, deadline: Deadline) -> Unreachable:
        address = self._endpoint.address
        if isinstance(self._wire, ProxyWire) and self._wire.said:
            return Unreachable(f"the ProxyCommand for {address} failed: {self._wire.said}", hint=self._wire.command)
        if isinstance(error, TimeoutError) or deadline.passed or waited >= self._means.limits.banner:
            return SilentPeer(
                f"{address} accepts the connection and then says nothing ({waited:.0f} s)",
                hint="the host hangs or is out of memory, or this is not the port of its sshd: look at its console",
            )
        if isinstance(error, _RESETS) or str(error).startswith(_NO_BANNER):
            return HandshakeReset(
                f"{address} hung up during the handshake",
                hint="its sshd is overloaded (MaxStartups), forbids this address, or this is not the port of an sshd",
            )
        if isinstance(error, IncompatiblePeer):
            return Unreachable(f"{address} has no algorithm in common with us: {error}", hint="update its sshd")
        return Unreachable(f"the SSH handshake with {address} failed: {error or type(error).__name__}")


class _Policy(paramiko.MissingHostKeyPolicy):
    """Has every host key verified by us: paramiko's own tables are empty, so that each one is "missing"."""

    def __init__(self, keys: HostKeys) -> None:
        self._keys = keys

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        """Return if the key is the host's, else raise ``HostKeyRefused``."""
        del client, hostname
        self._keys.verify(PublicKey(key.get_name(), key.get_base64()))
