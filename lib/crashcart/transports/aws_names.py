"""Under which names AWS's own records show what a run does."""

from __future__ import annotations

import re

import msgspec

_NOT_ALLOWED = re.compile(r"[^\w+=,.@-]", re.ASCII)
_LONGEST, _SHORTEST = 64, 2


class Identity(msgspec.Struct, frozen=True):
    """What CloudTrail shows of a run: the name of an assumed role's session, and the run's id in the user agent."""

    session_name: str = "crashcart"
    run: str = ""

    @property
    def user_agent(self) -> str:
        """What is added to the user agent of each request."""
        return f"crashcart/{allowed(self.run) or 'none'}"


def session_name(actor: str, run: str) -> str:
    """Return the RoleSessionName of a run: ``<actor>-<run id>``. Of a long one the actor is cut, not the run id."""
    tail = allowed(f"-{run}")[-(_LONGEST // 2) :]
    return (allowed(actor)[: _LONGEST - len(tail)] + tail).ljust(_SHORTEST, "-")


def allowed(text: str) -> str:
    """Return a text with everything that AWS does not allow in a session's name replaced by ``-``."""
    return _NOT_ALLOWED.sub("-", text)
