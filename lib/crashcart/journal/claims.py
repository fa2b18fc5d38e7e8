"""Claims: two runs of one state folder never act on one target at once.

A run holds a ``flock`` on one file of its own, however many targets it has; a small file per claimed target names the run. A
claim counts while its run holds that lock, so a crash releases all its claims by itself. Claiming compares and writes under
one short lock over the folder: all targets or none.

Below the folder, owner-only: ``mutex``, ``runs/<run id>``, ``targets/<hash of the target's key>``.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import socket
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from queue import SimpleQueue

import msgspec

from crashcart.clock import Clock
from crashcart.decoding import from_json
from crashcart.errors import BadInput, Refused
from crashcart.targets import Target
from crashcart.values import format_span

PATIENCE = 10.0
"""Seconds to wait for another run that is claiming at this very moment."""

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_LARGEST = 64 * 1024
_NEW = ".new"
_PAUSES = tuple(0.001 * 2**tries for tries in range(6))


class About(msgspec.Struct, frozen=True):
    """What whoever is kept out wants to know of a run."""

    actor: str
    playbook: str
    reason: str = ""
    incident: str = ""


class Claim(msgspec.Struct, frozen=True):
    """One target in the hands of one run; ``pid`` and ``host`` say where that is at work, ``since`` is in UTC."""

    key: str
    target: str
    run: str
    about: About
    pid: int
    host: str
    since: datetime

    def __post_init__(self) -> None:
        if not _RUN_ID.fullmatch(self.run) or self.since.tzinfo is None:
            raise ValueError("no run id, or a time without a zone")

    def told(self, now: datetime) -> str:
        """Say who has the target, since when, doing what, and where."""
        since = f"{self.since:%Y-%m-%d %H:%M:%S} UTC ({format_span(max(0.0, (now - self.since).total_seconds()))})"
        what = ", ".join(filter(None, (self.about.playbook, self.about.reason, self.about.incident)))
        where = f"run {self.run}, process {self.pid} on {self.host}"
        return f"{self.target} is held by {self.about.actor} since {since}: {what} ({where})"


class Held:
    """The claims of one run, until ``release`` or the end of the process."""

    def __init__(self, claims: Claims, run: str, names: Sequence[str], descriptor: int) -> None:
        self._claims, self._run, self._names, self._descriptor = claims, run, tuple(names), descriptor

    def release(self) -> None:
        """Give the targets back. Safe to call twice; raises nothing: files that cannot be removed count no more either."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor < 0:
            return
        try:
            with contextlib.suppress(Refused):
                self._claims.forget(self._run, self._names)
        finally:
            os.close(descriptor)


