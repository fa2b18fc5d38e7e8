"""Every error that crashcart raises on purpose, in one tree.

    CrashcartError
    ├── BadInput                the user's flags, inventory or playbook are wrong; nothing was contacted (exit 2)
    ├── Refused                 a guard, a lock or a host key said no (exit 3)
    │   └── HostKeyRefused      the host's key is unknown, changed or revoked
    ├── TransportError          a target could not be asked, or its answer did not arrive
    │   ├── Unreachable         no session with the target: certainly nothing was done there (exit 4)
    │   │   ├── ConnectRefused      nothing listens on the port
    │   │   ├── ConnectTimeout      no answer to TCP connect, or the name does not resolve
    │   │   ├── SilentPeer          TCP is accepted, then no SSH banner or no answer
    │   │   └── AuthenticationFailed    the login was denied
    │   ├── NotSent             the session stands, but the command certainly never started
    │   │   ├── Throttled           the API asks for fewer requests
    │   │   └── Busy                the resource is in a state that forbids the call now
    │   ├── ConnectionLost      the session broke while a command ran: it may have taken effect
    │   └── Cancelled           we ended the command ourselves
    ├── SudoDenied              logged in, but may not become root (failed)
    ├── ApiRefused              an API's final no to one call (failed)
    │   ├── AccessDenied            the credentials are valid, but do not allow this call
    │   ├── NoSuchResource          there is no such resource in this account and region
    │   └── InvalidCall             the call is wrong, or a quota is used up
    ├── FactUnreadable          the target answered, but not in a form that can be understood: unknown, never healthy
    ├── JournalError            the run's record cannot be written or read; no journal, no act
    └── LabError                the practice fleet cannot be built, started or found

Foreign errors (paramiko, botocore, OSError) are mapped at the transport and kept as ``__cause__``.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class CrashcartError(Exception):
    """Base of the tree. ``message`` says what is wrong, ``hint`` the flag, command or edit that would help."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message


class BadInput(CrashcartError):
    """Flags, inventory or playbook are wrong. Positions are 1-based; unknown ones are left out."""

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        file: Path | str | None = None,
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        place = ":".join(str(part) for part in (file, line, column) if part is not None)
        super().__init__(f"{place}: {message}" if place else message, hint=hint)
        self.file, self.line, self.column = file, line, column


class Refused(CrashcartError):
    """A guard said no. ``hint`` holds the exact flag or command that would pass."""


class HostKeyRefused(Refused):
    """The host's key is unknown, differs from known_hosts, or is revoked there."""


class TransportError(CrashcartError):
    """A target could not be asked, or its answer did not arrive."""


class Unreachable(TransportError):
    """No session with the target: certainly nothing was done there."""


class ConnectRefused(Unreachable):
    """Nothing listens on the port."""


class ConnectTimeout(Unreachable):
    """No answer to TCP connect within its limit, or the name does not resolve."""


class SilentPeer(Unreachable):
    """TCP is accepted, but no SSH banner or no answer arrives within its limit."""


class AuthenticationFailed(Unreachable):
    """The login was denied."""


class NotSent(TransportError):
    """The session stands, but the command certainly never started."""


class ConnectionLost(TransportError):
    """The session broke while a command ran: it may or may not have taken effect."""


class Cancelled(TransportError):
    """We ended the command ourselves, on interrupt or deadline."""


class SudoDenied(CrashcartError):
    """Logged in, but sudo refused or asked for a password."""


class Throttled(NotSent):
    """The API asks for fewer requests; certainly nothing was done."""


class Busy(NotSent):
    """The resource is in a state that forbids the call now; certainly nothing was done."""


class ApiRefused(CrashcartError):
    """An API's final no to one call: ``action`` as IAM names it (``rds:FailoverDBCluster``), ``code`` the service's own."""

    def __init__(self, message: str, *, action: str, code: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.action, self.code = action, code


class AccessDenied(ApiRefused):
    """The credentials are valid, but do not allow this call; the hint is the policy statement that is missing."""


class NoSuchResource(ApiRefused):
    """There is no such resource in this account and region."""


class InvalidCall(ApiRefused):
    """The call is wrong as it stands, or a quota is used up; sending it again would not help."""


class FactUnreadable(CrashcartError):
    """The target answered, but not in a form that can be understood. ``final`` when looking again would not help."""

    def __init__(self, message: str, *, hint: str = "", final: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.final = final


class JournalError(CrashcartError):
    """The run's record cannot be written or read."""


class LabError(CrashcartError):
    """The practice fleet cannot be built, started or found."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Say which known names are close to a misspelt one, be it in upper or lower case; nothing when none is."""
    folded: dict[str, list[str]] = {}
    for one in sorted(known):
        folded.setdefault(one.casefold(), []).append(one)
    close = [one for found in get_close_matches(name.casefold(), folded, n=3, cutoff=0.6) for one in folded[found]]
    return f"did you mean {' or '.join(close)}?" if close else ""
