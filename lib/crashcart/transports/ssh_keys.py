"""What a login is made with: key files, an agent's keys, the default identities, a password. In this order."""

from __future__ import annotations

import threading
from base64 import b64decode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from paramiko import Agent, AgentKey, PasswordRequiredException, PKey, SSHException, Transport
from paramiko.pkey import UnknownKeyType

from crashcart.errors import AuthenticationFailed, CrashcartError, SilentPeer
from crashcart.transports.endpoint import Endpoint
from crashcart.transports.limits import Deadline

_DEFAULT_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")
_SERVER_LIMIT = 6
"""Keys that an sshd lets a client try before it hangs up (MaxAuthTries)."""


class UnusableKey(Exception):
    """A key file that cannot be used; the text says why."""


class KeyRing:
    """The key files of a run, each read once."""

    def __init__(self) -> None:
        self._loaded: dict[Path, PKey | UnusableKey] = {}
        self._lock = threading.Lock()

    def load(self, path: Path) -> PKey:
        """Return the key of a file, with its certificate if one lies beside it. Raises ``UnusableKey``."""
        with self._lock:
            if path not in self._loaded:
                self._loaded[path] = _load(path)
            key = self._loaded[path]
        if isinstance(key, UnusableKey):
            raise UnusableKey(*key.args) from key
        return key


class _Source(NamedTuple):
    """One thing to log in with; ``attempt`` returns what the host wants on top of it, if anything."""

    label: str
    attempt: Callable[[Transport], list[str]]


class Credentials:
    """Logs in to one endpoint. Takes the place of paramiko's own strategy, which prompts and tells less."""

    def __init__(self, endpoint: Endpoint, ring: KeyRing, deadline: Deadline, limit: float) -> None:
        self._endpoint = endpoint
        self._ring = ring
        self._deadline = deadline
        self._limit = limit
        self._tried: list[str] = []
        self._offered: set[bytes] = set()
        self._agent: Agent | None = None

    def authenticate(self, transport: Transport) -> list[str]:
        """Try each source until one is accepted. Raises ``AuthenticationFailed`` or ``SilentPeer``."""
        try:
            for source in self._sources():
                self._tried.append(source.label)
                if self._accepted(source, transport):
                    return []
        finally:
            if self._agent is not None:
                self._agent.close()
        raise self._denied()

    def _accepted(self, source: _Source, transport: Transport) -> bool:
        transport.auth_timeout = self._deadline.within(self._limit)
        try:
            return not source.attempt(transport)
        except SSHException as error:
            if not transport.is_active():
                raise self._hung_up() from error
            if "timeout" in str(error).lower() or self._deadline.passed:
                raise SilentPeer(
                    f"{self._endpoint.address} does not answer the login as {self._endpoint.user}",
                    hint="the host is overloaded, or its login waits for something: a directory service, a full disk",
                ) from error
            return False

    def _sources(self) -> Iterator[_Source]:
        for path in self._endpoint.key_files:
            yield from self._file(path, optional=not self._endpoint.exclusive)
        if not self._endpoint.exclusive:
            yield from (self._key(key, f"agent key {key.comment or key.get_name()}") for key in self._agent_keys())
            for name in _DEFAULT_KEYS:
                yield from self._file(Path("~/.ssh").expanduser() / name, optional=True)
        if self._endpoint.password is not None:
            password = self._endpoint.password
            yield _Source("the password", lambda t: t.auth_password(self._endpoint.user, password.reveal()))

    def _file(self, path: Path, *, optional: bool) -> Iterator[_Source]:
        if optional and not path.is_file():
            return
        try:
            key = self._ring.load(path)
        except UnusableKey as problem:
            held = self._held_by_agent(path)
            if held is None:
                self._tried.append(f"{path} ({problem})")
                return
            key = held
        if key.asbytes() not in self._offered:
            yield self._key(key, str(path))

    def _key(self, key: PKey, label: str) -> _Source:
        self._offered.add(key.asbytes())
        return _Source(label, lambda transport: transport.auth_publickey(self._endpoint.user, key))

    def _agent_keys(self) -> list[AgentKey]:
        try:
            self._agent = self._agent or Agent()
        except (SSHException, OSError):
            return []  # as OpenSSH does: an agent that does not work is no agent
        return [key for key in self._agent.get_keys() if key.asbytes() not in self._offered]

    def _held_by_agent(self, path: Path) -> PKey | None:
        """Find the agent's copy of a key that has a passphrase, by the public key beside it."""
        try:
            blob = b64decode(path.with_name(path.name + ".pub").read_text().split()[1])
        except (OSError, ValueError, IndexError):
            return None
        return next((key for key in self._agent_keys() if key.asbytes() == blob), None)

    def _denied(self) -> CrashcartError:
        if not self._tried:
            return AuthenticationFailed(
                f"there is no key to log in to {self._endpoint.login} with",
                hint="set ansible_ssh_private_key_file, or add a key to the SSH agent",
            )
        return AuthenticationFailed(
            f"{self._endpoint.login} denied the login; tried: {', '.join(self._tried)}",
            hint=f"is the user right (ansible_user), and is the key in ~{self._endpoint.user}/.ssh/authorized_keys "
            "there? Name the key with ansible_ssh_private_key_file",
        )

    def _hung_up(self) -> CrashcartError:
        hint = "look at its log: journalctl -u ssh"
        if len(self._tried) >= _SERVER_LIMIT:
            hint = "too many keys were tried; name the right one with ansible_ssh_private_key_file"
        return AuthenticationFailed(
            f"{self._endpoint.login} hung up during the login; tried: {', '.join(self._tried)}", hint=hint
        )


def _load(path: Path) -> PKey | UnusableKey:
    try:
        return PKey.from_path(path)
    except (TypeError, PasswordRequiredException):
        return UnusableKey("it has a passphrase, and no agent holds it")
    except (SSHException, UnknownKeyType, ValueError) as error:
        return UnusableKey(f"not a private key: {error or type(error).__name__}")
    except OSError as error:
        return UnusableKey(error.strerror or str(error))
