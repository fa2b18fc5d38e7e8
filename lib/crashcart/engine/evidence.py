"""Evidence: what is saved about a target before an act that cannot be repeated."""

from __future__ import annotations

from typing import Protocol

import msgspec

from crashcart.errors import SudoDenied, TransportError
from crashcart.events import EvidenceKept, Stream
from crashcart.results import Evidence
from crashcart.transports.base import Command, Transport

LIMIT = 10.0
"""Seconds that gathering evidence may hold up a recovery."""


class EvidenceStore(Protocol):
    """Where evidence is kept: a run's folder."""

    def keep(self, target: str, name: str, data: bytes) -> Evidence:
        """Write bytes owner-only and return their place and hash. Raises ``JournalError``."""


class EvidenceKeeper:
    """Gathers evidence, best effort and bounded in time; whether it is needed is for the caller to judge."""

    def __init__(self, store: EvidenceStore, stream: Stream) -> None:
        self._store, self._stream = store, stream

    def gather(self, target: str, step: str, transport: Transport, command: Command) -> Evidence | None:
        """Run the command and keep its output. None when the target would not give it."""
        bounded = msgspec.structs.replace(command, timeout=min(command.timeout, LIMIT))
        try:
            result = transport.run(bounded)
        except (TransportError, SudoDenied):
            return None
        if not result.stdout.data:
            return None
        evidence = self._store.keep(target, step, result.stdout.text.encode())
        self._stream.emit(EvidenceKept(target, step, evidence))
        return evidence
