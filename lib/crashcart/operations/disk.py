"""``disk.reclaim`` frees space by deleting what does the least harm, ``disk.assess`` says how full a disk is.

Seed rows S0-R6, S0-R7 and S0-D9, defects 9, 10 and 11 of MISSION.md. The order: downloaded packages, rotated logs, archived
journal, temporary files, and named live logs; each stage only as long as the target is not reached (``disk_stages``).
"""

from __future__ import annotations

import hashlib
import shlex

from crashcart.errors import FactUnreadable
from crashcart.facts import disk
from crashcart.facts.disk import CANDIDATES_LOOK, CROWDED_LOOK, LARGEST_LOOK, Scope
from crashcart.facts.disk_state import DiskState, Found, Listing
from crashcart.operations.base import (
    Act,
    Action,
    Decision,
    Done,
    Effect,
    Fail,
    HostOperation,
    Look,
    Memory,
    NoGoal,
    Refuse,
    Unknown,
)
from crashcart.operations.disk_acts import Scene, delete_action, empty_action, is_emptied, tail_of
from crashcart.operations.disk_live import next_log
from crashcart.operations.disk_report import Aftermath, done, use
from crashcart.operations.disk_stages import lacks_bytes, lacks_inodes, next_group
from crashcart.operations.disk_wish import AssessWish, ReclaimWish
from crashcart.results import Verdict
from crashcart.transports.base import Command, CommandResult, Transport

__all__ = ["AssessDisk", "AssessWish", "ReclaimDisk", "ReclaimWish"]


class ReclaimDisk(HostOperation[ReclaimWish, DiskState, NoGoal]):
    """Brings a file system below its thresholds (MISSION S0-R6, S0-R7).

    Refuses a path that is no directory on the host. Before that, as bad input: a path in one of the system's trees, logs
    and temporary files outside the places where such files live, and audit, login, database and container files
    anywhere. It fails where nothing is left that may go, and names the largest consumers then. What was deleted is gone:
    there is no undo.
    """

    name = "disk.reclaim"
    rechecks_cheaply = True
    wish, state, goal_type = ReclaimWish, DiskState, NoGoal

    def observe(self, transport: Transport, wish: ReclaimWish, looks: frozenset[str]) -> DiskState:
        """Look at use, and at candidates or consumers if asked. Raises ``FactUnreadable`` and the transport's errors."""
        return disk.observe(transport, wish.path, wish.scope, looks)

    def goal(self, pin: DiskState, wish: ReclaimWish) -> NoGoal:
        """There is none: percentages are absolute."""
        return NoGoal()

    def decide(self, state: DiskState, memory: Memory[DiskState, NoGoal], wish: ReclaimWish) -> Decision:
        """Free the next group of files while a threshold is not met; fail when nothing is left that may go."""
        if state.found is not Found.DIRECTORY:
            return _no_directory(state)
        if not lacks_bytes(state, wish) and not lacks_inodes(state, wish):
            return Done(done(state, memory))
        if state.read_only:
            return Fail(f"{state.place} is {use(state)}, and cannot be written: nothing can be deleted", _why_read_only())
        if not state.gnu_find:
            return Fail("find on this host is not GNU find, and no other is trusted to delete", "install findutils there")
        if state.listing is None:
            return Look(CANDIDATES_LOOK)
        return self._reclaim(state, state.listing, memory, wish)

    def _reclaim(self, state: DiskState, listing: Listing, memory: Memory[DiskState, NoGoal], wish: ReclaimWish) -> Decision:
        scene = Scene(state, listing, wish, memory.applied, self.token(state))
        group = next_group(state, listing, wish, memory.applied)
        if group:
            return Act(delete_action(group, scene))
        live = next_log(state, memory.applied) if lacks_bytes(state, wish) else None
        if live:
            return Act(empty_action(*live, scene))
        if lacks_bytes(state, wish) and state.largest is None:
            return Look(LARGEST_LOOK)
        if lacks_inodes(state, wish) and state.crowded is None:
            return Look(CROWDED_LOOK)
        return Aftermath(state, listing, memory, wish).fail()

    def still_holds(self, state: DiskState, action: Action, wish: ReclaimWish) -> bool:
        """Tell whether there is still something to free; the act checks each file's name, age and number again itself."""
        return state.found is Found.DIRECTORY and (lacks_bytes(state, wish) or lacks_inodes(state, wish))

    def token(self, state: DiskState) -> str:
        """Name the files that an act was chosen from; without a list of them, how full the disk is.

        The numbers of use change all the time on a busy host, so an act on the list does not depend on them.
        """
        if state.listing is None:
            return f"{state.device}:{state.used}:{state.inodes_used}"
        files = sorted((file.stage.value, file.inode) for file in state.listing.candidates)
        logs = [log.inode for log in state.live]
        return f"{state.device}:{hashlib.sha256(repr((files, logs)).encode()).hexdigest()[:16]}"

    def effect_seen(self, state: DiskState, action: Action) -> bool:
        """See that a log was emptied by its length. Deleting needs no proof: it is decided anew."""
        return action.effect is Effect.DESTROY and is_emptied(state, action.key)

    def evidence(self, action: Action, wish: ReclaimWish) -> Command | None:
        """Keep the end of a log that is to be emptied."""
        return tail_of(action) if action.effect is Effect.DESTROY else None

    def needs_consent(self, wish: ReclaimWish) -> str:
        """Say which logs may lose their content."""
        return f"may empty {', '.join(wish.truncate_open)}: all but the last 256 KiB is lost" if wish.truncate_open else ""

    def seen(self, result: CommandResult, wish: ReclaimWish) -> DiskState | None:
        """Read the plain look that ends each act's script."""
        try:
            return disk.read(result, wish.path)
        except FactUnreadable:
            return None


