"""Which files go, in which order: stages by the harm they do, bounded groups in a stage, the oldest first.

A whole group goes at a time, and then the target is looked at again: fewer round trips, and room to breathe, at the price
that a few files more than needed may go. What stays is decided here and in the predicates of ``facts.disk_script``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import msgspec

from crashcart.facts.disk_state import Candidate, DiskState, Listing, Stage
from crashcart.operations.disk_wish import ReclaimWish

GROUP = 2500
"""Files per act: their inode numbers must fit into one command line (128 KiB, up to 21 bytes each)."""

TRIES = 2
"""Times that the same group is tried: once more, because an act whose answer was lost counts as applied."""

BYTES_ONLY = frozenset({Stage.JOURNAL, Stage.LIVE})
"""Stages that give back hardly an inode: not worth their harm when only inodes are short."""


class Group(msgspec.Struct, frozen=True):
    """Files of one stage that one act deletes."""

    stage: Stage
    files: tuple[Candidate, ...]

    @property
    def size(self) -> int:
        """Bytes that the files take on the disk."""
        return sum(file.size for file in self.files)

    @property
    def key(self) -> str:
        """Name the group by its stage and exactly these inodes."""
        numbers = sorted(file.inode for file in self.files)
        return f"{self.stage}:{hashlib.sha256(repr(numbers).encode()).hexdigest()[:16]}"

    @property
    def roots(self) -> tuple[str, ...]:
        """The directories that the files were found in."""
        return tuple(dict.fromkeys(file.root for file in self.files))


def lacks_bytes(state: DiskState, wish: ReclaimWish) -> bool:
    """Whether bytes are used at or above the threshold."""
    return state.percent >= wish.below


def lacks_inodes(state: DiskState, wish: ReclaimWish) -> bool:
    """Whether inodes are used at or above the threshold; never where they are not counted."""
    return state.inodes > 0 and state.inode_percent >= wish.inodes_below


def next_group(state: DiskState, listing: Listing, wish: ReclaimWish, applied: Sequence[str]) -> Group | None:
    """Return the group whose turn it is: the least harmful one that has not been tried in vain."""
    return next((group for group in _groups(state, listing, wish) if tried(group, applied) < TRIES), None)


def tried(group: Group, applied: Sequence[str]) -> int:
    """Count the acts of this run on exactly this group."""
    return sum(1 for key in applied if key.partition("#")[0] == group.key)


def stubborn(state: DiskState, listing: Listing, wish: ReclaimWish, applied: Sequence[str]) -> tuple[Candidate, ...]:
    """Return the files that are still there although acts tried to delete them."""
    groups = _groups(state, listing, wish)
    return tuple(file for group in groups if tried(group, applied) >= TRIES for file in group.files)


def old_journals(listing: Listing, wish: ReclaimWish) -> tuple[Candidate, ...]:
    """Return the archived journal files that may go: all entries before the incident window, ``journal_keep`` left.

    A file whose last entry is not known stays.
    """
    archived = listing.of(Stage.JOURNAL)
    left = sum(file.size for file in archived) + listing.active_journal
    going: list[Candidate] = []
    for file in sorted(archived, key=_age):
        is_old = file.last_entry is not None and file.last_entry < listing.now - wish.incident_window
        if is_old and left - file.size >= wish.journal_keep:
            going.append(file)
            left -= file.size
    return tuple(going)


def _groups(state: DiskState, listing: Listing, wish: ReclaimWish) -> Iterator[Group]:
    for stage in (Stage.PACKAGES, Stage.LOGS, Stage.JOURNAL, Stage.TEMP):
        if stage in BYTES_ONLY and not lacks_bytes(state, wish):
            continue
        files = old_journals(listing, wish) if stage is Stage.JOURNAL else listing.of(stage)
        unique = {(file.root, file.inode): file for file in files}
        oldest_first = sorted(unique.values(), key=_age)
        for start in range(0, len(oldest_first), GROUP):
            yield Group(stage, tuple(oldest_first[start : start + GROUP]))


def _age(file: Candidate) -> tuple[float, str]:
    return (file.modified if file.last_entry is None else file.last_entry, file.name)
