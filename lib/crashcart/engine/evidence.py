"""Evidence: what is saved about a target before an act that cannot be repeated."""

from __future__ import annotations

from typing import Protocol

from crashcart.events import EvidenceKept, Stream
from crashcart.results import Evidence


class EvidenceStore(Protocol):
    """Where evidence is kept: a run's folder."""

    def keep(self, target: str, name: str, data: bytes) -> Evidence:
        """Write bytes owner-only and return their place and hash. Raises ``JournalError``."""


class EvidenceKeeper:
    """Keeps what an operation gathered; whether it is needed is for the caller to judge."""

    def __init__(self, store: EvidenceStore, stream: Stream) -> None:
        self._store, self._stream = store, stream

    def keep(self, target: str, step: str, data: bytes) -> Evidence | None:
        """Keep the data; None when there is none."""
        if not data:
            return None
        evidence = self._store.keep(target, step, data)
        self._stream.emit(EvidenceKept(target, step, evidence))
        return evidence
