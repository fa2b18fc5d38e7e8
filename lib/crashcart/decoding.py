"""Reading data into records, from any number of threads: the one place where msgspec is asked to.

msgspec finds out about a type when it is first read, and lets other threads see what it knows before that is whole: two
threads that read the same type first at the same moment crash the process (seen with 0.22). So what there is to know of a
type is found out under a lock, once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar, overload

import msgspec

T = TypeVar("T")
DecHook = Callable[[type, Any], Any]


class _Known:
    """The types that msgspec knows all about. It keeps that per process, and so does this."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kinds: set[Any] = set()

    def make(self, kind: Any) -> None:
        """Return when a type, and all that it is made of, is known."""
        if kind not in self._kinds:
            with self._lock:
                msgspec.json.Decoder(kind)
                self._kinds.add(kind)


_KNOWN = _Known()


@overload
def convert(value: Any, kind: type[T], *, strict: bool = True, dec_hook: DecHook | None = None) -> T: ...
@overload
def convert(value: Any, kind: Any, *, strict: bool = True, dec_hook: DecHook | None = None) -> Any: ...
def convert(value: Any, kind: Any, *, strict: bool = True, dec_hook: DecHook | None = None) -> Any:
    """Return plain data as a value of that type, as ``msgspec.convert`` does. Raises ``msgspec.ValidationError``."""
    _KNOWN.make(kind)
    return msgspec.convert(value, kind, strict=strict, dec_hook=dec_hook)


@overload
def from_json(raw: bytes | str) -> Any: ...
@overload
def from_json(raw: bytes | str, kind: type[T]) -> T: ...
@overload
def from_json(raw: bytes | str, kind: Any) -> Any: ...
def from_json(raw: bytes | str, kind: Any = Any) -> Any:
    """Return JSON as a value of that type, as ``msgspec.json.decode`` does. Raises ``msgspec.DecodeError``."""
    _KNOWN.make(kind)
    return msgspec.json.decode(raw, type=kind)
