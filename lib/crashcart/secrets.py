"""Secrets are a type that prints as ``***`` wherever it lands; a ``Redactor`` takes them out of what others say."""

from __future__ import annotations

import base64
import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar
from urllib.parse import quote, quote_plus

import msgspec

from crashcart.decoding import convert

T = TypeVar("T", bound=msgspec.Struct)

MASK = "***"

SHORTEST = 6
"""Characters from which on a known secret is taken out of foreign text; a shorter one would take out words of ours."""

_NAMES = frozenset(
    {"action", "decision", "effect", "event", "file", "key", "kind", "name", "only_if", "operation", "outcome", "phase"}
    | {"ready", "result", "run", "sha256", "since", "status", "step", "target", "targets", "type", "verdict"}
)
"""Fields by which records find each other; where they hold a text, it stays as it is."""

_SECRET_NAME = re.compile(r"pass(word|wd|phrase)?$|_pass_|secret|token|api_?key|private_key$|credential", re.IGNORECASE)


class Secret:
    """A value that may be used but not shown. ``reveal()`` is the one way to the text."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the secret itself; only for handing it to the system that needs it."""
        return self._text

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> str:
        raise TypeError("a secret is not pickled")


def is_secret_name(name: str) -> bool:
    """Tell whether a variable of this name holds a secret. A ``*_file`` names a file and is none."""
    return not name.endswith("_file") and bool(_SECRET_NAME.search(name))


def encode_secret(value: object) -> object:
    """Encode what msgspec cannot: a ``Secret`` as ``***``, our own texts and numbers as what they are.

    Used as ``enc_hook`` of every encoder.
    """
    if isinstance(value, Secret):
        return MASK
    for plain in (str, float, int):
        if isinstance(value, plain):
            return plain(value)
    raise TypeError(f"cannot encode {type(value).__name__}")


class Redactor:
    """Replaces secrets that are known where they come back in foreign text: a host's output, an error, a plan."""

    def __init__(self, secrets: Iterable[Secret]) -> None:
        known = (secret.reveal() for secret in secrets)
        forms = {form for text in known if len(text) >= SHORTEST for form in _forms(text)}
        longest_first = sorted(forms, key=len, reverse=True)
        self._text = re.compile("|".join(map(re.escape, longest_first))) if forms else None
        self._data = re.compile(b"|".join(re.escape(form.encode()) for form in longest_first)) if forms else None

    def data(self, data: bytes) -> bytes:
        """Return bytes without the secrets."""
        return self._data.sub(MASK.encode(), data) if self._data else data

    def record(self, record: T) -> T:
        """Return a record without the secrets in its texts; names and keys, by which others find it, stay."""
        if self._text is None:
            return record
        plain = msgspec.to_builtins(record, enc_hook=encode_secret)
        clean = self._value(plain)
        return record if clean == plain else convert(clean, type(record))

    def _value(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {
                key: inner if key in _NAMES and isinstance(inner, str) else self._value(inner)
                for key, inner in value.items()
            }
        if isinstance(value, list | tuple):
            return [self._value(inner) for inner in value]
        return self._text.sub(MASK, value) if isinstance(value, str) and self._text else value


def secrets_in(value: Any) -> Iterator[Secret]:
    """Yield the secrets anywhere in a value: a plan, a list, a mapping."""
    if isinstance(value, Secret):
        yield value
    elif isinstance(value, msgspec.Struct):
        for field in value.__struct_fields__:
            yield from secrets_in(getattr(value, field))
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from secrets_in(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from secrets_in(inner)


def _forms(text: str) -> Iterator[str]:
    """Yield a secret as programs write it: as it is, in base64, in a URL, in JSON, quoted for a shell."""
    raw = text.encode(errors="surrogateescape")
    yield from (text, base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode())
    yield from (quote(raw, safe=""), quote(raw), quote_plus(raw))
    yield from (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], shlex.quote(text))
