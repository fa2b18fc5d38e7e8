"""SSH to Linux hosts: the connector of a run, and the session with one host.

Fabric and paramiko are imported when the first target is connected to, not before: the command line starts without them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from crashcart.errors import Cancelled, Refused, TransportError
from crashcart.secrets import Secret
from crashcart.targets import Target
from crashcart.transports.base import Command, CommandResult, HttpReply
from crashcart.transports.cancelling import Order
from crashcart.transports.endpoint import Endpoint
from crashcart.transports.limits import Limits
from crashcart.transports.sshargs import inventory_settings
from crashcart.transports.tunnel import parse_url

if TYPE_CHECKING:
    from crashcart.transports.ssh_config import ClientConfig
    from crashcart.transports.ssh_link import Link, Shared


def check_target(target: Target) -> None:
    """Check the SSH variables of a target without contacting anything.

    Raises ``BadInput`` for what cannot work: a port that is none, a key file that is missing, arguments that cannot be
    parsed, a pinned key that is no key.
    """
    inventory_settings(target)


class SshConnector:
    """Makes the transports of a run. What they share is read once: SSH configuration, known_hosts, keys, jump hosts.

    ``config_files`` are the ssh_config files, the first one wins; by default the user's and the system's.
    """

    def __init__(
        self,
        *,
        accept_new_host_keys: bool = False,
        become_password: Secret | None = None,
        config_files: Sequence[Path] | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._accept_new = accept_new_host_keys
        self._password = become_password
        self._config_files = config_files
        self._limits = limits or Limits()
        self._lock = threading.Lock()
        self._config: ClientConfig | None = None
        self._shared: Shared | None = None
        self._notes: dict[str, None] = {}

    @property
    def notes(self) -> tuple[str, ...]:
        """What the inventory asks for and is not honoured, each sentence once, of the targets made so far."""
        with self._lock:
            return tuple(self._notes)

    def __call__(self, target: Target) -> SshTransport:
        """Make the transport of a target. Raises ``BadInput`` for variables or a configuration that cannot work."""
        settings = inventory_settings(target)
        with self._lock:
            self._notes.update(dict.fromkeys(settings.ignored))
            endpoint = self._read_config().endpoint(settings)
            return SshTransport(endpoint, self._share(), settings.become_password or self._password)

    def resolve(self, target: Target) -> Endpoint:
        """Return where and how a target would be logged in to. Raises ``BadInput`` as a call does."""
        settings = inventory_settings(target)
        with self._lock:
            return self._read_config().endpoint(settings)

    def close(self) -> None:
        """End the connections to jump hosts; the targets' own are closed one by one before."""
        with self._lock:
            if self._shared is not None:
                self._shared.jumps.close()

    def _read_config(self) -> ClientConfig:
        from crashcart.transports.ssh_config import CONFIG_FILES, ClientConfig  # noqa: PLC0415 - paramiko, when needed

        if self._config is None:
            self._config = ClientConfig(CONFIG_FILES if self._config_files is None else self._config_files)
        return self._config

    def _share(self) -> Shared:
        from crashcart.transports.ssh_link import share  # noqa: PLC0415 - paramiko and Fabric, when needed

        if self._shared is None:
            self._shared = share(self._limits, accept_new=self._accept_new)
        return self._shared


class SshTransport:
    """A session with one host, logged in on first use and again after it was lost or closed.

    Used by one thread at a time, except ``cancel`` and ``close``.
    """

    def __init__(self, endpoint: Endpoint, shared: Shared, become_password: Secret | None = None) -> None:
        self.endpoint = endpoint
        self._shared = shared
        self._password = become_password
        self._lock = threading.Lock()
        self._order: Order | None = None
        self._link: Link | None = None

    def run(self, command: Command) -> CommandResult:
        """Run a command to its end and return how it ended.

        Raises ``Unreachable`` and its kinds or ``HostKeyRefused`` when there is no login, ``SudoDenied``, ``NotSent``,
        ``ConnectionLost``, ``Cancelled``; ``BadInput`` for an argument that no process can be given.
        """
        with self._turn() as (link, order):
            return link.run(command, order)

    def fetch(self, url: str, timeout: float) -> HttpReply:
        """GET an ``http://`` URL as the host sees it, over the same connection; ``timeout`` is in seconds.

        Status 0 says that there is no HTTP answer, and the body why: refused, hung up, silent. Raises as ``run`` does;
        ``NotSent`` when the host does not forward, ``TransportError`` for a URL that is not ``http://``.
        """
        wanted = parse_url(url)
        with self._turn() as (link, order):
            return link.fetch(wanted, timeout, order)

    def cancel(self) -> None:
        """End the login or the command in flight, on the host too; ``run`` raises ``Cancelled`` once that is done."""
        with self._lock:
            if self._order is None:
                return
            self._order.give()
            if self._link is not None:
                self._link.abort()

    def close(self) -> None:
        """End the session."""
        with self._lock:
            link, self._link = self._link, None
        if link is not None:
            link.close()

    @contextmanager
    def _turn(self) -> Iterator[tuple[Link, Order]]:
        """Lend the link and an order that ``cancel`` can give. A link that failed is dropped: the next turn logs in."""
        with self._lock:
            link, order = self._link or self._new_link(), Order()
            self._link, self._order = link, order
        try:
            yield link, order
        except Cancelled:
            raise
        except (TransportError, Refused):
            self.close()
            raise
        finally:
            with self._lock:
                self._order = None

    def _new_link(self) -> Link:
        from crashcart.transports.ssh_link import Link  # noqa: PLC0415 - paramiko and Fabric, when needed

        return Link(self.endpoint, self._shared, self._password)
