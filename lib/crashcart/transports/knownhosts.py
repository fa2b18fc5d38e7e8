"""known_hosts files, read once per run into an index: by name, by pattern, and hashed."""

from __future__ import annotations

import binascii
import fcntl
import hashlib
import hmac
import os
import re
import threading
from base64 import b64decode, b64encode
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

REVOKED = "@revoked"
AUTHORITY = "@cert-authority"
_MARKERS = (REVOKED, AUTHORITY)


class PublicKey(msgspec.Struct, frozen=True):
    """A host key: its type, such as ``ssh-ed25519``, and its blob in base64."""

    kind: str
    base64: str

    @classmethod
    def parse(cls, text: str) -> PublicKey:
        """Read ``ssh-ed25519 AAAA... [comment]``; ValueError when it is no public key."""
        fields = text.split()
        if len(fields) < 2:
            raise ValueError("a host key is written as 'ssh-ed25519 AAAA...'")
        try:
            blob = b64decode(fields[1], validate=True)
        except binascii.Error as error:
            raise ValueError(f"the host key is no base64: {error}") from error
        if not blob[4:].startswith(fields[0].encode()):
            raise ValueError(f"the host key is not of the type {fields[0]!r}")
        return cls(fields[0], fields[1])

    @property
    def fingerprint(self) -> str:
        """The SHA256 fingerprint, as ``ssh-keygen -l`` prints it."""
        digest = hashlib.sha256(b64decode(self.base64)).digest()
        return "SHA256:" + b64encode(digest).decode().rstrip("=")


class Entry(msgspec.Struct, frozen=True):
    """A key that a known_hosts line (or an inventory variable) holds for a host, and where it stands."""

    key: PublicKey
    place: str
    marker: str = ""


class _Pattern(msgspec.Struct, frozen=True):
    wanted: tuple[re.Pattern[str], ...]
    unwanted: tuple[re.Pattern[str], ...]
    entry: Entry

    def matches(self, name: str) -> bool:
        return any(p.fullmatch(name) for p in self.wanted) and not any(p.fullmatch(name) for p in self.unwanted)


class _Hashed(msgspec.Struct, frozen=True):
    salt: bytes
    digest: bytes
    entry: Entry

    def matches(self, name: bytes) -> bool:
        return hmac.digest(self.salt, name, "sha1") == self.digest


class KnownHostsFile:
    """One known_hosts file as an index. A file that is missing or unreadable is empty."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._plain: defaultdict[str, list[Entry]] = defaultdict(list)
        self._patterns: list[_Pattern] = []
        self._hashed: list[_Hashed] = []
        self._breaks = 0
        self._size = 0
        self._read_more()

    def lookup(self, name: str) -> list[Entry]:
        """Return the entries for a name as known_hosts writes it: ``host`` or ``[host]:port``."""
        self._unhash(name)
        return self._plain.get(name, []) + [p.entry for p in self._patterns if p.matches(name)]

    def add(self, name: str, key: PublicKey) -> list[Entry]:
        """Append a key for a name, unless another process has appended one meanwhile; return what then holds.

        Raises OSError when the file cannot be written.
        """
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            self._read_more()
            if not plain(self.lookup(name)):
                file.write(_line_break(file) + f"{name} {key.kind} {key.base64}\n".encode())
                file.flush()
                self._read_more()
        return self.lookup(name) or [Entry(key, str(self.path))]

    def _read_more(self) -> None:
        """Index what was appended since the last time; at first the whole file."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._size)
                data = file.read()
        except OSError:
            return
        self._size += len(data)
        for number, line in enumerate(data.decode(errors="replace").split("\n"), start=self._breaks + 1):
            self._index(line.strip(), number)
        self._breaks += data.count(b"\n")

    def _index(self, line: str, number: int) -> None:
        marker, _, rest = line.partition(" ") if line.startswith(_MARKERS) else ("", "", line)
        names, _, key = rest.strip().partition(" ")
        if not key or names.startswith("#"):
            return
        try:
            entry = Entry(PublicKey.parse(key), f"{self.path}:{number}", marker)
        except ValueError:
            return  # as OpenSSH does: a line that is no entry says nothing about any host
        self._file_under(names.lower() if not names.startswith("|1|") else names, entry)

    def _file_under(self, names: str, entry: Entry) -> None:
        if names.startswith("|1|"):
            self._hashed.extend(_hashed(names, entry))
        elif any(sign in names for sign in "*?!"):
            self._patterns.append(_pattern(names.split(","), entry))
        else:
            for name in names.split(","):
                self._plain[name].append(entry)

    def _unhash(self, name: str) -> None:
        """Move the hashed entries of a name to the plain ones, so that each is tried only until it is found."""
        data = name.encode()
        found = [hashed for hashed in self._hashed if hashed.matches(data)]
        if found:
            self._hashed = [hashed for hashed in self._hashed if hashed not in found]
            self._plain[name].extend(hashed.entry for hashed in found)