class Claims:
    """Hands out the targets of one state folder. ``folder`` is made when it is not there."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder, self._clock = folder, clock

    def take(self, run: str, keys: Sequence[tuple[str, str]], about: About) -> Held:
        """Claim targets for a run, each a key with the name to call it by: all of them or none.

        The same run takes its claims again once its earlier process is gone. Raises ``Refused`` with who holds what, and
        when that cannot be told (a claim that cannot be read, a folder that cannot be written); ``BadInput`` for a run id
        that cannot name a file.
        """
        if not _RUN_ID.fullmatch(run):
            raise BadInput(f"{run!r} is no run id")
        now, host = self._clock.now(), socket.gethostname()
        claims = [Claim(key, target, run, about, os.getpid(), host, now) for key, target in keys]
        wanted = {_file_name(claim.key): claim for claim in claims}
        with self._ledger() as ledger:
            return Held(self, run, tuple(wanted), self._take(ledger, run, wanted))

    def forget(self, run: str, names: Sequence[str]) -> None:
        """Remove the files of a run that still holds its lock. Raises ``Refused`` when that cannot be done."""
        with self._ledger() as ledger:
            ledger.remove(run, names)

    @contextmanager
    def _ledger(self) -> Iterator[_Ledger]:
        try:
            with _Ledger.opened(self._folder) as ledger:
                self._wait_for(ledger)
                yield ledger
        except OSError as error:
            hint = "no lock, no act; CRASHCART_STATE names another folder"
            raise Refused(f"cannot keep locks in {self._folder}: {error.strerror or error}", hint=hint) from error

    def _wait_for(self, ledger: _Ledger) -> None:
        """Take the short lock. Not with a blocking call, which a stopped process would make endless."""
        deadline = self._clock.monotonic() + PATIENCE
        pauses = iter(_PAUSES)
        while not ledger.lock():
            if self._clock.monotonic() > deadline:
                why = f"another process has held {self._folder / 'mutex'} for {format_span(PATIENCE)}"
                raise Refused(why, hint="a stopped or hung run: fuser names its process; try again once it is gone")
            self._clock.wait(SimpleQueue[None](), next(pauses, _PAUSES[-1]), busy=False)

    def _take(self, ledger: _Ledger, run: str, wanted: Mapping[str, Claim]) -> int:
        descriptor = ledger.lock_run(run)
        if descriptor is None:
            raise self._twice(run, ledger.claims(wanted))
        try:
            self._check(ledger, run, wanted)
            ledger.write(wanted)
            ledger.sweep()
        except BaseException:
            os.close(descriptor)
            with contextlib.suppress(OSError, Refused):
                ledger.remove(run, tuple(wanted))
            raise
        return descriptor

    def _check(self, ledger: _Ledger, run: str, wanted: Mapping[str, Claim]) -> None:
        foreign = [claim for claim in ledger.claims(wanted) if claim.run != run]
        alive = {name for name in {claim.run for claim in foreign} if ledger.is_alive(name)}
        held = [claim for claim in foreign if claim.run in alive]
        if not held:
            return
        first, more = held[0], f"; so are {len(held) - 1} more of the targets" if len(held) > 1 else ""
        hint = f"inv runs.show {first.run} shows it; ask {first.about.actor}, or wait until it ends"
        raise Refused(first.told(self._clock.now()) + more, hint=hint)

    def _twice(self, run: str, claims: Iterable[Claim]) -> Refused:
        own = next((claim for claim in claims if claim.run == run), None)
        what = f": {own.told(self._clock.now())}" if own else ""
        hint = f"inv runs.show {run} shows it; wait for it, or stop it first"
        return Refused(f"run {run} is still going on{what}", hint=hint)


class _Ledger:
    """The open folder. Every file is opened by name within an open directory, and never through a link."""

    def __init__(self, path: Path, mutex: int, runs: int, targets: int) -> None:
        self._path, self._mutex, self._runs, self._targets = path, mutex, runs, targets

    @classmethod
    @contextmanager
    def opened(cls, path: Path) -> Iterator[_Ledger]:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.ExitStack() as stack:

            def kept(descriptor: int) -> int:
                stack.callback(os.close, descriptor)
                return descriptor

            folder = kept(os.open(path, os.O_DIRECTORY | os.O_NOFOLLOW))
            mutex = kept(_open_own("mutex", folder))
            yield cls(path, mutex, *(kept(_open_folder(name, folder)) for name in ("runs", "targets")))

    def lock(self) -> bool:
        return _locked(self._mutex)

    def lock_run(self, run: str) -> int | None:
        """Lock a run's file and return its descriptor, or None while another process holds it."""
        descriptor = _open_own(run, self._runs)
        if _locked(descriptor):
            return descriptor
        os.close(descriptor)
        return None

    def is_alive(self, run: str) -> bool:
        try:
            descriptor = os.open(run, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=self._runs)
        except FileNotFoundError:
            return False
        try:
            return not _locked(descriptor)
        finally:
            os.close(descriptor)

    def claims(self, names: Iterable[str]) -> list[Claim]:
        """Return the claims that are there, of living runs or not. Raises ``Refused`` for one that cannot be understood."""
        return [claim for name in names if (claim := self._read(name))]

    def write(self, claims: Mapping[str, Claim]) -> None:
        for name, claim in claims.items():
            with contextlib.suppress(FileNotFoundError):
                os.unlink(_NEW, dir_fd=self._targets)
            with os.fdopen(_open_own(_NEW, self._targets, os.O_EXCL), "wb") as file:
                file.write(msgspec.json.encode(claim))
            os.rename(_NEW, name, src_dir_fd=self._targets, dst_dir_fd=self._targets)

    def remove(self, run: str, names: Iterable[str]) -> None:
        """Remove a run's own claims, then its file."""
        for name in names:
            claim = self._read(name)
            if claim and claim.run == run:
                os.unlink(name, dir_fd=self._targets)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(run, dir_fd=self._runs)

    def sweep(self) -> None:
        """Remove the files of runs that are gone; their claims count for nobody."""
        with os.scandir(self._runs) as entries:
            for entry in entries:
                # What is no file of ours is not taken for one, and is in nobody's way.
                with contextlib.suppress(OSError):
                    if not self.is_alive(entry.name):
                        os.unlink(entry.name, dir_fd=self._runs)

    def _read(self, name: str) -> Claim | None:
        try:
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=self._targets)
        except FileNotFoundError:
            return None
        with os.fdopen(descriptor, "rb") as file:
            data = file.read(_LARGEST) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b"?"
        # A claim is renamed into place whole, so an empty one is what a power failure leaves, which no run survives.
        return self._decode(name, data) if data.strip(b"\0") else None

    def _decode(self, name: str, data: bytes) -> Claim:
        try:
            claim = from_json(data, Claim)
            if _file_name(claim.key) != name:
                raise ValueError("it is of another target")
        except (msgspec.MsgspecError, ValueError) as error:
            place = self._path / "targets" / name
            hint = f"when no run is going on (inv runs.list), remove it: rm {place}"
            raise Refused(f"cannot tell who holds a target: {place} is no claim: {error}", hint=hint) from error
        return claim


