"""The arithmetic of a rollout: batch sizes as in Ansible's ``serial``, and how many failures stop it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from crashcart.errors import BadInput


def batch_sizes(batches: Sequence[str], total: int) -> list[int]:
    """Split ``total`` targets into batches. The last size repeats; a percentage rounds up and is never zero."""
    sizes: list[int] = []
    specs = list(batches) or ["100%"]
    while sum(sizes) < total:
        spec = specs[min(len(sizes), len(specs) - 1)]
        sizes.append(min(_batch_size(spec, total), total - sum(sizes)))
    return sizes


def allowed_failures(limit: str, total: int) -> int:
    """Return how many targets may fail before the run stops: the integer, or the percentage of ``total`` rounded down."""
    number, percent = parse_amount(limit)
    return math.floor(total * number / 100) if percent else int(number)


def parse_amount(text: str) -> tuple[float, bool]:
    """Read a count or a percentage: (number, whether it is a percentage). Raises ``BadInput``."""
    percent = text.endswith("%")
    digits = text.removesuffix("%").strip()
    if not digits.isascii() or not digits.isdecimal() or (percent and int(digits) > 100):
        raise BadInput(f"expected a count such as 5 or a percentage such as 25%, got {text!r}")
    return float(digits), percent


def _batch_size(spec: str, total: int) -> int:
    number, percent = parse_amount(spec)
    size = math.ceil(total * number / 100) if percent else int(number)
    return max(1, size)
