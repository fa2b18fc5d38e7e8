"""A real sshd on loopback, with its own keys and configuration, run by whoever runs the tests."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import threading
from pathlib import Path
from typing import Any

from crashcart.targets import Target

_CONFIG = """\
Port {port}
ListenAddress {address}
HostKey {folder}/host_ed25519
AuthorizedKeysFile {folder}/authorized_keys
StrictModes no
PidFile none
UsePAM no
PasswordAuthentication no
PermitRootLogin yes
MaxStartups 1000
LogLevel INFO
# A shell that believes to be nested reads no ~/.bashrc: the tests depend on nobody's.
SetEnv {environment}
{extra}
"""


class Sshd:
    """One sshd. ``key`` logs in; ``known_hosts`` holds its host key."""

    def __init__(
        self,
        folder: Path,
        *extra: str,
        address: str = "127.0.0.1",
        environment: str = "",
        prefix: tuple[str, ...] = (),
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.address = address
        self.port = free_port()
        self.host_key = make_key(folder / "host_ed25519")
        self.key = make_key(folder / "user_ed25519")
        shutil.copy(f"{self.key}.pub", folder / "authorized_keys")
        self.known_hosts = folder / "known_hosts"
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {public(self.host_key)}\n")
        config = folder / "sshd_config"
        environment = environment or f"SHLVL=9 PATH={self._sudo_for_all()}:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        values = {"port": self.port, "address": address, "folder": folder, "environment": environment}
        config.write_text(_CONFIG.format(**values, extra="\n".join(extra)))
        self.log: list[str] = []
        self._process = self._start([*prefix, sshd_program(), "-D", "-e", "-f", str(config)])

    def target(self, name: str = "web1", **variables: Any) -> Target:
        """Return a target that logs in to this sshd; variables are added or replaced."""
        own = {
            "ansible_host": "127.0.0.1",
            "ansible_port": self.port,
            "ansible_user": getpass.getuser(),
            "ansible_ssh_private_key_file": str(self.key),
            "ansible_ssh_common_args": f"-o UserKnownHostsFile={self.known_hosts} -o GlobalKnownHostsFile=none",
        }
        return Target(name, variables=own | variables)

    def let_in(self, key: Path) -> None:
        """Let another key log in, too."""
        with (self.folder / "authorized_keys").open("a") as file:
            file.write(f"{public(key)}\n")

    def cut_connections(self) -> None:
        """End all connections, as a restart of the host would."""
        self.signal_connections(signal.SIGKILL)

    def signal_connections(self, number: signal.Signals) -> None:
        """Signal the processes that serve the connections: a crash, or a host that hangs."""
        for pid in descendants(self._process.pid):
            if Path(f"/proc/{pid}/comm").read_text().startswith("sshd"):
                os.kill(pid, number)

    def stop(self) -> None:
        """End the server and what serves its connections."""
        everyone = descendants(self._process.pid)
        self._process.kill()
        self._process.wait()
        for pid in everyone:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._reader.join()

    def _sudo_for_all(self) -> Path:
        """Make a sudo that asks for nothing, so that the tests run as any user: for root it is not used at all."""
        folder = self.folder / "bin"
        folder.mkdir()
        (folder / "sudo").write_text('#!/bin/sh\nshift 2\nexec "$@"\n')
        (folder / "sudo").chmod(0o755)
        return folder

    def _start(self, command: list[str]) -> subprocess.Popen[str]:
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, errors="replace")
        for line in process.stderr or ():
            self.log.append(line)
            if "Server listening" in line:
                break
        else:
            raise RuntimeError(f"sshd did not start: {''.join(self.log)}")
        self._reader = threading.Thread(target=self._read, args=(process,), daemon=True)
        self._reader.start()
        return process

    def _read(self, process: subprocess.Popen[str]) -> None:
        if process.stderr is not None:
            with process.stderr as log:
                self.log.extend(log)


def sshd_program() -> str:
    return shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/sbin") or "/usr/sbin/sshd"


def make_key(path: Path, kind: str = "ed25519", passphrase: str = "") -> Path:
    """Make a key pair and return the path of the private one."""
    bits = ["-b", "2048"] if kind == "rsa" else []
    subprocess.run(
        ["ssh-keygen", "-q", "-t", kind, *bits, "-N", passphrase, "-C", "test", "-f", str(path)],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    return path


def public(key: Path) -> str:
    """Return a key's public half as known_hosts writes it."""
    return " ".join(Path(f"{key}.pub").read_text().split()[:2])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def descendants(pid: int) -> list[int]:
    """Return the processes below one, the deepest last."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found = list(parents.get(pid, []))
    for child in found:
        found.extend(parents.get(child, []))
    return found


def alive(pid: int) -> bool:
    """Tell whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
