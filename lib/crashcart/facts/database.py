"""A database as its clients see it: whether it answers, in which role, and how busy it is; each look on a fresh connection.

Seed rows S0-D8 and S0-D10. That something answers proves little: a replica answers, too. A connection that stands may still
lead to the writer of before, so it is never used again for the next look.
"""

from __future__ import annotations

import time
from enum import StrEnum

import msgspec

from crashcart.errors import AuthenticationFailed, Busy, ConnectionLost, FactUnreadable, TransportError, Unreachable
from crashcart.facts.database_queries import LOADS, ROLES, Load, Role
from crashcart.transports.base import DatabaseTransport

__all__ = ["DatabaseState", "Load", "Role", "Silence", "observe", "observe_patiently"]


class Silence(StrEnum):
    """Why there is no answer."""

    NONE = "none"
    NO_CONNECTION = "no connection"
    BUSY = "busy"
    LOST = "lost"


class DatabaseState(msgspec.Struct, frozen=True):
    """What one look came to. ``connected`` and ``answered`` are seconds from its start, ``said``: why there is none."""

    address: str
    engine: str
    connected: float = 0.0
    answered: float = 0.0
    role: Role = Role.NOT_ASKED
    detail: str = ""
    silence: Silence = Silence.NONE
    said: str = ""
    load: Load | None = None


def observe(transport: DatabaseTransport, *, load: bool = False) -> DatabaseState:
    """Connect anew, ask for the role, and if wanted how busy it is. Raises ``FactUnreadable`` and ``Unreachable``."""
    try:
        return _answer(transport, load=load)
    except Busy as error:
        return DatabaseState(transport.address, transport.engine.value, silence=Silence.BUSY, said=error.message)
    except ConnectionLost as error:
        return DatabaseState(transport.address, transport.engine.value, silence=Silence.LOST, said=error.message)
    finally:
        transport.close()


def observe_patiently(transport: DatabaseTransport) -> DatabaseState:
    """Look the same way, but take a missing connection for a state: after a failover it is expected.

    Raises ``AuthenticationFailed``, which does not pass by itself, and ``FactUnreadable``.
    """
    try:
        return observe(transport)
    except AuthenticationFailed:
        raise
    except Unreachable as error:
        return DatabaseState(transport.address, transport.engine.value, silence=Silence.NO_CONNECTION, said=error.message)


def _answer(transport: DatabaseTransport, *, load: bool) -> DatabaseState:
    connected = transport.connect()
    began = time.monotonic()
    standing = ROLES[transport.engine](transport)
    answered = connected + time.monotonic() - began
    return DatabaseState(
        transport.address,
        transport.engine.value,
        round(connected, 3),
        round(answered, 3),
        standing.role,
        standing.detail,
        load=_load(transport) if load else None,
    )


def _load(transport: DatabaseTransport) -> Load | None:
    """How busy it is; that this cannot be told is no reason to hide that it answers."""
    look = LOADS.get(transport.engine)
    if look is None:
        return None
    try:
        return look(transport)
    except (FactUnreadable, TransportError) as error:
        return Load(unreadable=error.message)
