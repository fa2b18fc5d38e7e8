"""What the emulator was asked: one line of JSON for each request, so that a drill can count writes."""

from __future__ import annotations

import threading
from datetime import datetime
from pathlib import Path
from typing import IO

import msgspec

from crashcart.lab.aws.calls import Call

_MOST = 50_000


class Request(msgspec.Struct, frozen=True):
    """One request. ``status`` is 0 when no answer was sent; ``at`` is the lab's time."""

    at: datetime
    service: str
    action: str
    region: str
    params: dict[str, str]
    status: int
    fault: str
    writes: bool
    attempt: str
    milliseconds: float


class RequestLog:
    """Keeps requests in memory and in a file; the file begins anew with each reset."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._requests: list[Request] = []
        self._path = path
        self._file = self._open()

    def note(self, call: Call, at: datetime, status: int, fault: str, milliseconds: float) -> None:
        """Write one request down."""
        request = Request(
            at=at,
            service=call.service,
            action=call.action,
            region=call.region,
            params=call.summary,
            status=status,
            fault=fault,
            writes=call.writes,
            attempt=call.attempt,
            milliseconds=round(milliseconds, 1),
        )
        with self._lock:
            self._requests = [*self._requests[-_MOST:], request] if len(self._requests) >= 2 * _MOST else self._requests
            self._requests.append(request)
            self._file.write(msgspec.json.encode(request) + b"\n")
            self._file.flush()

    def all(self) -> list[Request]:
        """Every request since the last reset, the oldest first."""
        with self._lock:
            return list(self._requests)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._requests.clear()
            self._file.close()
            self._file = self._open()

    def _open(self) -> IO[bytes]:
        return self._path.open("wb")
