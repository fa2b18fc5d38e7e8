"""How fast is a fan-out? One sshd on all of 127.0.0.0/8, many targets, peers in the same run.

    python benchmarks/fanout.py                      200 targets, 32 forks
    python benchmarks/fanout.py --targets 1000
    python benchmarks/fanout.py --ansible PATH --pyinfra PATH

Prints, per contestant: seconds, the ratio to bare Fabric, execs per host (counted in sshd's log), CPU seconds of the
controller and its peak memory. Needs sshd; the comparison of a change needs root, since it mounts a small tmpfs per target.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CHANGE_TARGETS = 50
AGED = "202001010000"

FABRIC_SCRIPT = """
import sys
from concurrent.futures import ThreadPoolExecutor
from fabric import Config, Connection

port, key, forks, command = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
hosts = [line.split() for line in sys.stdin]

def visit(host):
    name, address, folder = host
    connection = Connection(address, user="root", port=port, config=Config(), connect_kwargs={"key_filename": key})
    result = connection.run(command.replace("FOLDER", folder), hide=True, in_stream=False)
    connection.close()
    return result.ok

with ThreadPoolExecutor(forks) as pool:
    assert all(pool.map(visit, hosts))
"""

PLAYBOOK = """
summary: The benchmark's disk-space recovery, each target with a folder of its own
kinds: [linux]
rollout: {batches: [100%], max_failures: 0%}
steps:
  - disk.reclaim: {path: "{{ folder }}", below: "{{ below }}", log_dirs: ["{{ folder }}"]}
