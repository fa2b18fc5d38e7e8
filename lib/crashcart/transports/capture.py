"""What comes back from a command: both streams bounded, freed of what was written before the script began."""

from __future__ import annotations

import re

import msgspec

from crashcart.transports.base import Command, CommandResult, Output
from crashcart.transports.bounded import BoundedBuffer

_PREAMBLE_LIMIT = 64 * 1024
_TIMED_OUT = frozenset({124, 137})


class Ending(msgspec.Struct, frozen=True):
    """How the outermost process ended: with a status, or by a signal such as ``SIGKILL``."""

    status: int | None = None
    signal: str | None = None


class MarkedStream:
    """A stream whose content begins after its marker line; what comes before is the preamble."""

    def __init__(self, marker: re.Pattern[bytes], keep: int) -> None:
        self._marker = marker
        self._body = BoundedBuffer(keep)
        self.preamble = b""
        self.mark: re.Match[bytes] | None = None

    def feed(self, data: bytes) -> None:
        """Take the next piece of the stream."""
        if self.mark is not None:
            self._body.feed(data)
            return
        self.preamble += data
        self.mark = self._marker.search(self.preamble)
        if self.mark is not None:
            self._body.feed(self.preamble[self.mark.end() :])
            self.preamble = self.preamble[: self.mark.start()]
        # Not one byte more is kept than a marker and a message of sudo need, however long the host talks.
        self.preamble = self.preamble[-_PREAMBLE_LIMIT:]

    def result(self) -> Output:
        """Return what is kept of the content."""
        return self._body.result()


class Capture:
    """Both output streams of one command, and what its markers told."""

    def __init__(self, command: Command, token: str) -> None:
        self._command = command
        self.out = MarkedStream(re.compile(token.encode() + rb"\r?\n"), command.keep)
        self.err = MarkedStream(re.compile(token.encode() + rb" (\d+)\r?\n"), command.keep)

    @property
    def group(self) -> int | None:
        """The process group on the host, once the script has begun."""
        return int(self.err.mark[1]) if self.err.mark else None

    @property
    def complaint(self) -> str:
        """What was written to stderr before the script began: the words of a login shell or of sudo."""
        return self.err.preamble.decode(errors="replace").strip()

    def result(self, ending: Ending, duration: float) -> CommandResult:
        """Return how the command ended; ``duration`` is in seconds.

        A time-out is told by the status that ``timeout`` gives (124, or 137 when it had to kill) *and* by the time that
        has passed: a script may end with these numbers by itself.
        """
        late = duration >= self._command.timeout
        return CommandResult(
            status=ending.status,
            signal=ending.signal,
            timed_out=late and (ending.status in _TIMED_OUT or ending.signal == "SIGKILL"),
            stdout=self.out.result(),
            stderr=self.err.result(),
            duration=duration,
        )
