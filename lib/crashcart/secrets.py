"""Secrets are a type that prints as ``***`` wherever it lands."""

from __future__ import annotations

import re

MASK = "***"
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
