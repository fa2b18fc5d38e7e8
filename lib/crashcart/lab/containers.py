"""The containers of a lab. Their labels alone say which hosts there are; no file does."""

from __future__ import annotations

import hashlib
import socket
from contextlib import ExitStack
from typing import Any

import msgspec

from crashcart.errors import LabError
from crashcart.lab.engine import Engine
from crashcart.lab.folder import Folder
from crashcart.lab.recipe import INIT, Recipe, pack

ADDRESS = "127.0.0.1"
WEB = 8000
"""Where the practice service listens."""

_ATTEMPTS = 3


class Container(msgspec.Struct, frozen=True):
    """One container of a lab, made or half made.

    ``port`` is where its sshd is published on the loopback address, ``web_port`` where its practice service is.
    """

    id: str
    host: str
    running: bool
    port: int
    web_port: int
    recipe: str

    @property
    def number(self) -> int:
        """The host's number, for an order in which lab10 comes after lab9."""
        digits = self.host.removeprefix("lab")
        return int(digits) if digits.isdigit() else 0


def find_containers(engine: Engine, folder: Folder) -> list[Container]:
    """Return all containers of a lab, in the order of their numbers, whatever state they are in."""
    filters = [f"--filter=label={label}" for label in _lab_labels(folder)]
    ids = engine.ask("ps", "--all", "--quiet", "--no-trunc", *filters).decode().split()
    try:
        described = engine.inspect(*ids)
    except LabError:  # one of them went away in between: ask again, once
        described = engine.inspect(*engine.ask("ps", "--all", "--quiet", "--no-trunc", *filters).decode().split())
    return sorted((_container(one) for one in described), key=lambda one: one.number)


def create_host(engine: Engine, folder: Folder, recipe: Recipe, host: str, ports: tuple[int, int]) -> Container:
    """Make and boot one host on ports (ssh, http), or on other ones when somebody else took one in the meantime."""
    for attempt in range(_ATTEMPTS):
        try:
            return _create(engine, folder, recipe, host, *ports)
        except LabError as error:
            remove_containers(engine, [one for one in find_containers(engine, folder) if one.host == host])
            if not _taken(error) or attempt == _ATTEMPTS - 1:
                raise
            first, second = free_ports(2)
            ports = first, second
    raise LabError(f"{host}: no free port")


def remove_containers(engine: Engine, containers: list[Container]) -> None:
    """Remove containers, running or not. Their disks, loop devices and mounts are theirs and go with them."""
    if containers:
        engine.ask("rm", *engine.remove_flags, *(one.id for one in containers), timeout=60.0)


def free_ports(count: int) -> list[int]:
    """Return distinct ports of the loopback address that nobody listens on right now."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((ADDRESS, 0))
        return [one.getsockname()[1] for one in sockets]


def _create(engine: Engine, folder: Folder, recipe: Recipe, host: str, port: int, web_port: int) -> Container:
    """Create, put the keys in place, and only then boot: sshd never runs with any other key."""
    labels = (*_lab_labels(folder), f"crashcart.host={host}", f"crashcart.recipe={recipe.digest}")
    named = (f"--name={_name(folder, host)}", f"--hostname={host}", *(f"--label={label}" for label in labels))
    published = (f"--publish={ADDRESS}:{port}:22", f"--publish={ADDRESS}:{web_port}:{WEB}")
    shape = (*published, "--pull=never", "--stop-signal=SIGRTMIN+3")
    made = engine.ask("create", *named, *shape, *engine.boot_flags, recipe.image, INIT, timeout=60.0)
    identity = made.decode().split()[-1]
    engine.ask("cp", "-", f"{identity}:/", stdin=_keys(folder, host))
    engine.ask("start", identity, timeout=60.0)
    return Container(identity, host, running=True, port=port, web_port=web_port, recipe=recipe.digest)


def _taken(error: LabError) -> bool:
    """Tell whether the port, or the name through an orphan of a killed run, was taken: podman's words and docker's."""
    return "in use" in error.message or "already allocated" in error.message


def _keys(folder: Folder, host: str) -> bytes:
    key = folder.host_key(host)
    return pack(
        {
            "etc/ssh/authorized_keys/ops": folder.client_key.with_suffix(".pub").read_bytes(),
            "etc/ssh/ssh_host_ed25519_key": key.read_bytes(),
            "etc/ssh/ssh_host_ed25519_key.pub": key.with_suffix(".pub").read_bytes(),
        }
    )


def _lab_labels(folder: Folder) -> tuple[str, ...]:
    """Mark a container as this lab's. The folder tells labs of one name apart where users share an engine."""
    return (f"crashcart.lab={folder.name}", f"crashcart.folder={folder.path}")


def _name(folder: Folder, host: str) -> str:
    """Name a container for whoever looks at the engine, and so that a host cannot be made twice at a time."""
    digest = hashlib.sha256(str(folder.path).encode()).hexdigest()[:6]
    return f"crashcart-{folder.name}-{host}-{digest}"


def _container(described: dict[str, Any]) -> Container:
    labels = described["Config"]["Labels"]
    bindings = described["HostConfig"].get("PortBindings") or {}
    return Container(
        id=described["Id"],
        host=labels.get("crashcart.host", ""),
        running=described["State"]["Status"] == "running",
        port=_published(bindings, 22),
        web_port=_published(bindings, WEB),
        recipe=labels.get("crashcart.recipe", ""),
    )


def _published(bindings: dict[str, Any], port: int) -> int:
    """Tell where a port of the container is published; 0 is nowhere."""
    bound = bindings.get(f"{port}/tcp") or [{}]
    return int(bound[0].get("HostPort") or 0)
