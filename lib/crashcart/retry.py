"""Patience: how often an act is tried and how long to wait in between. tenacity computes, the clock is ours."""

from __future__ import annotations

import msgspec
from tenacity import RetryCallState, Retrying, stop_after_attempt, stop_after_delay, stop_any, wait_random_exponential

_UNUSED = Retrying()
"""A ``RetryCallState`` demands its owner; ours never calls anything."""


class Patience(msgspec.Struct, frozen=True):
    """At most ``attempts`` tries of one act within ``deadline`` seconds, pauses growing up to ``longest`` seconds."""

    attempts: int = 3
    deadline: float = 300.0
    first: float = 0.5
    longest: float = 10.0

    def exhausted(self, tries: int, elapsed: float) -> bool:
        """Tell whether another try would be one too many, or too late."""
        stop = stop_any(stop_after_attempt(self.attempts), stop_after_delay(self.deadline))
        return bool(stop(_state(tries, elapsed)))

    def pause(self, tries: int) -> float:
        """Return the seconds to wait after so many tries, with jitter so that a fleet does not knock in step."""
        wait = wait_random_exponential(multiplier=self.first, max=self.longest)
        return self.first + float(wait(_state(tries, 0.0)))


def _state(tries: int, elapsed: float) -> RetryCallState:
    state = RetryCallState(_UNUSED, fn=None, args=(), kwargs={})
    state.attempt_number = max(1, tries)
    state.start_time, state.outcome_timestamp = 0.0, elapsed
    return state
