"""Ways to a host: jump hosts, proxy commands, and what ~/.ssh/config says."""

from __future__ import annotations

import getpass
import shlex
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from crashcart.errors import AuthenticationFailed, ConnectRefused, HostKeyRefused, Unreachable
from crashcart.targets import Target
from crashcart.transports.base import Command
from crashcart.transports.ssh import SshConnector, SshTransport
from tests.ssh.sshd import Sshd

WHERE_FROM = Command("echo $SSH_CONNECTION", become=False)
ME = getpass.getuser()


@pytest.fixture
def jump(new_sshd: Callable[..., Sshd], sshd: Sshd) -> Sshd:
    """A second server to go through; it lets in whoever the first one does."""
    server = new_sshd()
    server.let_in(sshd.key)
    sshd_entry = sshd.known_hosts.read_text()
    server.known_hosts.write_text(server.known_hosts.read_text() + sshd_entry)
    return server


@pytest.fixture
def behind(sshd: Sshd, jump: Sshd) -> Callable[..., Target]:
    """Make targets behind the jump host, known by the jump host's known_hosts file."""

    def target(name: str = "web1", extra: str = "", **variables: object) -> Target:
        args = f"-o UserKnownHostsFile={jump.known_hosts} -J {ME}@127.0.0.1:{jump.port} {extra}"
        return sshd.target(name, ansible_ssh_common_args=args, **variables)

    return target


def logins(server: Sshd) -> int:
    return sum("Accepted publickey" in line for line in server.log)


def where_from(transport: SshTransport) -> str:
    try:
        return transport.run(WHERE_FROM).stdout.text
    finally:
        transport.close()


def test_a_jump_host_is_logged_in_to_once(
    connector: SshConnector, behind: Callable[..., Target], jump: Sshd, sshd: Sshd
) -> None:
    transports = [connector(behind(f"web{number}")) for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(where_from, transports))
    assert all(answer.split()[3] == str(sshd.port) for answer in answers)
    assert logins(jump) == 1


def test_a_jump_host_that_went_away_is_logged_in_to_again(
    connector: SshConnector, behind: Callable[..., Target], jump: Sshd
) -> None:
    where_from(connector(behind()))
    jump.cut_connections()
    transport = connector(behind())
    for _ in range(1000):
        try:
            assert where_from(transport)
            break
        except Unreachable:
            continue
    assert logins(jump) == 2


def test_two_jumps(connector: SshConnector, sshd: Sshd, jump: Sshd, new_sshd: Callable[..., Sshd]) -> None:
    second = new_sshd()
    second.let_in(sshd.key)
    with jump.known_hosts.open("a") as known:
        known.write(second.known_hosts.read_text())
    chain = f"{ME}@127.0.0.1:{jump.port},{ME}@127.0.0.1:{second.port}"
    args = f"-o UserKnownHostsFile={jump.known_hosts} -o ProxyJump={chain}"
    assert where_from(connector(sshd.target(ansible_ssh_common_args=args)))
    assert logins(jump) == logins(second) == 1


def test_what_is_wrong_with_a_jump_host_is_said_of_the_jump_host(
    connector: SshConnector, sshd: Sshd, jump: Sshd, closed_port: int, other_key: Path
) -> None:
    known = f"-o UserKnownHostsFile={jump.known_hosts}"
    dead = sshd.target(ansible_ssh_common_args=f"{known} -J 127.0.0.1:{closed_port}")
    for _ in range(2):
        with pytest.raises(ConnectRefused, match=r"jump host 127.0.0.1: 127.0.0.1:\d+ refuses"):
            where_from(connector(dead))
    locked = sshd.target(
        ansible_ssh_common_args=f"{known} -J {ME}@127.0.0.1:{jump.port}", ansible_ssh_private_key_file=str(other_key)
    )
    with pytest.raises(AuthenticationFailed, match="jump host"):
        where_from(connector(locked))


