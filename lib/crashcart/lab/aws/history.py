"""Service events as DescribeEvents of RDS and ElastiCache gives them: by source, for a span of time, oldest first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TypeVar

from moto.core.exceptions import ServiceException

KEPT = timedelta(days=14)
"""Both services keep events that long (API reference: DescribeEvents)."""

DEFAULT_MINUTES = 60


class Dated(Protocol):
    """Something that happened at a moment."""

    @property
    def date(self) -> datetime:
        """When."""


T = TypeVar("T", bound=Dated)


def chosen(events: Iterable[T], params: Mapping[str, Any], now: datetime, error: type[ServiceException]) -> list[T]:
    """Return the events of the time that is asked for, by their ``date``. Raises the service's ``error``.

    ``Duration`` counts minutes back from now; without any of the three, it is 60 (API reference: DescribeEvents).
    """
    start, end, minutes = params.get("StartTime"), params.get("EndTime"), params.get("Duration")
    if minutes is not None and (start or end):  # unverified which code
        raise error("InvalidParameterCombination", "Cannot specify Duration together with StartTime or EndTime")
    until = aware(end) if end else now
    since = aware(start) if start else until - timedelta(minutes=int(minutes or DEFAULT_MINUTES))
    since = max(since, now - KEPT)
    found = [event for event in events if since <= aware(event.date) <= until]
    return sorted(found, key=lambda event: aware(event.date))


def aware(moment: datetime) -> datetime:
    """Return a moment with its time zone; moto leaves it out and means UTC."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def page(found: list[Any], params: Mapping[str, Any], error: type[ServiceException]) -> tuple[list[Any], str | None]:
    """Return the page that is asked for, and the marker of the next. Both services: 20 to 100 records, 100 unless said.

    Raises the service's ``error``; moto tells the service from the module of an exception's class.
    """
    start, size = int(params.get("Marker") or 0), int(params.get("MaxRecords") or 100)
    if not 20 <= size <= 100:
        raise error("InvalidParameterValue", f"MaxRecords must be between 20 and 100, not {size}.")
    return found[start : start + size], str(start + size) if start + size < len(found) else None
