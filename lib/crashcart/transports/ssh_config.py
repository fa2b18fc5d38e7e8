"""The SSH client's own configuration (``~/.ssh/config``), read once per run, and the endpoint that follows from it.

paramiko parses and matches; what it lacks is done here: ``Include`` is expanded, and a file with a ``Host`` block for each
of a thousand hosts is not walked for each of them. What the inventory says is put in front as a block of its own, so that
it wins as a command line option would, and so that ``%h`` and ``%p`` and ``Match user`` see it.
"""

from __future__ import annotations

import getpass
import re
import shlex
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from paramiko import SSHConfig, SSHException
from paramiko.config import SSHConfigDict

from crashcart.errors import BadInput
from crashcart.transports.endpoint import Endpoint
from crashcart.transports.sshargs import InventorySettings, Option

CONFIG_FILES = (Path("~/.ssh/config"), Path("/etc/ssh/ssh_config"))
_KNOWN_HOSTS = "~/.ssh/known_hosts ~/.ssh/known_hosts2"
_GLOBAL_KNOWN_HOSTS = "/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2"
_CONNECT_TIMEOUT = 5
_MAX_DEPTH = 16
_HEADER = re.compile(r"(host|match|include)(?:\s*=\s*|\s+)(.*)", re.IGNORECASE)
_JUMP = re.compile(r"(?:ssh://)?(?:(?P<user>[^@]+)@)?(?:\[(?P<v6>[^]]+)\]|(?P<host>[^:]+))(?::(?P<port>\d+))?/?")


class _Block(msgspec.Struct):
    """A ``Host`` or ``Match`` block as text. ``names`` are its hosts if it names them plainly, else nothing."""

    lines: list[str]
    names: frozenset[str] = frozenset()


class ClientConfig:
    """The ssh_config files of a run as blocks. A missing file is empty; of two settings the earlier one wins.

    Raises ``BadInput`` for a file that cannot be read.
    """

    def __init__(self, files: Sequence[Path] = CONFIG_FILES) -> None:
        self._blocks = [block for path in files for block in _read(path.expanduser())]
        self._general = [number for number, block in enumerate(self._blocks) if not block.names]
        self._by_name: defaultdict[str, list[int]] = defaultdict(list)
        for number, block in enumerate(self._blocks):
            for name in block.names:
                self._by_name[name].append(number)

    def endpoint(self, settings: InventorySettings) -> Endpoint:
        """Resolve the settings of one target. Raises ``BadInput`` for a configuration that cannot be used."""
        endpoint, found = self._resolve(settings, None)
        return self._proxied(endpoint, found, (endpoint.address,))

    def _resolve(self, settings: InventorySettings, heir: Endpoint | None) -> tuple[Endpoint, SSHConfigDict]:
        """Resolve one hop; ``heir`` is the host behind it, whose keys and known_hosts serve where it has none."""
        found = self._lookup(settings)
        named = [option for option in settings.options if option.name == "IdentityFile"]
        endpoint = Endpoint(
            host=found["hostname"],
            port=_number(found, "port", 22, settings.host),
            user=found.get("user") or getpass.getuser(),
            key_files=_key_files(found, len(named)) or (heir.key_files if heir else ()),
            exclusive=bool(named or settings.password or found.get("identitiesonly", "").lower() == "yes"),
            password=settings.password,
            known_hosts=heir.known_hosts if heir and "userknownhostsfile" not in found else _known_hosts(found),
            host_key_alias=found.get("hostkeyalias", ""),
            pinned_keys=settings.pinned_keys,
            connect_timeout=min(_CONNECT_TIMEOUT, _number(found, "connecttimeout", _CONNECT_TIMEOUT, settings.host)),
        )
        return endpoint, found

    def _lookup(self, settings: InventorySettings) -> SSHConfigDict:
        numbers = sorted([*self._general, *self._by_name.get(settings.host, ())])
        lines = [f"{option.name} {option.value}" for option in settings.options]
        for number in numbers:
            lines += self._blocks[number].lines
        parser = SSHConfig()
        try:
            parser.parse(lines)
            return parser.lookup(settings.host)
        except (SSHException, ValueError, OSError) as error:
            raise BadInput(f"the SSH configuration cannot be used for {settings.host}: {error}") from error

    def _proxied(self, endpoint: Endpoint, found: SSHConfigDict, path: tuple[str, ...]) -> Endpoint:
        """Add the way to the host: of ProxyJump and ProxyCommand the one that was obtained first counts.

        ``path`` holds the addresses from the target to this hop.
        """
        first = next((name for name in found if name in ("proxyjump", "proxycommand")), "")
        value = found.get(first) or "none"
        if value.lower() == "none":
            return endpoint
        if first == "proxyjump":
            return msgspec.structs.replace(endpoint, jump=self._jump(value, endpoint, path))
        return msgspec.structs.replace(endpoint, proxy_command=value)

    def _jump(self, chain: str, heir: Endpoint, path: tuple[str, ...]) -> Endpoint | None:
        before, _, spec = chain.rpartition(",")
        hop = _JUMP.fullmatch(spec.strip())
        if hop is None:
            raise BadInput(f"ProxyJump {spec!r} of {heir.host} is not [user@]host[:port]")
        options = [Option(name, hop[name.lower()], "ProxyJump") for name in ("User", "Port") if hop[name.lower()]]
        options += [Option("ProxyJump", before, "ProxyJump")] if before else []
        endpoint, found = self._resolve(InventorySettings(hop["v6"] or hop["host"], tuple(options)), heir)
        # A ProxyJump in a "Host *" block holds for the jump host, too, which cannot jump through itself.
        if endpoint.address in path:
            return None
        return self._proxied(endpoint, found, (*path, endpoint.address))


