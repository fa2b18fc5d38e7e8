"""The guard of real runs: each act on a host is sent only together with the lease on that host."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from contextlib import suppress

from crashcart.engine.guard import Attempt
from crashcart.errors import CrashcartError
from crashcart.safety.lease import NO_LEASE, Lease, leased, refusal, release
from crashcart.targets import Target
from crashcart.transports.base import Command, CommandResult, HttpReply, Session, Transport


class Leases:
    """Takes the lease of each host in the exec of its acts, and gives it back when the host is finished.

    ``insist`` is what break-glass gives up: there, a host on which no lease can be had at all is acted on without one. One
    that somebody else holds is refused all the same. ``held`` names hosts on which an earlier process of the run acted.
    """

    def __init__(self, lease: Lease, *, insist: bool = True, held: Iterable[str] = ()) -> None:
        self._lease, self._insist = lease, insist
        self._held = set(held)
        self._lock = threading.Lock()

    def admit(self, attempt: Attempt) -> Session:
        """Return a session that acts under the lease. Cloud resources have none: their locks are elsewhere."""
        if attempt.target.kind != "linux":
            return attempt.transport
        with self._lock:
            self._held.add(attempt.target.name)
        return LeasedTransport(_host(attempt.transport), self._lease, insist=self._insist)

    def holds(self, target: Target) -> bool:
        """Tell whether a lease may have been taken on a target and not given back."""
        with self._lock:
            return target.name in self._held

    def release(self, target: Target, transport: Session) -> None:
        """Give the host back; one that cannot be asked gets free by itself when the lease runs out."""
        if self.holds(target):
            with suppress(CrashcartError):
                _host(transport).run(release(self._lease))
            with self._lock:
                self._held.discard(target.name)


class LeasedTransport:
    """Runs commands under the lease. Raises ``Refused`` from ``run`` when somebody else has it."""

    def __init__(self, transport: Transport, lease: Lease, *, insist: bool) -> None:
        self._transport, self._lease, self._insist = transport, lease, insist

    def run(self, command: Command) -> CommandResult:
        """Run a command, if the host is ours."""
        result = self._transport.run(leased(command, self._lease))
        refused = refusal(result)
        if refused is None:
            return result
        if result.status == NO_LEASE and not self._insist:
            return self._transport.run(command)
        raise refused

    def fetch(self, url: str, timeout: float) -> HttpReply:
        """GET a URL; looking needs no lease."""
        return self._transport.fetch(url, timeout)

    def cancel(self) -> None:
        """End the command in flight."""
        self._transport.cancel()

    def close(self) -> None:
        """End the session."""
        self._transport.close()


def _host(session: Session) -> Transport:
    assert hasattr(session, "run")  # noqa: S101 -- targets of kind linux have host transports
    return session  # type: ignore[return-value]
