"""The library: the shipped playbooks and a checkout's own, by name. The folder is the namespace."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from crashcart.errors import BadInput, nearest
from crashcart.playbooks.heads import Head, read_head

if TYPE_CHECKING:
    from crashcart.playbooks.schema import Drill, Playbook

_PACKAGED = Path(__file__).parent.parent / "shipped"
SHIPPED = _PACKAGED if _PACKAGED.is_dir() else Path(__file__).parents[3] / "playbooks"
"""Where a wheel keeps the playbooks; an editable install reads those of its checkout."""


class Entry(msgspec.Struct, frozen=True):
    """A playbook file by its name (``recover.disk-space``); ``overrides`` is the shipped file that it replaces."""

    name: str
    file: Path
    overrides: Path | None = None

    @property
    def note(self) -> str:
        """What to say when a shipped playbook is replaced by one that differs, or nothing."""
        if self.overrides is None or self.overrides.read_bytes() == self.file.read_bytes():
            return ""
        return f"{self.name} is {self.file}, which overrides the shipped one"


class Library:
    """All playbooks that can be run here. Files are read when first asked for."""

    def __init__(self, own: Path | None) -> None:
        self.own = own
        self._read: dict[str, Playbook | Drill] = {}

    @cached_property
    def entries(self) -> Mapping[str, Entry]:
        """Every playbook and drill by name, in alphabetical order."""
        shipped = _scan(SHIPPED)
        own = _scan(self.own) if self.own else {}
        found = {name: Entry(name, file) for name, file in shipped.items()}
        found |= {name: Entry(name, file, shipped.get(name)) for name, file in own.items()}
        return dict(sorted(found.items()))

    def head(self, name: str) -> Head:
        """Return what a list of commands shows of a playbook or drill."""
        return read_head(self.entries[name].file)

    def get(self, name: str) -> Playbook | Drill:
        """Return the playbook or drill of that name. Raises ``BadInput``."""
        if name not in self.entries:
            raise BadInput(f"there is no playbook {name!r}", hint=nearest(name, self.entries) or "inv --list shows them")
        from crashcart.playbooks.load import load_document  # noqa: PLC0415 -- a list of commands needs heads only

        if name not in self._read:
            self._read[name] = load_document(self.entries[name].file, name)
        return self._read[name]

    def playbook(self, name: str) -> Playbook:
        """Return a playbook. Raises ``BadInput`` when the name is a drill's, too."""
        from crashcart.playbooks.schema import Playbook  # noqa: PLC0415

        found = self.get(name)
        if isinstance(found, Playbook):
            return found
        raise BadInput(f"{name} is a drill, not a playbook")


def _scan(folder: Path) -> dict[str, Path]:
    """Find ``group/name.yml`` files: the command is ``group.name``."""
    files = sorted(folder.glob("*/*.yml"))
    return {f"{file.parent.name}.{file.stem}": file for file in files if not file.name.startswith(".")}