def _read(path: Path, depth: int = 0) -> Iterator[_Block]:
    """Yield the blocks of a file and of the files that it includes, in the order in which they apply."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return
    except OSError as error:
        raise BadInput(f"the SSH configuration {path} cannot be read: {error}") from error
    block = _Block(["Host *"])
    for line in map(str.strip, lines):
        header = _HEADER.fullmatch(line)
        if header is None:
            block.lines.append(line)
        elif header[1].lower() == "include":
            yield block
            yield from _included(header[2], path, depth)
            block = _Block([block.lines[0]], block.names)
        else:
            yield block
            block = _Block([line], _plain_names(header))
    yield block


def _included(value: str, path: Path, depth: int) -> Iterator[_Block]:
    """Yield the blocks of included files. One inside of a ``Host`` block applies to all hosts that its own blocks name."""
    if depth >= _MAX_DEPTH:
        raise BadInput(f"the SSH configuration {path} includes itself: {value}")
    for pattern in shlex.split(value):
        place = Path("~/.ssh").expanduser() / Path(pattern).expanduser()
        for file in sorted(Path(place.anchor).glob(str(place.relative_to(place.anchor)))):
            yield from _read(file, depth + 1)


def _plain_names(header: re.Match[str]) -> frozenset[str]:
    if header[1].lower() != "host" or any(sign in header[2] for sign in '*?!"'):
        return frozenset()
    return frozenset(header[2].split())


def _key_files(found: SSHConfigDict, named: int) -> tuple[Path, ...]:
    """Return the key files: only those of the inventory if it names any, since they stand first."""
    files: Sequence[str] = found.get("identityfile", ())
    return tuple(Path(file).expanduser() for file in (files[:named] if named else files) if file.lower() != "none")


def _known_hosts(found: SSHConfigDict) -> tuple[Path, ...]:
    user = shlex.split(found.get("userknownhostsfile", _KNOWN_HOSTS))
    system = shlex.split(found.get("globalknownhostsfile", _GLOBAL_KNOWN_HOSTS))
    return tuple(Path(file).expanduser() for file in user + system if file.lower() != "none")


def _number(found: SSHConfigDict, name: str, default: int, host: str) -> int:
    value = found.get(name) or str(default)
    if not value.isdigit():
        raise BadInput(f"the SSH configuration of {host} has the {name} {value!r}, which is no number")
    return int(value)
