"""Which live logs may be emptied while they are open, and through whom.

A writer that appends goes on at the new end; any other goes on where it was, which leaves a hole of the old length. A
process that has the file mapped is killed when it touches what is gone (SIGBUS).
"""

from __future__ import annotations

from collections.abc import Sequence

from crashcart.facts.disk_state import DiskState, Holder, LiveLog, Stage
from crashcart.operations.disk_acts import live_key


def next_log(state: DiskState, applied: Sequence[str]) -> tuple[LiveLog, Holder] | None:
    """Return the first named log that may be emptied and was not by this run, with the writer to go through."""
    for log in state.live:
        if log.size and not trouble_with(log, state, applied):
            return log, next(holder for holder in log.holders if holder.writes)
    return None


def trouble_with(log: LiveLog, state: DiskState, applied: Sequence[str]) -> str:
    """Say why a named log is not emptied, or nothing."""
    if log.trouble:
        return log.trouble
    if any(key.startswith(live_key(log)) for key in applied):
        return "this run has emptied it once already: who fills it must be stopped first"
    if log.device != state.device:
        return "it is on another file system"
    if log.links != 1:
        return f"it has {log.links} names, and what they hold would be lost"
    if log.mapped:
        return "a process has it mapped into its memory"
    return _trouble_with_writers([holder for holder in log.holders if holder.writes])


def _trouble_with_writers(writers: Sequence[Holder]) -> str:
    if not writers:
        return "nobody has it open for writing"
    for writer in writers:
        if not writer.appends:
            return f"{writer.command} (pid {writer.pid}) does not append: it would go on behind a hole of the same length"
    return ""


def left_logs(state: DiskState, applied: Sequence[str]) -> list[str]:
    """Say of each named log that is not emptied why."""
    troubles = ((log.path, trouble_with(log, state, applied)) for log in state.live)
    return [f"{Stage.LIVE}: {path}: {trouble}" for path, trouble in troubles if trouble]
