"""What a run says of a disk: what was freed, what still fills it, and the most useful next command."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence

import msgspec

from crashcart.facts.disk_state import DiskState, HeldFile, LeftOut, Listing, Ranking, Stage
from crashcart.operations.base import Fail, Memory, NoGoal
from crashcart.operations.disk_acts import name_stage
from crashcart.operations.disk_live import left_logs
from crashcart.operations.disk_stages import lacks_bytes, lacks_inodes, stubborn
from crashcart.operations.disk_wish import TEMP_ROOTS, ReclaimWish, may_be_emptied
from crashcart.results import Evidence
from crashcart.values import format_size

NAMED = 3
"""Consumers and holders that the message itself names; all that are known are in the evidence."""

WORTH_A_RESTART = 0.01
"""Share of the file system that a deleted file must take before the restart of its holder is proposed."""

_IN_TEMP = tuple(f"{root}/" for root in TEMP_ROOTS)


def use(state: DiskState) -> str:
    """Say how full it is: ``43 % full, 12 % of inodes``."""
    inodes = f", {state.inode_percent} % of inodes" if state.inodes else ""
    return f"{state.percent} % full{inodes}"


def done(state: DiskState, memory: Memory[DiskState, NoGoal]) -> str:
    """Say why there is nothing to do, or what was freed."""
    if not memory.acted:
        return f"{state.place} is {use(state)}; nothing to free"
    failed = f"; could not delete: {'; '.join(state.failures)}" if state.failures else ""
    return f"{state.place}: {_course(state, memory)}{failed}"


class Aftermath(msgspec.Struct, frozen=True):
    """All that may be done is done, and it was not enough."""

    state: DiskState
    listing: Listing
    memory: Memory[DiskState, NoGoal]
    wish: ReclaimWish

    def fail(self) -> Fail:
        """Say what fills the disk, and what could be done about it."""
        return Fail("; ".join(self._message()), next(self._hints()), evidence=tuple(self._evidence()))

    @property
    def _held(self) -> list[HeldFile]:
        """Files, each with its first holder, the largest first."""
        by_inode = {file.inode: file for file in reversed(self.listing.held)}
        return sorted(by_inode.values(), key=lambda file: -file.size)

    def _message(self) -> Iterator[str]:
        yield f"{self.state.place} is {use(self.state)}, not below {self._target}"
        yield _course(self.state, self.memory) if self.memory.acted else "nothing that may be deleted"
        if self._held:
            total = format_size(sum(file.size for file in self._held))
            yield f"{total} in deleted files that are still open: {_first([_held_words(file) for file in self._held])}"
        for words, ranking, write in self._rankings():
            yield f"{words}: {_first([f'{write(one.amount)} {one.path}' for one in ranking.consumers]) or 'none found'}"
        stubborn_files = stubborn(self.state, self.listing, self.wish, self.memory.applied)
        if stubborn_files:
            counted = "1 file" if len(stubborn_files) == 1 else f"{len(stubborn_files)} files"
            yield f"{counted} could not be deleted: {_first([file.path for file in stubborn_files])}"
        worth_saying = [_left_words(left) for left in self.listing.left_out if left.matters]
        if worth_saying:
            yield f"left out: {_first(worth_saying)}"
        if not self.wish.tmp_owner:
            yield "temporary files are left out, --tmp-owner USER names whose may go"

    @property
    def _target(self) -> str:
        below = f"{self.wish.below:g} %" if lacks_bytes(self.state, self.wish) else ""
        inodes_below = f"{self.wish.inodes_below:g} % of inodes" if lacks_inodes(self.state, self.wish) else ""
        return " and ".join(filter(None, (below, inodes_below)))

    def _rankings(self) -> Iterator[tuple[str, Ranking, Callable[[float], str]]]:
        if self.state.largest:
            yield "largest files", self.state.largest, format_size
        if self.state.crowded:
            yield "directories with the most files", self.state.crowded, "{:.0f} in".format

    def _evidence(self) -> Iterator[Evidence]:
        for words, ranking, write in self._rankings():
            lines = [f"{write(one.amount)} {one.path}" for one in ranking.consumers]
            if not ranking.complete:
                lines.append("the search was cut short: there may be larger ones")
            yield Evidence(words, lines=tuple(lines))
        if self.listing.held:
            yield Evidence("deleted files that are still open", lines=tuple(map(_held_words, self.listing.held)))
        left = [*self._left_out(), *left_logs(self.state, self.memory.applied)]
        if left:
            yield Evidence("left out", lines=tuple(left))

    def _left_out(self) -> Iterator[str]:
        yield from map(_left_words, self.listing.left_out)
        if not self.wish.tmp_owner:
            yield f"{Stage.TEMP}: --tmp-owner USER names the user whose temporary files may go"

    def _hints(self) -> Iterator[str]:
        """Propose what frees the most first."""
        held = next(iter(self._held), None)
        if held and held.size >= WORTH_A_RESTART * self.state.size:
            yield _restart_hint(held)
        paths = [consumer.path for consumer in self.state.largest.consumers] if self.state.largest else []
        log = next((path for path in paths if may_be_emptied(path, self.wish)), None)
        again = f"inv recover.disk-space --path {shlex.quote(self.state.path)}"
        if log:
            yield f"{again} --truncate-open {log} --hosts ..."
        if not self.wish.tmp_owner and any(path.startswith(_IN_TEMP) for path in paths):
            yield f"{again} --tmp-owner USER --hosts ..."
        yield "the evidence names what is largest and what was left out; --log-dirs adds directories of rotated logs"


def _course(state: DiskState, memory: Memory[DiskState, NoGoal]) -> str:
    pin = memory.pin
    inodes = f", inodes {pin.inode_percent} % -> {state.inode_percent} %" if state.inodes else ""
    stages = dict.fromkeys(key.partition(":")[0] for key in memory.applied)
    what = ", ".join(name_stage(Stage(stage)) for stage in stages)
    return f"{pin.percent} % -> {state.percent} % full{inodes}; freed {_freed(pin, state)}: {what}"


def _freed(pin: DiskState, state: DiskState) -> str:
    """Say by how much use fell; others may have written meanwhile."""
    size, inodes = max(0, pin.used - state.used), max(0, pin.inodes_used - state.inodes_used)
    counted = f" and {inodes} {'inode' if inodes == 1 else 'inodes'}" if state.inodes else ""
    return format_size(size) + counted


def _left_words(left: LeftOut) -> str:
    return f"{left.stage}: {left.root}: {left.why}" if left.root else f"{left.stage}: {left.why}"


def _held_words(file: HeldFile) -> str:
    return f"{format_size(file.size)} {file.path} by {file.holder}"


def _restart_hint(held: HeldFile) -> str:
    if held.unit:
        return f"inv recover.service-restart --unit {shlex.quote(held.unit)} --force --hosts ..."
    return f"end or restart {held.holder}, which is no service of systemd's, and the space comes free"


def _first(words: Sequence[str]) -> str:
    more = f" and {len(words) - NAMED} more" if len(words) > NAMED else ""
    return ", ".join(words[:NAMED]) + more
