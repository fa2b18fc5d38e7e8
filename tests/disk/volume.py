"""A small real ext4 file system that is ``/var`` to whatever runs in a mount namespace of its own, and nowhere else."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from crashcart.transports.base import Command, CommandResult, HttpReply, Output

DAY = 86400.0
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PYTHON = 'exec "$3" -c "$1" "$2"'
"""A script for ``running``: a program, its argument, and the interpreter for it."""

_OURS = 'mount -o loop -- "$1" /var && mount -t tmpfs -o size=1m none /srv && echo ready && exec cat'


class NotMounted(Exception):
    """This machine does not let us mount."""


class Volume:
    """The file system, from outside (``path``) and from inside (``run``, which is the transport seam)."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.commands: list[Command] = []
        self.root = Path(f"/proc/{pid}/root")

    def run(self, command: Command) -> CommandResult:
        """Run a script as a host would: its own process group, a time limit, no terminal, LC_ALL=C."""
        self.commands.append(command)
        limit = ["timeout", "-k", "1", str(command.timeout), "sh", "-c", command.script, "sh"]
        done = self.inside(*limit, *command.args, check=False)
        late = done.returncode in {124, 137}
        status = None if late else done.returncode
        return CommandResult(status, None, late, Output(head=done.stdout), Output(head=done.stderr))

    def fetch(self, url: str, timeout: float) -> HttpReply:
        raise AssertionError(url)

    def cancel(self) -> None:
        """Nothing runs on its own here."""

    def close(self) -> None:
        """There is no session."""

    def inside(self, *words: str | bytes, check: bool = True) -> subprocess.CompletedProcess[bytes]:
        """Run a program in the namespace."""
        return subprocess.run(self._enter(words), check=check, capture_output=True, stdin=subprocess.DEVNULL, timeout=200)

    @contextmanager
    def running(self, script: str, *args: str) -> Iterator[int]:
        """Run a script in the namespace that says ``ready`` and then waits; yields its process id."""
        process = subprocess.Popen(
            self._enter(("sh", "-c", script, "sh", *args)), stdout=subprocess.PIPE, stdin=subprocess.PIPE
        )
        try:
            assert process.stdout
            assert process.stdout.readline() == b"ready\n"
            yield process.pid
        finally:
            process.kill()
            process.communicate(timeout=10)

    def path(self, inner: str | bytes) -> bytes:
        """Where a path of the namespace is for this process; links on the way would lead to our own root, not to its."""
        return os.fsencode(self.root) + os.fsencode(inner)

    def put(self, inner: str | bytes, size: int = 4096, age: float = 0.0) -> bytes:
        """Make a file of that size whose mtime is ``age`` days ago; returns its path for this process."""
        path = self.path(inner)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            if size:
                os.posix_fallocate(file.fileno(), 0, size)
        self.age(path, age)
        return path

    def age(self, path: bytes, days: float) -> None:
        """Set a file's mtime."""
        then = os.stat(path, follow_symlinks=False).st_ctime - days * DAY
        os.utime(path, (then, then), follow_symlinks=False)

    def exists(self, inner: str | bytes) -> bool:
        """Whether something is there, be it a dangling link."""
        return os.path.lexists(self.path(inner))

    def fill(self, inner: str = "/var/lib/filler", *, leave: int = 0) -> None:
        """Take all bytes that are left, but for so many."""
        path = self.put(inner, 0)
        with open(path, "r+b") as file:
            for step in (1 << 22, 1 << 19, 1 << 16, 1 << 12):
                self._grow(file.fileno(), step, leave)

    def fill_inodes(self, inner: str = "/var/lib/many") -> None:
        """Take all inodes that are left."""
        directory = self.path(inner)
        os.makedirs(directory, exist_ok=True)
        for number in range(100_000):
            try:
                os.close(os.open(directory + b"/%d" % number, os.O_CREAT | os.O_WRONLY))
            except OSError:
                return
        raise AssertionError("there are inodes without end")

    def df(self, *, inodes: bool = False) -> int:
        """Use in per cent as ``df`` says."""
        lines = self.inside("df", "-Pi" if inodes else "-P", "/var").stdout.split(b"\n")
        return int(lines[1].split()[4].rstrip(b"%"))

    def tree(self, *inners: str) -> dict[bytes, tuple[object, ...]]:
        """All that is at or below these paths, down to the bytes."""
        return dict(item for inner in inners for item in self._entries(self.path(inner)))

    def _entries(self, top: bytes) -> Iterator[tuple[bytes, tuple[object, ...]]]:
        yield top, _facts(top)
        if os.path.islink(top):
            return
        for folder, folders, files in os.walk(top):
            for name in (*folders, *files):
                yield os.path.join(folder, name), _facts(os.path.join(folder, name))

    def _grow(self, file: int, step: int, leave: int) -> None:
        while os.fstatvfs(file).f_bavail * os.fstatvfs(file).f_frsize - leave >= step:
            try:
                os.posix_fallocate(file, os.fstat(file).st_size, step)
            except OSError:
                return

    def _enter(self, words: tuple[str | bytes, ...]) -> list[str | bytes]:
        return ["nsenter", "-m", "-t", str(self.pid), "env", "-i", f"PATH={PATH}", "LC_ALL=C", *words]


@contextmanager
def mounted(image: Path, size: int = 64 << 20, inodes: int = 4096) -> Iterator[Volume]:
    """Make the file system and mount it; the loop device goes with its mount, and the mount with the namespace."""
    with image.open("wb") as file:
        file.truncate(size)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-N", str(inodes), str(image)], check=True, timeout=60)
    words = ["unshare", "-m", "--propagation", "private", "sh", "-c", _OURS, "sh", str(image)]
    # It ends with its stdin, so that nothing stays mounted when the tests are killed.
    keeper = subprocess.Popen(words, stdout=subprocess.PIPE, stdin=subprocess.PIPE)
    try:
        assert keeper.stdout
        if keeper.stdout.readline() != b"ready\n":
            raise NotMounted
        yield Volume(keeper.pid)
    finally:
        keeper.kill()
        keeper.communicate(timeout=10)
        image.unlink()


def _facts(path: bytes) -> tuple[object, ...]:
    facts = os.lstat(path)
    kind = facts.st_mode
    if os.path.islink(path):
        return (kind, os.readlink(path))
    content = _digest(path) if os.path.isfile(path) else ""
    times = () if os.path.isdir(path) else (facts.st_mtime_ns,)
    return (kind, facts.st_uid, facts.st_ino, *times, content)


def _digest(path: bytes) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
