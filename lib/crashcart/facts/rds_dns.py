"""Where the endpoint of a cluster leads, by the addresses of its members, as far as the transport can ask DNS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import msgspec

from crashcart.errors import Cancelled, CrashcartError
from crashcart.transports.base import CloudTransport


@runtime_checkable
class Resolver(Protocol):
    """A transport that can resolve names."""

    def resolve(self, host: str) -> frozenset[str]:
        """Return the addresses of a host. Raises ``CrashcartError`` when they cannot be had."""


class Whereabouts(msgspec.Struct, frozen=True):
    """The members that an endpoint leads to; ``unasked`` says why that is not known."""

    members: tuple[str, ...] = ()
    unasked: str = ""


def observe(transport: CloudTransport, host: str, members: Mapping[str, str]) -> Whereabouts:
    """Find the members that a name leads to, by the addresses of their own names.

    A cluster's endpoint is an alias of its writer's, which shows in their having an address in common. Names of an emulator
    are nobody's, so they are not asked for.
    """
    if transport.is_emulated:
        return Whereabouts(unasked="an emulator's names lead nowhere")
    if not isinstance(transport, Resolver) or not host:
        return Whereabouts(unasked="DNS cannot be asked")
    try:
        addresses = transport.resolve(host)
        return Whereabouts(tuple(name for name, other in members.items() if other and transport.resolve(other) & addresses))
    except Cancelled:
        raise
    except CrashcartError as error:
        return Whereabouts(unasked=error.message)
