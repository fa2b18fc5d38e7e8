"""What every command needs of its surroundings: the playbooks, the inventory, the state folder, the terminal."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from crashcart.clock import Clock, SystemClock
from crashcart.errors import BadInput
from crashcart.playbooks.library import Library

if TYPE_CHECKING:
    from crashcart.inventory import Inventory
    from crashcart.journal.owed import Marks
    from crashcart.targets import Selection


class House:
    """The surroundings of one command. What costs time to import is imported when first used."""

    def __init__(self, playbooks: Path | None, checkout: Path | None) -> None:
        self.library = Library(playbooks)
        self.checkout = checkout
        self.clock: Clock = SystemClock()

    @property
    def runs(self) -> Path:
        """The folder of all runs."""
        from crashcart.journal.folder import runs_folder

        return runs_folder(os.environ.get("CRASHCART_STATE"))

    @property
    def marks(self) -> Marks:
        """Where it is noted which runs may owe an undo."""
        from crashcart.journal.owed import Marks

        return Marks(self.runs.parent / "owed", self.runs)

    @property
    def interactive(self) -> bool:
        """Whether there is a person to ask: both ends are a terminal. A job may have none at all, or closed ones."""
        return all(end is not None and end.isatty() for end in (sys.stdin, sys.stderr))

    @property
    def actor(self) -> str:
        """Who runs this: the login behind sudo, or what a CI system says of its job."""
        from crashcart.cli.identity import actor

        return actor(os.environ)

    def inventory(self, explicit: str | None) -> Inventory:
        """Load the inventory: the one that is named or found, else the lab's own. Raises ``BadInput``."""
        from crashcart.inventory import find_inventory, load
        from crashcart.inventory.aws_source import aws_inventory
        from crashcart.lab.folder import inventory_path

        try:
            paths = find_inventory(explicit, os.environ, self.checkout, Path.cwd())
        except BadInput:
            # One that was named and is not there must never be answered with another one.
            if explicit or os.environ.get("CRASHCART_INVENTORY") or not inventory_path().exists():
                raise
            paths = [inventory_path()]
        return load(paths, sources={"lab": inventory_path, "aws": aws_inventory})

    def select(self, explicit: str | None, pattern: str) -> Selection:
        """Load the inventory and select from it. Raises ``BadInput`` and ``Refused``."""
        from crashcart.inventory import select

        return select(self.inventory(explicit), pattern)

    def ask(self, question: str) -> str:
        """Show a question on the terminal and return what is typed; Ctrl-C is an empty answer."""
        print(question, end="", file=sys.stderr, flush=True)
        # A run routes Ctrl-C to its engine, which would leave this read waiting.
        routed = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            return sys.stdin.readline()
        except KeyboardInterrupt:
            return ""
        finally:
            signal.signal(signal.SIGINT, routed)


def to_json(value: Any) -> str:
    """Write a value as indented JSON, secrets masked."""
    from crashcart.secrets import encode_secret

    raw = msgspec.json.encode(value, enc_hook=encode_secret)
    return msgspec.json.format(raw, indent=2).decode()
