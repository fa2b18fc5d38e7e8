"""The value types of parameters and wishes: each parses what a person types and says what it expected.

A value type has ``parse(raw)``, which raises ``ValueError`` with what was expected. ``decode`` turns JSON values into
typed records that use them.
"""

from __future__ import annotations

import posixpath
import re
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

from crashcart.decoding import convert
from crashcart.secrets import Secret

T = TypeVar("T")

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?b?)", re.IGNORECASE)
_UNIT = re.compile(r"[A-Za-z0-9:_.\\][A-Za-z0-9:_.\\@-]*")
_UNIT_TYPES = ("service", "socket", "timer", "mount", "target", "path", "slice", "scope", "device", "swap", "automount")
_MAX_UNIT = 255


class Duration(float):
    """A span of time in seconds, written ``90``, ``90s``, ``1h30m``, ``7d``."""

    @classmethod
    def parse(cls, raw: object) -> Duration:
        """Read seconds, or numbers with the units ms, s, m, h, d, w."""
        text = str(raw).strip()
        if re.fullmatch(r"\d+(\.\d+)?", text):
            return cls(float(text))
        if text and not _DURATION.sub("", text).strip():
            return cls(sum(float(number) * _SECONDS[unit] for number, unit in _DURATION.findall(text)))
        raise ValueError(f"expected a duration such as 90s, 5m or 7d, got {text!r}")


class Percent(float):
    """A share of 100, written ``80`` or ``80%``."""

    @classmethod
    def parse(cls, raw: object) -> Percent:
        """Read a number from 0 to 100."""
        text = str(raw).strip().removesuffix("%").strip()
        if re.fullmatch(r"\d+(\.\d+)?", text) and float(text) <= 100:
            return cls(float(text))
        raise ValueError(f"expected a percentage from 0 to 100 such as 80 or 80%, got {str(raw)!r}")


class Size(int):
    """A number of bytes, written ``1048576``, ``512M`` or ``2GiB`` (units are powers of 1024)."""

    @classmethod
    def parse(cls, raw: object) -> Size:
        """Read bytes, or a number with the units K, M, G, T."""
        match = _SIZE.fullmatch(str(raw).strip())
        if not match:
            raise ValueError(f"expected a size such as 512M or 2G, got {str(raw)!r}")
        return cls(float(match[1]) * 1024 ** " kmgt".index(match[2].lower() or " "))


class AbsolutePath(str):
    """An absolute, normalised POSIX path."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> AbsolutePath:
        """Read a path that starts with ``/`` and has no ``..``, NUL or newline."""
        text = str(raw)
        if not text.startswith("/") or ".." in text.split("/") or re.search(r"[\0\n]", text):
            raise ValueError(f"expected an absolute path without '..', got {text!r}")
        return cls("/" + posixpath.normpath(text).lstrip("/"))


class Url(str):
    """An ``http`` or ``https`` URL."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> Url:
        """Read a URL with a host and, if any, a valid port."""
        text = str(raw).strip()
        try:
            parts = urlsplit(text)
            valid = parts.scheme in {"http", "https"} and parts.hostname and (parts.port is None or parts.port)
        except ValueError:
            valid = False
        if not valid or re.search(r"[\s\x00-\x1f\x7f]", text):
            raise ValueError(f"expected a URL such as http://127.0.0.1:8000/health, got {text!r}")
        return cls(text)


class UnitName(str):
    """A systemd unit; ``api`` means ``api.service``."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> UnitName:
        """Read a unit name as systemd allows it."""
        text = str(raw).strip()
        if not _UNIT.fullmatch(text) or len(text) > _MAX_UNIT:
            raise ValueError(f"expected a systemd unit such as api.service, got {text!r}")
        known = text.rpartition(".")[2] in _UNIT_TYPES and "." in text
        return cls(text if known else f"{text}.service")


class Since(str):
    """A point in time: ISO 8601 with a zone, or how long ago (``10m``) by the target's own clock."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> Since:
        """Read a time; one without a zone is refused because the two clocks' zones may differ."""
        text = str(raw).strip()
        value = cls(text)
        value.epoch(0.0)
        return value

    def epoch(self, now: float) -> float:
        """Return the time as seconds since 1970, given the target's own clock."""
        try:
            return now - Duration.parse(self.removesuffix("ago"))
        except ValueError:
            pass
        try:
            moment = datetime.fromisoformat(self)
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            raise ValueError(f"expected a time such as 2030-01-31T03:00Z, or 10m for ten minutes ago, got {str(self)!r}")
        return moment.timestamp()


VALUE_TYPES: dict[str, type[Any]] = {
    "duration": Duration,
    "percent": Percent,
    "size": Size,
    "path": AbsolutePath,
    "url": Url,
    "unit": UnitName,
    "time": Since,
}
"""The names that a playbook's ``params`` use for these types."""


def _parse(kind: type[Any], raw: object) -> Any:
    if kind in VALUE_TYPES.values():
        return kind.parse(raw)
    if kind is Secret:
        return raw if isinstance(raw, Secret) else Secret(str(raw))
    raise NotImplementedError(kind)


def decode(raw: object, record: type[T]) -> T:
    """Turn JSON values into a typed record. Raises ``msgspec.ValidationError`` with the path of the bad value."""
    return convert(raw, record, strict=False, dec_hook=_parse)


def format_size(size: float) -> str:
    """Write a number of bytes as people read it: ``0 B``, ``1.5 MiB``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(size) < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def format_span(seconds: float) -> str:
    """Write a span as people read it: ``45 s``, ``12 min``, ``3 h``, ``8 d``."""
    for limit, divisor, unit in ((120, 1, "s"), (7200, 60, "min"), (172800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / divisor:.0f} {unit}"
    return f"{seconds / 86400:.0f} d"
