"""What keeps the whole folder a matter of seconds: property tests are bounded, and so is the collecting of garbage."""

from __future__ import annotations

import gc

from hypothesis import settings

settings.register_profile("unit", max_examples=40)
settings.load_profile("unit")
gc.disable()


def pytest_collection_finish() -> None:
    """Leave thousands of tests alone that stay until the end, and look at new things less often."""
    gc.freeze()
    gc.enable()
    gc.set_threshold(20_000, 20, 100)
