"""How long does check.all take over many hosts? One sshd on all of 127.0.0.0/8, so all hosts share this machine's cores.

    python benchmarks/triage.py                      200 targets, as many forks as the command takes by itself
    python benchmarks/triage.py --targets 60 --silent 66

``--silent`` adds targets that accept connections and never answer; they come first. Prints seconds,
execs per host (counted in sshd's log), CPU seconds of the controller, and the verdicts. Needs sshd.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

from fanout import make_hosts, sshd


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--targets", type=int, default=200)
    parser.add_argument("--forks", default="", help="default: the command's own")
    parser.add_argument("--silent", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="triage-") as name, sshd(Path(name)) as (port, log), closing(mute()) as silent:
        folder = Path(name)
        add_systemctl(folder)
        inventory = write_inventory(folder, options, port, silent.getsockname()[1])
        began, cpu = time.monotonic(), os.times()
        document = check(folder, inventory, options.forks)
        seconds, after, execs = time.monotonic() - began, os.times(), log_count(log)
    verdicts = Counter(target["verdict"] for target in document["targets"])
    forks = f"{options.forks or 'default'} forks, {os.cpu_count()} cores"
    print(f"{options.targets} targets and {options.silent} silent ones, {forks}")
    print(f"{seconds:.1f} s, {execs / options.targets:.1f} execs a host, verdicts {dict(verdicts)}")
    print(f"children used {after.children_user + after.children_system - cpu.children_user - cpu.children_system:.1f} CPU s")
    return 0


def add_systemctl(folder: Path) -> None:
    """A stand-in where no systemd runs, such as in a container: the login shell's own settings put it on the PATH."""
    (folder / "bin").mkdir()
    tool = folder / "bin/systemctl"
    tool.write_text("#!/bin/sh\nprintf 'Id=a.service\\nActiveState=active\\nSubState=running\\n'\n")
    tool.chmod(0o755)
    (folder / ".bashrc").write_text(f"PATH={folder}/bin:$PATH\n")


def mute() -> socket.socket:
    """Listen and never answer."""
    return socket.create_server(("127.0.0.1", 0), backlog=256)


def write_inventory(folder: Path, options: argparse.Namespace, port: int, silent: int) -> Path:
    login = {
        "ansible_user": "root",
        "ansible_port": port,
        "ansible_ssh_private_key_file": str(folder / "key"),
        "ansible_ssh_common_args": f"-o UserKnownHostsFile={folder}/known_hosts",
    }
    hosts: dict[str, dict[str, Any]] = {
        f"silent{n}": {"ansible_host": "127.0.0.1", "ansible_port": silent} for n in range(options.silent)
    }
    hosts |= {name: {"ansible_host": address} for name, address, _ in make_hosts(options.targets, "")}
    path = folder / "hosts.yml"
    path.write_text(json.dumps({"all": {"hosts": hosts, "vars": login}}))
    return path


def check(folder: Path, inventory: Path, forks: str) -> Any:
    program = Path(sys.executable).with_name("crashcart")
    words = [str(program), "check.all", "--hosts", "all", "--inventory", str(inventory)]
    words += ["--forks", forks] if forks else []
    environment = {**os.environ, "CRASHCART_STATE": str(folder / "state")}
    done = subprocess.run(
        [*words, "--output", "json"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
    )
    return json.loads(done.stdout)


def log_count(log: Path) -> int:
    return log.read_text(errors="replace").count("Starting session: command")


if __name__ == "__main__":
    sys.exit(main())
