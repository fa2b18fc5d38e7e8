"""Freeze windows: times in which nothing is changed. None are read yet."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from crashcart.plan import Options
from crashcart.targets import Target


def check_freeze(targets: Sequence[Target], now: datetime, options: Options) -> None:
    return
