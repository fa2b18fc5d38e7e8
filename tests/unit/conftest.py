"""Property tests are bounded here, so that the whole folder stays a matter of seconds."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("unit", max_examples=40)
settings.load_profile("unit")
