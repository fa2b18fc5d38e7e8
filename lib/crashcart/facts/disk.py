"""How full a file system is, in bytes and inodes, and what fills it: one exec per look.

Seed rows S0-D9 (``df``), S0-R6 (what may be deleted, who holds deleted files open) and S0-R7 (temporary files); defects 9,
10 and 11. The plain look is two ``stat``; the dearer ones list candidates, or rank what is largest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from crashcart.errors import FactUnreadable
from crashcart.facts.disk_parse import parse
from crashcart.facts.disk_script import CANDIDATES, PLAIN
from crashcart.facts.disk_state import DiskState
from crashcart.transports.base import Command, CommandResult, Transport

__all__ = ["CANDIDATES_LOOK", "CROWDED_LOOK", "LARGEST_LOOK", "Scope", "literal", "observe", "parse", "read"]

CANDIDATES_LOOK = "candidates"
LARGEST_LOOK = "largest files"
CROWDED_LOOK = "crowded directories"

PLAIN_LIMIT = 15.0
"""Seconds for a plain look: the path itself may lie on a server that does not answer."""

SEARCH_LIMIT = 150.0
"""Seconds for a dearer look; each of its parts has its own limit of a few seconds."""

KEEP = 16 * 1024 * 1024
"""Bytes of output that are held: a list is cut at half a megabyte on the host, so this is never reached."""


class Scope(msgspec.Struct, frozen=True):
    """Where to look for what may be deleted. ``max_age`` is in seconds; without an owner no temporary file is listed."""

    max_age: float = 0.0
    log_dirs: tuple[str, ...] = ()
    temp_owner: str = ""
    temp_globs: tuple[tuple[str, str], ...] = ()
    live_logs: tuple[str, ...] = ()

    def words(self, looks: frozenset[str]) -> Iterator[str]:
        """Write the looks as the script's arguments. Named live logs are always looked at."""
        for path in self.live_logs:
            yield from ("live", path, literal(path))
        if CANDIDATES_LOOK in looks:
            yield "packages"
            for root in self.log_dirs:
                yield from ("logs", root)
            yield "journal"
            for root, glob in self.temp_globs:
                yield from ("temp", root, glob)
        if looks & {LARGEST_LOOK, CROWDED_LOOK}:
            yield "held"  # walks all processes, and is worth telling only when nothing is left to delete
        if LARGEST_LOOK in looks:
            yield "largest"
        if CROWDED_LOOK in looks:
            yield "crowded"


def observe(transport: Transport, path: str, scope: Scope, looks: frozenset[str] = frozenset()) -> DiskState:
    """Look once. Raises ``FactUnreadable`` and the transport's errors."""
    return read(transport.run(_command(path, scope, looks)), path)


def read(result: CommandResult, path: str) -> DiskState:
    """Read the state that a command printed. Raises ``FactUnreadable``."""
    if not result.ok:
        raise FactUnreadable(f"the file system of {path} cannot be looked at: {result.ending}")
    if result.stdout.cut:
        raise FactUnreadable(f"the file system of {path} holds more than one look can tell")
    return msgspec.structs.replace(parse(result.stdout.data), path=str(path))


def _command(path: str, scope: Scope, looks: frozenset[str]) -> Command:
    words = tuple(scope.words(looks))
    if not words:
        return Command(PLAIN, (path,), timeout=PLAIN_LIMIT)
    args = (path, str(int(scope.max_age)), scope.temp_owner, *words)
    return Command(CANDIDATES, args, timeout=SEARCH_LIMIT, keep=KEEP)


def literal(path: str) -> str:
    """Escape what ``find -lname`` takes for a pattern."""
    return re.sub(r"([][*?\\])", r"\\\1", path)