class KnownHosts:
    """The known_hosts files of a run: each is read once, and shared by all threads."""

    def __init__(self) -> None:
        self._files: dict[Path, KnownHostsFile] = {}
        self._lock = threading.Lock()
        self._found: dict[tuple[tuple[Path, ...], str], list[Entry]] = {}

    def lookup(self, files: Sequence[Path], name: str) -> list[Entry]:
        """Return the entries of all files for a name, in their order."""
        name = name.lower()
        with self._lock:
            return self._lookup(tuple(files), name)

    def accept(self, files: Sequence[Path], name: str, key: PublicKey) -> list[Entry]:
        """Append a key to the first file; return what then holds for the name (another run may have been first)."""
        name = name.lower()
        with self._lock:
            known = self._lookup(tuple(files), name)
            if plain(known) or not files:
                return known
            self._found = {place: entries for place, entries in self._found.items() if place[1] != name}
            return self._file(files[0]).add(name, key)

    def _lookup(self, files: tuple[Path, ...], name: str) -> list[Entry]:
        key = (files, name)
        if key not in self._found:
            self._found[key] = [entry for path in files for entry in self._file(path).lookup(name)]
        return self._found[key]

    def _file(self, path: Path) -> KnownHostsFile:
        if path not in self._files:
            self._files[path] = KnownHostsFile(path)
        return self._files[path]


def plain(entries: Iterable[Entry]) -> list[Entry]:
    """Return the entries that hold a host's own key: neither revoked nor that of an authority."""
    return [entry for entry in entries if not entry.marker]


def host_key_name(host: str, port: int) -> str:
    """Return the name under which known_hosts holds a host: ``host``, or ``[host]:port`` off port 22."""
    return host if port == 22 else f"[{host}]:{port}"


def _line_break(file: BinaryIO) -> bytes:
    """Return what is missing at the end of the file before a line can be appended."""
    if not file.seek(0, os.SEEK_END):
        return b""
    file.seek(-1, os.SEEK_END)
    return b"" if file.read(1) == b"\n" else b"\n"


def _pattern(names: Iterable[str], entry: Entry) -> _Pattern:
    names = list(names)
    wanted = tuple(_glob(name) for name in names if not name.startswith("!"))
    return _Pattern(wanted, tuple(_glob(name[1:]) for name in names if name.startswith("!")), entry)


def _glob(text: str) -> re.Pattern[str]:
    """Compile a pattern of OpenSSH: ``*`` and ``?`` only; brackets stand for themselves."""
    return re.compile(re.escape(text).replace(r"\*", ".*").replace(r"\?", "."))


def _hashed(names: str, entry: Entry) -> Iterator[_Hashed]:
    fields = names.split("|")
    try:
        _, _, salt, digest = fields
        yield _Hashed(b64decode(salt), b64decode(digest), entry)
    except ValueError:
        return  # a hashed name that is none matches nothing
