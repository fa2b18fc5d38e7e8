"""The real command line against the emulator, in this process: parsed by Invoke, ended by an exit code; nobody waits."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from crashcart.cli import house
from crashcart.cli.program import main
from crashcart.lab.aws.account import KEYS, REGION, RESOURCES
from tests.emulator import Emulator, EmulatorClock

OFF_ITS_OWN = ("AWS_EC2_METADATA_DISABLED", "true")
"""Where this runs in a cloud, its own credentials must not be found."""


class Said(msgspec.Struct, frozen=True):
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The document of ``--output json``."""
        return json.loads(self.out)

    @property
    def run(self) -> str:
        """The id of the run that it was; they all begin at the same time, so that none is the last."""
        found = re.search(r"^run +(\S+)$", self.out, re.MULTILINE)
        assert found, self.all
        return found[1]

    @property
    def all(self) -> str:
        """Everything that a person sees."""
        return self.out + self.err


class Commands:
    """Runs commands with an inventory of the emulator's resources and a state folder of their own."""

    def __init__(
        self, emulator: Emulator, folder: Path, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]
    ) -> None:
        self.emulator, self.folder, self._patch, self._capture = emulator, folder, patch, capture
        self.inventory = folder / "hosts.yml"
        isolate(patch, folder)
        patch.setenv("CRASHCART_INVENTORY", str(self.inventory))
        patch.setenv("CRASHCART_STATE", str(folder / "state"))
        patch.setenv("NO_COLOR", "1")
        patch.chdir(folder)
        patch.setattr(house, "SystemClock", lambda: EmulatorClock(emulator))
        self.write()

    def write(self, resources: Mapping[str, Mapping[str, Mapping[str, Any]]] | None = None, **variables: Any) -> None:
        """Write the inventory: groups of resources with their variables, and the variables of all; None removes one.

        A group is called as the kind of its members, unless they have one of their own.
        """
        resources = resources or {kind: {name: {} for name in names} for kind, names in RESOURCES.items()}
        reached = {"aws_region": REGION, "aws_endpoint_url": self.emulator.url, **keys(), **variables}
        groups = {
            kind: {"hosts": {name: {"kind": kind, **own} for name, own in hosts.items()}}
            for kind, hosts in resources.items()
        }
        given = {name: value for name, value in reached.items() if value is not None}
        self.inventory.write_text(yaml.safe_dump({"all": {"vars": given, "children": groups}}))

    def __call__(self, *words: str) -> Said:
        """Run ``crashcart`` with these words."""
        self._patch.setattr(sys, "argv", ["crashcart", *words])
        self._capture.readouterr()
        try:
            main()
            code = 0
        except SystemExit as ended:
            code = int(ended.code or 0)
        found = self._capture.readouterr()
        return Said(code, found.out, found.err)


def keys() -> dict[str, str]:
    """The emulator's credentials as variables."""
    return {"aws_access_key_id": KEYS[0], "aws_secret_access_key": KEYS[1]}


def isolate(patch: pytest.MonkeyPatch, home: Path) -> None:
    """Let nothing of this machine's AWS configuration be found."""
    for name in [name for name in os.environ if name.startswith("AWS_") or name.lower().endswith("_proxy")]:
        patch.delenv(name)
    patch.setenv("HOME", str(home))
    patch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    patch.setenv(*OFF_ITS_OWN)
