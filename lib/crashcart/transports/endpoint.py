"""Where and how to log in to one host, resolved from the inventory and the SSH client's own configuration."""

from __future__ import annotations

from pathlib import Path

import msgspec

from crashcart.secrets import Secret


class Endpoint(msgspec.Struct, frozen=True):
    """One host to log in to. ``connect_timeout`` is in seconds.

    ``exclusive`` says that the key files (and the password) were named for this host: then no agent and no default key
    is tried. ``jump`` is the host to go through, ``proxy_command`` the program that speaks to the host for us.
    """

    host: str
    port: int
    user: str
    key_files: tuple[Path, ...] = ()
    exclusive: bool = False
    password: Secret | None = None
    known_hosts: tuple[Path, ...] = ()
    host_key_alias: str = ""
    pinned_keys: tuple[str, ...] = ()
    connect_timeout: float = 5.0
    jump: Endpoint | None = None
    proxy_command: str = ""

    @property
    def address(self) -> str:
        """``host:port`` for messages."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def login(self) -> str:
        """``user@host:port`` for messages."""
        return f"{self.user}@{self.address}"
