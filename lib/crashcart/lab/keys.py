"""The lab's SSH keys: one to log in with, and one per host, made once and kept while the lab's folder is."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from crashcart.lab.engine import Engine
from crashcart.lab.folder import Folder

# In a throw-away container of the lab's image, so that the controller needs no ssh-keygen.
_KEYGEN = """umask 077; cd "$(mktemp -d)" || exit
for name in "$@"; do ssh-keygen -q -t ed25519 -N '' -C "crashcart $name" -f "$name" || exit; done >&2
tar -cf - -- *"""


def ensure_keys(engine: Engine, image: str, folder: Folder, hosts: list[str]) -> None:
    """Make the keys that are missing."""
    wanted = {"ops": folder.client_key, **{host: folder.host_key(host) for host in hosts}}
    missing = {name: path for name, path in wanted.items() if not (path.exists() and path.with_suffix(".pub").exists())}
    if not missing:
        return
    throw_away = ("run", "--rm", "--pull=never", "--network=none", *engine.limits)
    made = engine.ask(*throw_away, image, "sh", "-c", _KEYGEN, "keygen", *missing, timeout=60.0)
    _unpack(made, missing, folder)


def known_hosts_text(folder: Folder, address: str, ports: dict[str, int]) -> str:
    """Return known_hosts for hosts by name and port."""
    keys = ((port, folder.host_key(host).with_suffix(".pub").read_text().split()) for host, port in ports.items())
    return "".join(f"[{address}]:{port} {' '.join(key[:2])}\n" for port, key in keys)


def _unpack(made: bytes, paths: dict[str, Path], folder: Folder) -> None:
    """Write the public half last: both halves are there when it is."""
    with tarfile.open(fileobj=io.BytesIO(made)) as tar:
        halves = {entry.name: file.read() for entry in tar if (file := tar.extractfile(entry))}
    for name, path in paths.items():
        folder.write(path, halves[name])
        folder.write(path.with_suffix(".pub"), halves[f"{name}.pub"])