"""


@dataclass(frozen=True)
class Cost:
    """What one contestant took."""

    seconds: float
    cpu: float
    peak_mb: float
    execs: float


@dataclass(frozen=True)
class Ground:
    """The place where contestants run."""

    folder: Path
    port: int
    forks: int
    hosts: tuple[tuple[str, str, str], ...]
    sshd_log: Path

    @property
    def key(self) -> Path:
        return self.folder / "key"


Peer = Callable[[Ground, str], Cost]
"""Runs one equivalent shell line on every target."""


def main() -> int:
    options = parse_options()
    with tempfile.TemporaryDirectory(prefix="fanout-") as name, sshd(Path(name)) as (port, log):
        base = Path(name)
        print(f"{options.targets} targets, {options.forks} forks, {os.cpu_count()} cores")
        hosts = make_hosts(options.targets, "/var/log")
        report("no-op", noop(Ground(base, port, options.forks, hosts, log), options))
        if os.geteuid() == 0:
            report(f"change, {CHANGE_TARGETS} targets", change(base, port, log, options))
        else:
            print("change: left out, it needs root for its mounts")
        report_list()
    return 0


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--targets", type=int, default=200)
    parser.add_argument("--forks", type=int, default=32)
    parser.add_argument("--ansible", help="path of ansible-playbook", default=shutil.which("ansible-playbook"))
    parser.add_argument("--pyinfra", help="path of pyinfra", default=shutil.which("pyinfra"))
    return parser.parse_args()


def make_hosts(count: int, folder: str) -> tuple[tuple[str, str, str], ...]:
    return tuple((f"h{n}", f"127.1.{n // 250}.{n % 250 + 1}", folder.format(n=n)) for n in range(count))


def noop(ground: Ground, options: argparse.Namespace) -> dict[str, Cost]:
    line = "df -P /var/log | tail -n 1 && df -Pi /var/log | tail -n 1"
    costs = {"bare Fabric": fabric(ground, line), "crashcart": crashcart(ground, below="100")}
    return costs | others(ground, options, line)


def change(base: Path, port: int, log: Path, options: argparse.Namespace) -> dict[str, Cost]:
    folder = "/srv/crashcart-bench-{n}/logs"
    ground = Ground(base, port, options.forks, make_hosts(CHANGE_TARGETS, folder), log)
    line = "find FOLDER -xdev -type f -name '*.gz' -mtime +7 -delete"
    costs = {}
    with mounts(ground):
        fill(ground)
        costs["bare Fabric"] = fabric(ground, line)
        fill(ground)
        costs["crashcart"] = crashcart(ground, below="50")
        for name, contestant in peers(options).items():
            fill(ground)
            costs[name] = contestant(ground, line)
    return costs


def others(ground: Ground, options: argparse.Namespace, line: str) -> dict[str, Cost]:
    return {name: contestant(ground, line) for name, contestant in peers(options).items()}


def peers(options: argparse.Namespace) -> dict[str, Peer]:
    found: dict[str, Peer] = {}
    if options.ansible:
        found["ansible (raw)"] = lambda ground, line: ansible(ground, options.ansible, line)
    if options.pyinfra:
        found["pyinfra (shell)"] = lambda ground, line: pyinfra(ground, options.pyinfra, line)
    return found


def fabric(ground: Ground, line: str) -> Cost:
    words = [sys.executable, "-c", FABRIC_SCRIPT, str(ground.port), str(ground.key), str(ground.forks), line]
    return measure(ground, words, stdin="\n".join(" ".join(host) for host in ground.hosts))


def crashcart(ground: Ground, below: str) -> Cost:
    checkout = ground.folder / f"checkout-{len(ground.hosts)}-{below}"
    playbook = checkout / "playbooks/recover/bench.yml"
    playbook.parent.mkdir(parents=True, exist_ok=True)
    playbook.write_text(PLAYBOOK)
    (checkout / "tasks.py").touch()
    inventory = checkout / "hosts.yml"
    write_inventory(inventory, ground, below)
    program = Path(sys.executable).with_name("crashcart")
    words = [str(program), "recover.bench", "--hosts", "all", "--inventory", str(inventory), "--output", "json"]
    words += ["--forks", str(ground.forks)]
    return measure(ground, words, cwd=checkout, env={"CRASHCART_STATE": str(ground.folder / "state")}, is_json=True)


def write_inventory(path: Path, ground: Ground, below: str) -> None:
    login = {
        "ansible_user": "root",
        "ansible_port": ground.port,
        "ansible_ssh_private_key_file": str(ground.key),
        "ansible_ssh_common_args": f"-o UserKnownHostsFile={ground.folder}/known_hosts",
        "below": below,
    }
    hosts = {name: {"ansible_host": address, "folder": folder} for name, address, folder in ground.hosts}
    path.write_text(json.dumps({"all": {"hosts": hosts, "vars": login}}))


def ansible(ground: Ground, program: str, line: str) -> Cost:
    inventory, playbook = ground.folder / "ansible-hosts.yml", ground.folder / "ansible.yml"
    write_inventory(inventory, ground, "0")
    command = line.replace("FOLDER", "{{ folder }}")
    playbook.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": [{"ansible.builtin.raw": command}]}]))
    env = {"ANSIBLE_HOST_KEY_CHECKING": "False", "ANSIBLE_PIPELINING": "True", "ANSIBLE_FORKS": str(ground.forks)}
    return measure(ground, [program, "-i", str(inventory), str(playbook)], env=env)


def pyinfra(ground: Ground, program: str, line: str) -> Cost:
    inventory, deploy = ground.folder / "inv.py", ground.folder / "deploy.py"
    login = {"ssh_user": "root", "ssh_port": ground.port, "ssh_key": str(ground.key), "ssh_strict_host_key_checking": "off"}
    inventory.write_text(f"hosts = {[(address, {**login, 'folder': folder}) for _, address, folder in ground.hosts]!r}\n")
    deploy.write_text(
        "from pyinfra import host\nfrom pyinfra.operations import server\n"
        f"server.shell(commands=[{line!r}.replace('FOLDER', host.data.folder)])\n"
    )
    return measure(ground, [program, "-y", "--parallel", str(ground.forks), str(inventory), str(deploy)])


def measure(
    ground: Ground,
    words: Sequence[str],
    *,
    stdin: str = "",
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
    is_json: bool = False,
) -> Cost:
    before = count_execs(ground)
    output = ground.folder / "output"
    began = time.monotonic()
    with output.open("wb") as out:
        process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=out, stderr=subprocess.STDOUT if not is_json else subprocess.DEVNULL,
            cwd=cwd, env={**os.environ, **(env or {})},
        )  # fmt: skip
        assert process.stdin
        process.stdin.write(stdin.encode())
        process.stdin.close()
        _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{words[0]} failed with {process.returncode}:\n{output.read_text(errors='replace')[-3000:]}")
    execs = (count_execs(ground) - before) / len(ground.hosts)
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, execs)


def count_execs(ground: Ground) -> int:
    return ground.sshd_log.read_text(errors="replace").count("Starting session: command")


def report(title: str, costs: dict[str, Cost]) -> None:
    base = costs["bare Fabric"].seconds
    print(f"\n{title:<24} {'seconds':>8} {'ratio':>6} {'execs/host':>11} {'CPU s':>7} {'peak MB':>8}")
    for name, cost in costs.items():
        ratio = cost.seconds / base
        print(f"{name:<24} {cost.seconds:>8.2f} {ratio:>6.2f} {cost.execs:>11.1f} {cost.cpu:>7.2f} {cost.peak_mb:>8.0f}")


def report_list() -> None:
    """Compare ``inv --list`` here with an empty tasks.py."""
    inv = str(Path(sys.executable).with_name("inv"))
    checkout = Path(__file__).resolve().parent.parent
    with tempfile.TemporaryDirectory() as empty:
        Path(empty, "tasks.py").write_text("from invoke import task\n\n@task\ndef nothing(c):\n    pass\n")
        bare, ours = (best_of(5, [inv, "--list"], Path(folder)) for folder in (empty, checkout))
    print(f"\ninv --list: {ours * 1000:.0f} ms, an empty tasks.py {bare * 1000:.0f} ms, ratio {ours / bare:.2f}")


def best_of(times: int, words: Sequence[str], folder: Path) -> float:
    def once() -> float:
        began = time.monotonic()
        subprocess.run(words, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        return time.monotonic() - began

    return min(once() for _ in range(times))


@contextmanager
def sshd(folder: Path) -> Iterator[tuple[int, Path]]:
    """Run one sshd for all loopback addresses, with keys of its own and an empty home: no shell start-up files."""
    for name in ("key", "host_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    (folder / "authorized_keys").write_text((folder / "key.pub").read_text())
    port, log = 20022, folder / "sshd.log"
    config = f"""
        Port {port}
        ListenAddress 0.0.0.0
        HostKey {folder}/host_key
        AuthorizedKeysFile {folder}/authorized_keys
        PidFile none
        StrictModes no
        UsePAM no
        PermitRootLogin yes
        MaxStartups 2000
        LogLevel VERBOSE
        SetEnv HOME={folder}
    """
    (folder / "sshd_config").write_text(textwrap.dedent(config))
    host_key = " ".join((folder / "host_key.pub").read_text().split()[:2])
    lines = [f"[127.1.{a}.{b}]:{port} {host_key}\n" for a in range(5) for b in range(1, 251)]
    (folder / "known_hosts").write_text("".join(lines))
    Path("/run/sshd").mkdir(exist_ok=True)
    sshd_path = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:" + os.environ["PATH"])
    if not sshd_path:
        sys.exit("sshd is needed: apt-get install openssh-server")
    process = subprocess.Popen([sshd_path, "-D", "-f", folder / "sshd_config", "-E", log])
    try:
        wait_for_port(port)
        yield port, log
    finally:
        process.terminate()
        process.wait()


def wait_for_port(port: int) -> None:
    import socket  # noqa: PLC0415

    until = time.monotonic() + 10
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    sys.exit("sshd did not start")


@contextmanager
def mounts(ground: Ground) -> Iterator[None]:
    """Give every target a small file system of its own."""
    tops = [Path(folder).parent for _, _, folder in ground.hosts]
    try:
        for top in tops:
            top.mkdir(exist_ok=True)
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", top], check=True)
            (top / "logs").mkdir()
        yield
    finally:
        for top in tops:
            subprocess.run(["umount", top], check=False)
            top.rmdir()


def fill(ground: Ground) -> None:
    """Put an aged, rotated log into every target's folder, so that it is about 90 % full."""
    for _, _, folder in ground.hosts:
        log = Path(folder) / "app.log.1.gz"
        log.write_bytes(b"x" * 930_000)
        subprocess.run(["touch", "-t", AGED, log], check=True)


if __name__ == "__main__":
    sys.exit(main())
