"""Six ways not to get in are six messages with what to do; and the ways to get in."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from crashcart.errors import (
    AuthenticationFailed,
    Cancelled,
    ConnectRefused,
    ConnectTimeout,
    CrashcartError,
    HostKeyRefused,
    SilentPeer,
    TransportError,
    Unreachable,
)
from crashcart.secrets import Secret
from crashcart.transports.base import Command
from crashcart.transports.limits import Limits
from crashcart.transports.ssh import SshConnector
from crashcart.transports.ssh_login import Login
from tests.ssh.sshd import Sshd, make_key

TRUE = Command("true", become=False)
SHORT = Limits(connect=0.3, banner=0.3, authentication=0.5, channel=1.0, login=1.0)


def failure(connector: SshConnector, sshd: Sshd, **variables: Any) -> CrashcartError:
    transport = connector(sshd.target(**variables))
    with pytest.raises((TransportError, HostKeyRefused)) as caught:
        transport.run(TRUE)
    transport.close()
    return caught.value


def test_nothing_is_contacted_before_the_first_use(connector: SshConnector, sshd: Sshd, closed_port: int) -> None:
    connector(sshd.target(ansible_port=closed_port)).close()


def test_refused(connector: SshConnector, sshd: Sshd, closed_port: int) -> None:
    error = failure(connector, sshd, ansible_port=closed_port)
    assert type(error) is ConnectRefused
    assert error.message == f"127.0.0.1:{closed_port} refuses the connection: nothing listens there"
    assert "sshd" in error.hint
    assert isinstance(error.__cause__, ConnectionRefusedError)


def test_timed_out(sshd: Sshd, dropping_port: int) -> None:
    error = failure(SshConnector(limits=SHORT), sshd, ansible_port=dropping_port)
    assert type(error) is ConnectTimeout
    assert "no TCP connection within 0.3 s" in error.message
    assert "firewall" in error.hint


def test_a_connect_timeout_of_the_inventory_may_only_be_shorter(sshd: Sshd, dropping_port: int) -> None:
    args = "-o ConnectTimeout=60"
    error = failure(SshConnector(limits=SHORT), sshd, ansible_port=dropping_port, ansible_ssh_extra_args=args)
    assert "within 0.3 s" in error.message


def test_silent_peer(sshd: Sshd, silent_port: int) -> None:
    error = failure(SshConnector(limits=SHORT), sshd, ansible_port=silent_port)
    assert type(error) is SilentPeer
    assert "accepts the connection and then says nothing" in error.message
    assert error.hint


def test_a_peer_that_is_silent_after_its_banner(sshd: Sshd) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        greeter = threading.Thread(target=lambda: peers.append(greet(server)))
        peers: list[socket.socket] = []
        greeter.start()
        error = failure(SshConnector(limits=SHORT), sshd, ansible_port=server.getsockname()[1])
        greeter.join()
        peers[0].close()
    assert type(error) is SilentPeer


def greet(server: socket.socket) -> socket.socket:
    peer, _ = server.accept()
    peer.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
    return peer


def test_no_ssh_server(sshd: Sshd) -> None:
    def answer() -> None:
        peer, _ = server.accept()
        with peer:
            peer.sendall(b"HTTP/1.1 400 Bad Request\r\n" * 100)
            peer.recv(100)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer)
        thread.start()
        error = failure(SshConnector(), sshd, ansible_port=server.getsockname()[1])
        thread.join()
    assert isinstance(error, Unreachable)
    assert "protocol version" in error.message


def test_a_second_try_follows_a_reset_during_the_handshake_and_only_one(sshd: Sshd) -> None:
    accepted: list[socket.socket] = []

    def hang_up() -> None:
        for _ in range(2):
            peer, _ = server.accept()
            accepted.append(peer)
            peer.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=hang_up)
        thread.start()
        error = failure(SshConnector(), sshd, ansible_port=server.getsockname()[1])
        thread.join()
    assert isinstance(error, Unreachable)
    assert "hung up during the handshake" in error.message
    assert "MaxStartups" in error.hint
    assert len(accepted) == 2


def test_authentication(connector: SshConnector, sshd: Sshd, other_key: Path) -> None:
    error = failure(connector, sshd, ansible_user="root", ansible_ssh_private_key_file=str(other_key))
    assert type(error) is AuthenticationFailed
    assert error.message == f"root@127.0.0.1:{sshd.port} denied the login; tried: {other_key}"
    assert "authorized_keys" in error.hint


def test_there_is_no_key(connector: SshConnector, sshd: Sshd) -> None:
    error = failure(connector, sshd, ansible_ssh_private_key_file=None)
    assert "there is no key" in error.message
    assert "ansible_ssh_private_key_file" in error.hint


def test_a_password_that_is_wrong_or_not_wanted(connector: SshConnector, sshd: Sshd) -> None:
    error = failure(connector, sshd, ansible_ssh_private_key_file=None, ansible_password=Secret("hunter2"))
    assert type(error) is AuthenticationFailed
    assert error.message.endswith("tried: the password")
    assert "hunter2" not in str(error)


def test_keys_that_cannot_be_used_say_why(connector: SshConnector, sshd: Sshd, tmp_path: Path) -> None:
    locked = make_key(tmp_path / "locked", passphrase="secret")  # noqa: S106 - of a key that is made here
    garbage = tmp_path / "garbage"
    garbage.write_text("not a key")
    assert "has a passphrase" in failure(connector, sshd, ansible_ssh_private_key_file=str(locked)).message
    assert "not a private key" in failure(connector, sshd, ansible_ssh_private_key_file=str(garbage)).message


def test_a_default_identity_is_used(connector: SshConnector, sshd: Sshd, home: Path) -> None:
    (home / ".ssh/id_ed25519").write_bytes(sshd.key.read_bytes())
    transport = connector(sshd.target(ansible_ssh_private_key_file=None))
    assert transport.run(TRUE).ok
    transport.close()


def test_a_named_key_keeps_the_default_ones_out(connector: SshConnector, sshd: Sshd, home: Path, other_key: Path) -> None:
    (home / ".ssh/id_ed25519").write_bytes(sshd.key.read_bytes())
    error = failure(connector, sshd, ansible_ssh_private_key_file=str(other_key))
    assert "id_ed25519" not in error.message


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], object]]:
    """Start an SSH agent; returns a function that gives it a key."""
    path = tmp_path / "agent.sock"
    monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    try:
        yield lambda key: subprocess.run(["ssh-add", "-q", str(key)], check=True)
    finally:
        process.terminate()
        process.communicate()


def test_the_agent_is_asked(connector: SshConnector, sshd: Sshd, agent: Callable[[Path], object]) -> None:
    agent(sshd.key)
    transport = connector(sshd.target(ansible_ssh_private_key_file=None))
    assert transport.run(TRUE).ok
    transport.close()


def test_the_agent_holds_a_named_key_that_is_locked(
    connector: SshConnector, sshd: Sshd, agent: Callable[[Path], object], tmp_path: Path
) -> None:
    agent(sshd.key)
    locked = tmp_path / "locked"
    locked.touch(mode=0o600)
    locked.write_bytes(sshd.key.read_bytes())
    (tmp_path / "locked.pub").write_bytes(Path(f"{sshd.key}.pub").read_bytes())
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", "secret", "-f", str(locked)], check=True)
    transport = connector(sshd.target(ansible_ssh_private_key_file=str(locked)))
    assert transport.run(TRUE).ok
    transport.close()


def test_too_many_keys_name_the_fix(connector: SshConnector, new_sshd: Callable[..., Sshd], tmp_path: Path) -> None:
    server = new_sshd("MaxAuthTries 6")
    keys = [make_key(tmp_path / f"k{number}") for number in range(8)]
    args = server.target().variables["ansible_ssh_common_args"] + "".join(f" -i {key}" for key in keys)
    error = failure(connector, server, ansible_ssh_private_key_file=None, ansible_ssh_common_args=args)
    assert "hung up during the login" in error.message
    assert "too many keys" in error.hint


def test_a_cancelled_login_ends_at_once(sshd: Sshd) -> None:
    accepted = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        transport = SshConnector()(sshd.target(ansible_port=server.getsockname()[1]))

        def cancel() -> None:
            peer, _ = server.accept()
            with peer:
                peer.recv(100)
                transport.cancel()
                accepted.set()
                peer.recv(100)

        thread = threading.Thread(target=cancel)
        thread.start()
        with pytest.raises(Cancelled):
            transport.run(TRUE)
        thread.join()
    assert accepted.is_set()


def test_a_login_that_is_cancelled_just_as_it_is_done(
    connector: SshConnector, sshd: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    transport = connector(sshd.target())

    def open_and_cancel(login: Login) -> Any:
        monkeypatch.undo()
        connection = login.open()
        transport.cancel()
        return connection

    monkeypatch.setattr(Login, "open", open_and_cancel)
    with pytest.raises(Cancelled):
        transport.run(TRUE)
    assert transport.run(TRUE).ok
    transport.close()


def test_fabric_and_paramiko_are_not_imported_by_the_module() -> None:
    code = "import crashcart.transports.ssh, sys; sys.exit(bool({'fabric', 'paramiko'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], check=True)
