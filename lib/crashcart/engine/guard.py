"""The last guard before an act: budgets are spent and leases are taken here, for every act of every playbook."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from crashcart.operations.base import Action, Operation
from crashcart.targets import Target
from crashcart.transports.base import Session


class Attempt(msgspec.Struct, frozen=True):
    """An act that is about to be sent."""

    target: Target
    operation: Operation[Any, Any, Any]
    wish: Any
    action: Action
    transport: Session


class ActGuard(Protocol):
    """Stands between a decision and its act."""

    def admit(self, attempt: Attempt) -> Session:
        """Return the session to act through. Raises ``Refused``; asks as little of the target as it can."""

    def hold(self, target: Target, transport: Session) -> None:
        """Take what the target's acts need, before something else is done for their sake. Raises what ``admit`` raises."""

    def holds(self, target: Target) -> bool:
        """Tell whether something was taken for a target and not given back."""

    def release(self, target: Target, transport: Session) -> None:
        """A target is finished: give back what was taken for it, best effort."""


class Unguarded:
    """Allows everything: for runs that may not act at all."""

    def admit(self, attempt: Attempt) -> Session:
        """Return the attempt's own session."""
        return attempt.transport

    def hold(self, target: Target, transport: Session) -> None:
        """Take nothing."""

    def holds(self, target: Target) -> bool:
        """Nothing is ever taken."""
        return False

    def release(self, target: Target, transport: Session) -> None:
        """Do nothing."""
