"""The guard of real runs: before each act its budget is spent, and on a host it is sent together with the lease on it."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from contextlib import suppress

from crashcart.engine.guard import Attempt
from crashcart.errors import CrashcartError, FactUnreadable, Refused
from crashcart.journal.claims import target_key
from crashcart.journal.spending import Allowance, Ledger
from crashcart.operations.base import Quota
from crashcart.safety.budget import budget_of
from crashcart.safety.lease import NO_LEASE, Lease, leased, refusal, release
from crashcart.targets import Target
from crashcart.transports.base import Command, CommandResult, HttpReply, Session, Transport
from crashcart.values import format_span

NOTHING = Command(":")
"""An act that only takes the lease that it is sent with."""


class Budgets:
    """Spends the budget of each act that has one, counting what the target itself knows of too."""

    def __init__(self, ledger: Ledger, run: str, actor: str) -> None:
        self._ledger, self._run, self._actor = ledger, run, actor

    def spend(self, attempt: Attempt) -> None:
        """Raises ``Refused`` when the budget is used up, or when that cannot be told."""
        action, target = attempt.action, attempt.target
        if action.quota:
            self._count(action.quota, f"{target_key(target)} {action.key}")
        allowances = [allowance for allowance in budget_of(target) if allowance.kind == action.budget]
        if not allowances:
            return
        others = max(self._known(attempt, allowance.period) for allowance in allowances)
        why = self._ledger.spend(
            action.budget, target_key(target), self._run, self._actor, allowances, key=action.key, others=others
        )
        if why:
            raise Refused(why, hint="--break-glass goes beyond it; the run is then to be reviewed")

    def _count(self, quota: Quota, key: str) -> None:
        """Count an act against its provider's quota, of which the provider itself may know more, or less, than we do."""
        text = f"{quota.count}/{format_span(quota.period)}"
        allowance = Allowance(quota.kind, quota.count, quota.period, text)
        why = self._ledger.spend(quota.kind, quota.scope, self._run, self._actor, [allowance], key=key, others=quota.used)
        if why:
            raise Refused(why, hint=f"{quota.flag}, if the provider allows you more" if quota.flag else "")

    @staticmethod
    def _known(attempt: Attempt, period: float) -> int:
        try:
            return attempt.operation.spent(attempt.transport, attempt.wish, period)
        except FactUnreadable as error:
            why = f"how often it was done there lately cannot be told: {error.message}"
            raise Refused(why, hint="--break-glass does it without counting") from error


class Guards:
    """All that stands between a decision and its act. ``budgets`` is None where nothing is counted (break-glass)."""

    def __init__(self, leases: Leases, budgets: Budgets | None) -> None:
        self._leases, self._budgets = leases, budgets

    def admit(self, attempt: Attempt) -> Session:
        """Spend the budget, then return the session to act through. Raises ``Refused``."""
        if self._budgets:
            self._budgets.spend(attempt)
        return self._leases.admit(attempt)

    def hold(self, target: Target, transport: Session) -> None:
        """Take the lease of a host already. Raises ``Refused`` and the transport's errors."""
        self._leases.hold(target, transport)

    def holds(self, target: Target) -> bool:
        """Tell whether a lease may have been taken on a target and not given back."""
        return self._leases.holds(target)

    def release(self, target: Target, transport: Session) -> None:
        """Give the host back."""
        self._leases.release(target, transport)


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
        """Return a session that acts under the lease. Calls of a cloud's API need none: their locks are elsewhere."""
        if not isinstance(attempt.action.call, Command):
            return attempt.transport
        return self._leased(attempt.target, attempt.transport)

    def hold(self, target: Target, transport: Session) -> None:
        """Take the lease with an act that does nothing, where the acts of others come first: its load balancer's."""
        if target.kind == "linux":
            self._leased(target, transport).run(NOTHING)

    def _leased(self, target: Target, transport: Session) -> LeasedTransport:
        with self._lock:
            self._held.add(target.name)
        return LeasedTransport(_host(transport), self._lease, insist=self._insist)

    def holds(self, target: Target) -> bool:
        """Tell whether a lease may have been taken on a target and not given back. A resource of a cloud has none."""
        with self._lock:
            return target.kind == "linux" and target.name in self._held

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
