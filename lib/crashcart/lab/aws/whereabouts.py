"""Where the emulator's process is: a file that it writes once it serves. The file may be stale; only an answer counts."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import msgspec

from crashcart.decoding import from_json

ADDRESS = "127.0.0.1"
_NAME = "emulator.json"


class Whereabouts(msgspec.Struct, frozen=True):
    """A process and the port that it listens on."""

    pid: int
    port: int

    @property
    def url(self) -> str:
        """What AWS clients take as their endpoint."""
        return f"http://{ADDRESS}:{self.port}"


def publish(state: Path, where: Whereabouts) -> None:
    """Say where the emulator is, in one step."""
    draft = state / f".{_NAME}.{os.getpid()}"
    draft.write_bytes(msgspec.json.encode(where))
    draft.replace(state / _NAME)


def find(state: Path) -> Whereabouts | None:
    """Return what the file says, or None."""
    with suppress(OSError, msgspec.MsgspecError):
        return from_json((state / _NAME).read_bytes(), Whereabouts)
    return None


def forget(state: Path) -> None:
    """Remove the file."""
    (state / _NAME).unlink(missing_ok=True)
