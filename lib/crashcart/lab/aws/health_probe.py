"""Ask a lab host for its health over the network, as a load balancer does, at most once a second of lab time."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Literal
from urllib.parse import SplitResult, urlsplit

import msgspec

TIMEOUT = 1.0
PAUSE = timedelta(seconds=1)
_AT_ONCE = 16


class Answer(msgspec.Struct, frozen=True):
    """What came back: an HTTP status, a bare connection (``open``), or the way in which it failed."""

    outcome: Literal["http", "open", "timeout", "failed"]
    status: int = 0


class Prober:
    """Remembers each URL's newest answer; ``http://`` is asked with GET, ``tcp://`` is only connected to. No proxy."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._answers: dict[str, tuple[datetime, Answer]] = {}

    def ask(self, wanted: Iterable[str]) -> dict[str, Answer]:
        """Tell the answers of some URLs; those that are due are asked, all at the same time."""
        asked = tuple(dict.fromkeys(wanted))
        due = [url for url in asked if self._is_due(url)]
        if due:
            with ThreadPoolExecutor(min(_AT_ONCE, len(due)), "health-probe") as pool:
                self._answers.update(zip(due, ((self._now(), answer) for answer in pool.map(probe, due)), strict=True))
        return {url: self._answers[url][1] for url in asked}

    def _is_due(self, url: str) -> bool:
        known = self._answers.get(url)
        return known is None or self._now() - known[0] >= PAUSE


def probe(url: str) -> Answer:
    """Make one request; every failure is an answer."""
    parts = urlsplit(url)
    try:
        return _connect(parts) if parts.scheme == "tcp" else _get(parts)
    except TimeoutError:
        return Answer("timeout")
    except (OSError, http.client.HTTPException, ValueError):
        return Answer("failed")


def _connect(parts: SplitResult) -> Answer:
    with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=TIMEOUT):
        return Answer("open")


def _get(parts: SplitResult) -> Answer:
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=TIMEOUT)
    try:
        connection.request("GET", parts.path or "/", headers={"User-Agent": "ELB-HealthChecker/2.0", "Connection": "close"})
        return Answer("http", connection.getresponse().status)
    finally:
        connection.close()