class AssessDisk(HostOperation[AssessWish, DiskState, NoGoal]):
    """Says whether a file system is healthy, degraded or down (MISSION S0-D9); changes nothing."""

    name = "disk.assess"
    reads_only = True
    wish, state, goal_type = AssessWish, DiskState, NoGoal

    def observe(self, transport: Transport, wish: AssessWish, looks: frozenset[str]) -> DiskState:
        """Look at use. Raises ``FactUnreadable`` and the transport's errors."""
        return disk.observe(transport, wish.path, Scope())

    def goal(self, pin: DiskState, wish: AssessWish) -> NoGoal:
        """There is none."""
        return NoGoal()

    def decide(self, state: DiskState, memory: Memory[DiskState, NoGoal], wish: AssessWish) -> Decision:
        """Judge by the fuller of bytes and inodes; a file system that cannot be written is down."""
        if state.found is not Found.DIRECTORY:
            return _no_directory(state)
        if not state.size:
            return Unknown(f"{state.place} ({state.kind}) does not say how large it is")
        if state.read_only:
            return Fail(f"{state.place} cannot be written; {use(state)}", _why_read_only(), Verdict.DOWN)
        worst = max(state.percent, state.inode_percent)
        if worst <= wish.degraded_above:
            return Done(f"{state.place} is {use(state)}", Verdict.HEALTHY)
        is_down = worst > wish.down_above
        limit = f"down above {wish.down_above:g} %" if is_down else f"degraded above {wish.degraded_above:g} %"
        what = f"{worst} % of inodes used" if worst > state.percent else f"{worst} % full"
        hint = f"inv recover.disk-space --path {shlex.quote(state.path)} --hosts ..."
        return Fail(f"{state.place}: {what}, {limit}", hint, Verdict.DOWN if is_down else Verdict.DEGRADED)


def _no_directory(state: DiskState) -> Refuse:
    what = "does not exist on this host" if state.found is Found.MISSING else "is not a directory"
    return Refuse(f"{state.path} {what}", "--path takes a mount point or a directory on the file system, such as / or /var")


def _why_read_only() -> str:
    return "the kernel log says why it is read-only (journalctl -k); after an error it needs fsck, then a mount for writing"
