"""Who did something: one person may be known by a login, an address, and a provider's identity."""

from __future__ import annotations

import re
from collections.abc import Iterable


def is_author(names: Iterable[str], author: str) -> bool:
    """Tell whether a person is the author: ``alice``, ``alice@example.com`` and ``github:alice`` are taken for one."""
    wanted = _forms(author)
    return any(wanted & _forms(name) for name in names)


def _forms(name: str) -> set[str]:
    # A job's identity goes on in brackets: the login that it runs as, and where it is.
    whole = name.strip().casefold().partition(" (")[0]
    return {whole, re.split(r"[:/\\]", whole.partition("@")[0])[-1]} - {""}
