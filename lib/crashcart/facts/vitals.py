"""How a host is as a machine, in one exec: disks, memory, load, clock, victims of memory, units, what changed lately.

Seed rows S0-D3 (units), S0-D6 (recent changes), S0-D9 (``df``, ``free``, load) and S0-D15 (who was killed for memory).
What a host does not tell is empty and named in ``silent``; it is never taken for a good value.
"""

from __future__ import annotations

import time

import msgspec

from crashcart.errors import FactUnreadable
from crashcart.facts.vitals_parse import parse
from crashcart.facts.vitals_script import SCRIPT
from crashcart.facts.vitals_state import Vitals
from crashcart.transports.base import Command, Transport

__all__ = ["Vitals", "compare_clocks", "observe", "parse"]

LIMIT = 20.0
"""Seconds for the look; its parts have limits of their own, which a healthy host is far below."""


def observe(transport: Transport, window: float) -> Vitals:
    """Look once, at what changed in the last ``window`` seconds, too. Raises ``FactUnreadable``, the transport's errors."""
    result = transport.run(Command(SCRIPT, (str(max(1, int(window))),), timeout=LIMIT))
    ours = time.time()  # against the host's own; the engine's clock may be a simulated one
    if not result.ok:
        raise FactUnreadable(f"the host's vitals could not be read: {result.ending}")
    if result.stdout.cut:
        raise FactUnreadable("the host told more of itself than one look can hold")
    return compare_clocks(msgspec.structs.replace(parse(result.stdout.data), window=float(window)), ours, result.duration)


def compare_clocks(vitals: Vitals, ours: float, duration: float) -> Vitals:
    """Note how far the host's clock is ahead: it was read some time in the ``duration`` seconds before ``ours``."""
    middle, margin = ours - duration / 2, duration / 2
    return msgspec.structs.replace(vitals, ahead=round(vitals.now - middle, 3), ahead_margin=round(margin, 3))