def target_key(target: Target) -> str:
    """Name what a target really is, whatever an inventory calls it.

    A host is its address and port, this machine itself where nothing is connected to; a cloud resource its id and region.
    """
    if target.variable("ansible_connection") == "local":
        return f"{target.kind}/local"
    if target.kind == "linux":
        address = _address(str(target.variable("ansible_host") or target.name))
        port = str(target.variable("ansible_port", "")).strip().lstrip("0")
        return f"{target.kind}/{address}:{port or 22}"
    region, name = _resource(str(target.variable("aws_id") or target.name))
    return f"{target.kind}/{region or target.variable('aws_region', '')}/{name}".lower()


def _resource(text: str) -> tuple[str, str]:
    """Return region and name of an ARN; a text that is none is a name already, in a region that it does not tell."""
    parts = text.split(":", 5)
    if parts[0] != "arn" or len(parts) < 6:
        return "", text
    path = parts[5].split("/")
    return parts[3], path[1] if path[0] == "targetgroup" and len(path) > 1 else path[-1].rpartition(":")[2]


def _address(text: str) -> str:
    """Write an address in its one short form, a name in lower case and without the root's dot."""
    plain = text.strip().removeprefix("[").removesuffix("]")
    try:
        address = ip_address(plain)
    except ValueError:
        return plain.lower().rstrip(".")
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or (f"[{address}]" if address.version == 6 else address)).lower()


def _file_name(key: str) -> str:
    return hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest()[:32]


def _open_own(name: str, folder: int, more: int = 0) -> int:
    return os.open(name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | more, 0o600, dir_fd=folder)


def _open_folder(name: str, folder: int) -> int:
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, 0o700, dir_fd=folder)
    return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)


def _locked(descriptor: int) -> bool:
    """Lock an open file, and tell whether that worked: not while somebody else holds it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
