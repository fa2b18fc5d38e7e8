"""The link to one endpoint: logged in on demand, then commands and HTTP requests over its one connection."""

from __future__ import annotations

import contextlib
from typing import NamedTuple

import paramiko
from fabric import Connection

from crashcart.errors import Cancelled, CrashcartError, NotSent
from crashcart.secrets import Secret
from crashcart.transports.base import Command, CommandResult, HttpReply
from crashcart.transports.cancelling import Order
from crashcart.transports.endpoint import Endpoint
from crashcart.transports.knownhosts import KnownHosts
from crashcart.transports.limits import Deadline, Limits
from crashcart.transports.ssh_jumps import JumpHosts
from crashcart.transports.ssh_keys import KeyRing
from crashcart.transports.ssh_login import Login, Means
from crashcart.transports.ssh_run import BROKEN, RemoteRun
from crashcart.transports.ssh_session import Session
from crashcart.transports.tunnel import HUNG_UP, REFUSED, HttpTarget, get, no_answer

_CONNECT_FAILED = 2


class Shared(NamedTuple):
    """What all links of a run share."""

    means: Means
    jumps: JumpHosts


def share(limits: Limits, *, accept_new: bool) -> Shared:
    """Make what the links of a run share; nothing is read or contacted yet."""
    means = Means(KnownHosts(), KeyRing(), limits, accept_new)
    return Shared(means, JumpHosts(means))


class Link:
    """A connection to one endpoint. Used by one thread at a time, except ``abort`` and ``close``."""

    def __init__(self, endpoint: Endpoint, shared: Shared, password: Secret | None) -> None:
        self._endpoint = endpoint
        self._limits = shared.means.limits
        self._password = password
        self._shared = shared
        self._login: Login | None = None
        self._connection: Connection | None = None

    def run(self, command: Command, order: Order) -> CommandResult:
        """Run a command; raises as ``Transport.run`` does."""
        session = self._open(order)
        try:
            return RemoteRun(
                command, session, endpoint=self._endpoint, limits=self._limits, password=self._password, order=order
            ).run()
        except NotSent as error:
            if not order.given:
                raise
            # The order came just as the login was done, and ended it.
            self.close()
            self._connection = None
            raise Cancelled("cancelled before the command was sent") from error

    def fetch(self, target: HttpTarget, seconds: float, order: Order) -> HttpReply:
        """GET a URL through a channel that the host opens; raises as ``Transport.fetch`` does."""
        session = self._open(order)
        deadline = Deadline(seconds)
        try:
            channel = session.open_channel(
                "direct-tcpip", (target.host, target.port), ("127.0.0.1", 0), timeout=deadline.within(seconds)
            )
            return get(channel, target, deadline.within(seconds))
        except paramiko.ChannelException as error:
            if error.code == _CONNECT_FAILED:
                return REFUSED
            raise NotSent(
                f"{self._endpoint.address} does not forward to {target.host}:{target.port}: {error.text}",
                hint=f"allow it in its sshd_config: AllowTcpForwarding, PermitOpen (for {self._endpoint.user})",
            ) from error
        except BROKEN as error:
            return self._without_answer(session, error, seconds)

    def abort(self) -> None:
        """End a login in progress; nothing after that."""
        if self._connection is None and self._login is not None:
            self._login.abort()

    def close(self) -> None:
        """End the connection, or the login in progress."""
        self.abort()
        if self._connection is not None:
            # Behind a jump host, even closing needs a connection that may be gone.
            with contextlib.suppress(*BROKEN):
                self._connection.client.close()

    def _open(self, order: Order) -> Session:
        if self._connection is None:
            self._connection = self._log_in(order)
        session: Session = self._connection.transport
        return session

    def _log_in(self, order: Order) -> Connection:
        # In this order: whoever gives the order then either finds this login and aborts it, or is seen here.
        login = self._login = Login(self._endpoint, self._shared.means, self._shared.jumps.tunnel)
        if order.given:
            raise Cancelled("cancelled before the login")
        try:
            return login.open()
        except CrashcartError as error:
            if order.given:
                raise Cancelled(f"cancelled during the login to {self._endpoint.address}") from error
            raise

    def _without_answer(self, session: Session, error: Exception, seconds: float) -> HttpReply:
        """Tell a silent service from a silent host: "could not ask" is no answer of the service."""
        timed_out = isinstance(error, TimeoutError) or "timeout" in str(error).lower()
        try:
            session.open_session(timeout=self._limits.channel).close()
        except BROKEN as broken:
            raise NotSent(f"{self._endpoint.address} cannot be asked: the connection is gone") from broken
        return no_answer(seconds) if timed_out else HUNG_UP
