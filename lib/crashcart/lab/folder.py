"""The lab's folder: keys, known_hosts and the generated inventory of one lab, readable by its owner only."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import platformdirs

from crashcart.errors import BadInput, LabError

DEFAULT_NAME = "lab"
LOCK_WAIT = 180.0


class Folder(msgspec.Struct, frozen=True):
    """Where a lab keeps its files. Nothing here says whether a host runs: only container labels do."""

    name: str
    path: Path

    @property
    def client_key(self) -> Path:
        """The private key that logs in to every host of the lab."""
        return self.path / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        """The host keys of the hosts that run, by address and port."""
        return self.path / "known_hosts"

    @property
    def inventory(self) -> Path:
        """The generated Ansible inventory."""
        return self.path / "inventory.yml"

    @property
    def aws(self) -> Path:
        """What the AWS emulator writes: where it is, its requests, its log."""
        return self.path / "aws"

    def host_key(self, host: str) -> Path:
        """The private host key of one host; kept from one life of the host to the next."""
        return self.path / "host_keys" / host

    def write(self, path: Path, content: bytes) -> None:
        """Write a file of this folder in one step: a reader sees the old one or the new one."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.new")
        with open(draft, "wb", opener=_owner_only) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)

    @contextmanager
    def locked(self, progress: Callable[[str], None]) -> Iterator[int]:
        """Hold the lab for one change at a time and yield the lock's file descriptor."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path.chmod(0o700)
        with open(self.path / "lock", "wb", opener=_owner_only) as lock:
            _wait_for(lock.fileno(), self.name, progress)
            yield lock.fileno()

    @contextmanager
    def workshop(self) -> Iterator[Path]:
        """Yield a folder for half-made files, removed at the end; what a killed run left of its own goes first."""
        for left in self.path.glob("workshop-*"):
            shutil.rmtree(left, ignore_errors=True)
        with TemporaryDirectory(prefix="workshop-", dir=self.path, ignore_cleanup_errors=True) as path:
            yield Path(path)


def open_folder(name: str | None = None) -> Folder:
    """Return the folder of the named lab, else of the one that ``CRASHCART_LAB`` names, else of ``lab``."""
    name = name or os.environ.get("CRASHCART_LAB") or DEFAULT_NAME
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,31}", name):
        raise BadInput(f"{name!r} cannot name a lab", hint="use a-z, 0-9, - and _, at most 32, a letter or digit first")
    return Folder(name, platformdirs.user_data_path("crashcart", appauthor=False) / name)


def inventory_path(name: str | None = None) -> Path:
    """Return where the inventory of a lab is or will be; ``Lab.up`` and ``Lab.down`` write it."""
    return open_folder(name).inventory


def _owner_only(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _wait_for(lock: int, name: str, progress: Callable[[str], None]) -> None:
    deadline = time.monotonic() + LOCK_WAIT
    told = False
    while True:
        with suppress(BlockingIOError):
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if time.monotonic() > deadline:
            waited = f"for {LOCK_WAIT:.0f} s"
            raise LabError(f"another command has been changing lab {name!r} {waited}", hint="wait for it, or end it")
        if not told:
            progress(f"another command is changing lab {name!r}; waiting for it")
            told = True
        time.sleep(0.2)