def test_a_jump_host_has_its_key_verified(connector: SshConnector, sshd: Sshd, jump: Sshd) -> None:
    args = f"-o UserKnownHostsFile={sshd.known_hosts} -o GlobalKnownHostsFile=none -J {ME}@127.0.0.1:{jump.port}"
    with pytest.raises(HostKeyRefused, match=f"jump host.*127.0.0.1:{jump.port} is unknown"):
        where_from(connector(sshd.target(ansible_ssh_common_args=args)))


def test_what_the_jump_host_cannot_reach(connector: SshConnector, behind: Callable[..., Target], closed_port: int) -> None:
    with pytest.raises(ConnectRefused, match=r"jump host 127\.0\.0\.1 cannot connect") as caught:
        where_from(connector(behind(ansible_port=closed_port)))
    assert "up" in caught.value.hint


def test_a_jump_host_that_does_not_forward(connector: SshConnector, sshd: Sshd, new_sshd: Callable[..., Sshd]) -> None:
    server = new_sshd("AllowTcpForwarding no")
    server.let_in(sshd.key)
    args = f"-o UserKnownHostsFile={server.known_hosts} -J {ME}@127.0.0.1:{server.port}"
    with pytest.raises(Unreachable, match="does not forward") as caught:
        where_from(connector(sshd.target(ansible_ssh_common_args=args)))
    assert "AllowTcpForwarding" in caught.value.hint


PROXY = """
import os, socket, sys, threading
wire = socket.create_connection((sys.argv[1], int(sys.argv[2])))
def up():
    while data := os.read(0, 65536):
        wire.sendall(data)
    wire.shutdown(socket.SHUT_WR)
threading.Thread(target=up, daemon=True).start()
while data := wire.recv(65536):
    os.write(1, data)
"""


@pytest.fixture
def proxy(tmp_path: Path) -> str:
    script = tmp_path / "proxy.py"
    script.write_text(PROXY)
    return shlex.join([sys.executable, str(script)])


def test_a_proxy_command(connector: SshConnector, sshd: Sshd, proxy: str) -> None:
    args = f"-o UserKnownHostsFile={sshd.known_hosts} -o ProxyCommand='{proxy} %h %p'"
    transport = connector(sshd.target(ansible_ssh_common_args=args))
    assert len(transport.run(Command("head -c 3000000 /dev/zero", become=False)).stdout.data) == 1 << 20
    assert where_from(transport)


def test_a_proxy_command_that_fails_is_quoted(connector: SshConnector, sshd: Sshd) -> None:
    args = "-o ProxyCommand='echo no such bastion >&2; exit 1'"
    with pytest.raises(Unreachable, match="no such bastion"):
        where_from(connector(sshd.target(ansible_ssh_common_args=args)))


def test_ssh_config_is_honoured(connector: SshConnector, sshd: Sshd, jump: Sshd, home: Path) -> None:
    (home / ".ssh/config.d").mkdir()
    (home / ".ssh/config.d/bastion").write_text(f"Host bastion\n  HostName 127.0.0.1\n  Port {jump.port}\n")
    (home / ".ssh/config").write_text(
        f"Include config.d/*\n"
        f"Host web*\n  HostName 127.0.0.1\n  Port {sshd.port}\n  ProxyJump bastion\n"
        f"Match user {ME}\n  IdentityFile {sshd.key}\n"
        f"Host *\n  User {ME}\n  UserKnownHostsFile {jump.known_hosts}\n"
    )
    assert where_from(connector(Target("web1"))).split()[3] == str(sshd.port)
    assert logins(jump) == 1


def test_the_inventory_wins_over_ssh_config(
    connector: SshConnector, sshd: Sshd, home: Path, closed_port: int, other_key: Path
) -> None:
    (home / ".ssh/config").write_text(
        f"Host *\n  Port {closed_port}\n  User nobody\n  IdentityFile {other_key}\n  UserKnownHostsFile /dev/null\n"
    )
    assert where_from(connector(sshd.target()))
