"""What one turn of the reconcile loop ends with, and what is carried from one turn to the next."""

from __future__ import annotations

import msgspec

from crashcart.operations.base import Action
from crashcart.results import StepResult


class Finished(msgspec.Struct, frozen=True):
    """The step has its outcome."""

    result: StepResult


class Again(msgspec.Struct, frozen=True):
    """Nothing more to do now; the next turn is due in ``after`` seconds."""

    after: float


class Ready(msgspec.Struct, frozen=True):
    """An act is wanted, and the caller has not allowed acting yet."""

    action: Action


Turn = Finished | Again | Ready


class Wanted(msgspec.Struct, frozen=True):
    """An act that was chosen in the survey, and the dearer facts that it was chosen from."""

    action: Action
    looks: frozenset[str]


class Doubt(msgspec.Struct, frozen=True):
    """An act that may have happened, and when we began to look for it (monotonic seconds)."""

    action: Action
    since: float
    why: str
