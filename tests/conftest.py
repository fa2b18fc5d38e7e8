"""Thousands of tests and what they import stay until the end: the collector of garbage need not look at them each time."""

from __future__ import annotations

import gc

gc.disable()


def pytest_collection_finish() -> None:
    """Leave alone what is there by now, and look at new things less often: a sixth of the time goes there otherwise."""
    gc.freeze()
    gc.enable()
    gc.set_threshold(20_000, 20, 100)
