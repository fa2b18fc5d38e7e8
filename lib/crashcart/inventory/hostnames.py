"""Host names as Ansible writes them: ranges such as ``web[01:10]``, and ``name:port``."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from ipaddress import ip_address
from itertools import product
from string import ascii_letters

MAX_HOSTS = 100_000
"""A range that means more hosts than this is a typing error."""

_RANGE = re.compile(r"\[([^\[\]]*)\]")
_BOUNDS = re.compile(r"(?:(\d{0,9}):(\d{1,9})|([A-Za-z]):([A-Za-z]))(?::(\d{1,9}))?", re.ASCII)
_LABEL = r"(?:\w[\w-]*)?[^\W_]"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")


def expand(pattern: str) -> list[str]:
    """Return the host names that a name with ranges stands for. Raises ``ValueError`` saying what is wrong with a range."""
    pieces = _RANGE.split(pattern)
    if any(bracket in "".join(pieces[::2]) for bracket in "[]"):
        raise ValueError("a bracket stands alone")
    choices = [_sequence(piece) if index % 2 else [piece] for index, piece in enumerate(pieces)]
    if math.prod(map(len, choices)) > MAX_HOSTS:
        raise ValueError(f"that is more than {MAX_HOSTS} hosts")
    return ["".join(parts) for parts in product(*choices)]


def split_port(text: str) -> tuple[str, int | None]:
    """Split ``name:port`` and ``[address]:port``; what is not a host with a port is all name."""
    head, _, tail = text.rpartition(":")
    if not (tail.isascii() and tail.isdigit()):
        return text, None
    inner = head[1:-1] if head.startswith("[") and head.endswith("]") else ""
    if is_host(inner):
        return inner, int(tail)
    if ":" not in _RANGE.sub("", head) and is_host(head):
        return head, int(tail)
    return text, None


def is_host(text: str) -> bool:
    """Tell whether a text is a host name or an IP address, each part of which may be a range."""
    if not all(_BOUNDS.fullmatch(bounds) for bounds in _RANGE.findall(text)):
        return False
    plain = _RANGE.sub("1", text)
    return bool(_NAME.fullmatch(plain)) or is_address(plain)


def is_address(text: str) -> bool:
    """Tell whether a text is an IPv4 or IPv6 address."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _sequence(bounds: str) -> Sequence[str]:
    match = _BOUNDS.fullmatch(bounds)
    if not match:
        raise ValueError(f"a range is [first:last] or [first:last:step], not [{bounds}]")
    first, last, begin, end, step_text = match.groups()
    step = 1 if step_text is None else int(step_text)
    if step == 0:
        raise ValueError(f"the step of [{bounds}] is zero")
    found = _letters(begin, end, step) if begin else _numbers(first, last, step)
    if not found:
        raise ValueError(f"[{bounds}] runs backwards")
    return found


def _letters(first: str, last: str, step: int) -> str:
    return ascii_letters[ascii_letters.index(first) : ascii_letters.index(last) + 1 : step]


def _numbers(first: str, last: str, step: int) -> list[str]:
    """Count; a leading zero means that every number is written with that many digits."""
    width = len(first) if first.startswith("0") and first != "0" else 0
    if width and len(last) != width:
        raise ValueError(f"{first} and {last} need the same number of digits")
    numbers = range(int(first or 0), int(last) + 1, step)
    if len(numbers) > MAX_HOSTS:
        raise ValueError(f"that is more than {MAX_HOSTS} hosts")
    return [str(number).zfill(width) for number in numbers]
