"""Is this the host's key? Always asked, and answered from known_hosts or from the inventory alone."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from crashcart.errors import HostKeyRefused
from crashcart.transports.endpoint import Endpoint
from crashcart.transports.knownhosts import AUTHORITY, REVOKED, Entry, KnownHosts, PublicKey, host_key_name, plain

_RSA_SIGNATURES = ("rsa-sha2-512", "rsa-sha2-256")


class HostKeys:
    """Verifies the keys of one endpoint. Safe to share: all state is in the run's ``KnownHosts``."""

    def __init__(self, endpoint: Endpoint, known: KnownHosts, *, accept_new: bool) -> None:
        self._endpoint = endpoint
        self._known = known
        self._accept_new = accept_new
        self._name = endpoint.host_key_alias or host_key_name(endpoint.host, endpoint.port)

    def preferred(self) -> list[str]:
        """Return the signature algorithms for which a key is known, so that the host shows that one first."""
        kinds = dict.fromkeys(entry.key.kind for entry in plain(self._entries() + self._portless()))
        return [name for kind in kinds for name in (_RSA_SIGNATURES if kind == "ssh-rsa" else (kind,))]

    def verify(self, key: PublicKey) -> None:
        """Return if the key is the host's.

        Raises ``HostKeyRefused`` with the fix when it is revoked, differs from what is known, or is unknown and new
        keys are not accepted.
        """
        entries = self._entries()
        self._refuse_revoked(key, entries + self._portless())
        if _holds(entries, key):
            return
        if plain(entries):
            raise self._changed(key, entries)
        # As OpenSSH: a key known for the host's plain name is good on its other ports, but its absence proves nothing.
        if _holds(self._portless(), key):
            return
        self._meet(key, entries)

    def _entries(self) -> list[Entry]:
        if self._endpoint.pinned_keys:
            return [Entry(PublicKey.parse(text), "the variable ssh_host_key") for text in self._endpoint.pinned_keys]
        return self._known.lookup(self._endpoint.known_hosts, self._name)

    def _portless(self) -> list[Entry]:
        if self._endpoint.pinned_keys or self._name == self._endpoint.host:
            return []
        return self._known.lookup(self._endpoint.known_hosts, self._endpoint.host)

    def _meet(self, key: PublicKey, entries: Sequence[Entry]) -> None:
        """Deal with a host that is met for the first time."""
        if not self._accept_new:
            raise self._only_authority(key, entries) if entries else self._unknown(key)
        try:
            known = self._known.accept(self._endpoint.known_hosts, self._name, key)
        except OSError as error:
            raise HostKeyRefused(f"the key of {self._endpoint.address} cannot be recorded: {error}") from error
        if plain(known) and not _holds(known, key):
            raise self._changed(key, known)

    def _refuse_revoked(self, key: PublicKey, entries: Sequence[Entry]) -> None:
        for entry in entries:
            if entry.marker == REVOKED and entry.key.base64 == key.base64:
                raise HostKeyRefused(
                    f"{self._endpoint.address} shows a host key that is revoked: "
                    f"{_show(key)}, marked @revoked in {entry.place}",
                    hint="do not use this host: its key is known to others; give it a new one and replace that line",
                )

    def _unknown(self, key: PublicKey) -> HostKeyRefused:
        return HostKeyRefused(
            f"the host key of {self._endpoint.address} is unknown: {_show(key)}, nothing for {self._name} in {self._files}",
            hint="compare it with 'ssh-keygen -lf' of /etc/ssh/ssh_host_*_key.pub on the host, then add "
            f"--accept-new-host-keys, or: {self._scan}",
        )

    def _only_authority(self, key: PublicKey, entries: Sequence[Entry]) -> HostKeyRefused:
        places = ", ".join(entry.place for entry in entries if entry.marker == AUTHORITY)
        return HostKeyRefused(
            f"the host key of {self._endpoint.address} is vouched for by a certificate authority ({places}), "
            f"which crashcart cannot verify: {_show(key)}",
            hint=f"add the host's own key: --accept-new-host-keys, the variable ssh_host_key, or: {self._scan}",
        )

    def _changed(self, key: PublicKey, entries: Sequence[Entry]) -> HostKeyRefused:
        alike = [entry for entry in plain(entries) if entry.key.kind == key.kind] or plain(entries)
        known = ", ".join(f"{_show(entry.key)} in {entry.place}" for entry in alike)
        return HostKeyRefused(
            f"the host key of {self._endpoint.address} has changed: it shows {_show(key)}, known is {known}",
            hint=f"if the host was built anew: {self._forget(alike[0])}; if not, somebody may sit in between: stay away",
        )

    def _forget(self, entry: Entry) -> str:
        if self._endpoint.pinned_keys:
            return f"put its new key into {entry.place}"
        file = entry.place.rpartition(":")[0]
        return f"ssh-keygen -R {shlex.quote(self._name)} -f {shlex.quote(file)}, then --accept-new-host-keys"

    @property
    def _files(self) -> str:
        return " or ".join(str(path) for path in self._endpoint.known_hosts) or "any known_hosts"

    @property
    def _scan(self) -> str:
        files = self._endpoint.known_hosts or (Path("~/.ssh/known_hosts"),)
        port = "" if self._name == self._endpoint.host else f"-p {self._endpoint.port} "
        return f"ssh-keyscan {port}{shlex.quote(self._endpoint.host)} >> {shlex.quote(str(files[0]))}"


def _holds(entries: Sequence[Entry], key: PublicKey) -> bool:
    return any(entry.key.base64 == key.base64 for entry in plain(entries))


def _show(key: PublicKey) -> str:
    return f"{key.kind} {key.fingerprint}"
