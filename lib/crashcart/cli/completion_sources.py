"""What can be completed here: commands with their flags, groups and targets, runs, faults. Nothing here asks a network.

Each answer is kept until a file that it was made from changes: Invoke alone takes longer to import than a Tab may.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

from crashcart.cli.completion_cache import Cache
from crashcart.cli.completion_commands import Command, Frame, ask_invoke, read_library, read_playbook
from crashcart.cli.completion_names import ENVIRONMENT, Names, read_names

OUR_MARK = "crashcart"
"""What a tasks.py that offers our commands mentions."""


class Sources:
    """What is known in one folder, for one program: ``inv`` takes the nearest tasks.py above, ``crashcart`` the one here."""

    def __init__(self, program: str, cwd: Path, cache: Cache | None = None) -> None:
        self._program, self._cwd, self._cache = program, cwd, cache or Cache()
        self._just_read: dict[str, Command] = {}

    @cached_property
    def checkout(self) -> Path | None:
        """The folder whose tasks.py offers our commands, if there is one."""
        places = [self._cwd] if self._program == "crashcart" else [self._cwd, *self._cwd.parents]
        found = next((place for place in places if (place / "tasks.py").is_file()), None)
        if found is None or self._program == "crashcart":
            return found if found and (found / "playbooks").is_dir() else None
        return found if OUR_MARK in (found / "tasks.py").read_text(errors="replace") else None

    @property
    def is_ours(self) -> bool:
        """Whether the program has our commands in this folder."""
        return self._program == "crashcart" or self.checkout is not None

    @cached_property
    def commands(self) -> dict[str, Command]:
        """All commands by name; the program's own flags are those of the command without a name."""
        here = (self._program, str(self.checkout), sys.version, __file__)
        frame = self._cache.get(("frame", *here), Frame, self._read_frame)
        if not frame.has_library:
            return frame.commands
        files = self._cache.get(("library", str(frame.own), *here), dict[str, str], lambda: read_library(frame.own))
        playbooks = self._cache.get_each(("playbooks", *here), frame.made, files.values(), Command, self._read_playbook)
        return dict(sorted({**frame.commands, **{name: playbooks[file] for name, file in files.items()}}.items()))

    def _read_frame(self) -> tuple[Frame, Iterable[Path]]:
        asked = ask_invoke(self._program, self.checkout)
        self._just_read = asked.playbooks
        return asked.frame, asked.watched

    def _read_playbook(self, file: Path) -> Command:
        return self._just_read.get(str(file)) or read_playbook(file)

    def names(self, inventory: str | None) -> Names:
        """Return the groups and targets of an inventory, the one that a run would take unless it is named."""
        environment = (os.environ.get(name, "") for name in ENVIRONMENT)
        question = ("names", str(inventory), str(self.checkout), str(self._cwd), sys.version, __file__, *environment)
        return self._cache.get(question, Names, lambda: read_names(inventory, self.checkout, self._cwd))

    def runs(self) -> list[str]:
        """Return the ids of all runs, the newest first."""
        from crashcart.journal.folder import run_ids, runs_folder

        return run_ids(runs_folder(os.environ.get("CRASHCART_STATE")))[::-1]

    def faults(self) -> dict[str, str]:
        """Return the faults that can be put into the lab's AWS, each with what it does."""
        return self._cache.get(("faults", sys.version, __file__), dict[str, str], _read_faults)


def _read_faults() -> tuple[dict[str, str], Iterable[Path]]:
    from crashcart.lab.aws import faults

    return {name: fault.summary for name, fault in faults.AWS_FAULTS.items()}, [Path(faults.__file__)]
