"""Host keys are always verified: against a real server, with every form of entry that known_hosts has."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from crashcart.errors import HostKeyRefused
from crashcart.targets import Target
from crashcart.transports.base import Command
from crashcart.transports.knownhosts import PublicKey
from crashcart.transports.ssh import SshConnector
from tests.ssh.sshd import Sshd, make_key, public

TRUE = Command("true", become=False)


@pytest.fixture
def known_hosts(tmp_path: Path) -> Path:
    return tmp_path / "known_hosts"


@pytest.fixture
def target(sshd: Sshd, known_hosts: Path) -> Target:
    return sshd.target(ansible_ssh_common_args=f"-o UserKnownHostsFile={known_hosts} -o GlobalKnownHostsFile=none")


def login(target: Target, *, accept: bool = False) -> None:
    transport = SshConnector(accept_new_host_keys=accept)(target)
    try:
        assert transport.run(TRUE).ok
    finally:
        transport.close()


def refusal(target: Target, *, accept: bool = False) -> HostKeyRefused:
    with pytest.raises(HostKeyRefused) as caught:
        login(target, accept=accept)
    return caught.value


def fingerprint(key: Path) -> str:
    printed = subprocess.run(["ssh-keygen", "-lf", str(key)], check=True, capture_output=True, text=True)
    return printed.stdout.split()[1]


def test_unknown(sshd: Sshd, target: Target, known_hosts: Path) -> None:
    error = refusal(target)
    assert "is unknown" in error.message
    assert fingerprint(sshd.host_key) in error.message
    assert f"[127.0.0.1]:{sshd.port}" in error.message
    assert "--accept-new-host-keys" in error.hint
    assert f"ssh-keyscan -p {sshd.port} 127.0.0.1 >> {known_hosts}" in error.hint
    assert not known_hosts.exists()


def test_changed(sshd: Sshd, target: Target, known_hosts: Path, other_key: Path) -> None:
    line = f"[127.0.0.1]:{sshd.port} {public(other_key)}\n"
    known_hosts.write_text(f"# comment\n\n{line}")
    for accept in (False, True):
        error = refusal(target, accept=accept)
        assert "has changed" in error.message
        assert fingerprint(sshd.host_key) in error.message
        assert fingerprint(other_key) in error.message
        assert f"{known_hosts}:3" in error.message
        assert f"ssh-keygen -R '[127.0.0.1]:{sshd.port}' -f {known_hosts}" in error.hint
    assert known_hosts.read_text().endswith(line)


def test_the_fix_of_a_changed_key_works(sshd: Sshd, target: Target, known_hosts: Path, other_key: Path) -> None:
    known_hosts.write_text(f"[127.0.0.1]:{sshd.port} {public(other_key)}\n")
    command = refusal(target).hint.partition("anew: ")[2].partition(", then")[0]
    subprocess.run(command, shell=True, check=True, capture_output=True)  # noqa: S602 - the line that a user would type
    login(target, accept=True)
    login(target)


@pytest.mark.parametrize(
    "name",
    ["[127.0.0.1]:{port}", "[127.0.0.?]:*", "web9,[127.0.0.1]:{port}", "*,!web9", "127.0.0.1", "127.*"],
)
def test_forms_of_names(sshd: Sshd, target: Target, known_hosts: Path, name: str) -> None:
    known_hosts.write_text(f"{name.format(port=sshd.port)} {public(sshd.host_key)} a comment\n")
    login(target)


def test_a_negated_name_is_not_known(sshd: Sshd, target: Target, known_hosts: Path) -> None:
    known_hosts.write_text(f"[127.*,![127.0.0.1]* {public(sshd.host_key)}\n")
    assert "is unknown" in refusal(target).message


def test_another_key_for_the_plain_name_says_nothing_about_this_port(
    sshd: Sshd, target: Target, known_hosts: Path, other_key: Path
) -> None:
    known_hosts.write_text(f"127.0.0.1 {public(other_key)}\n")
    assert "is unknown" in refusal(target).message


def test_hashed(sshd: Sshd, target: Target, known_hosts: Path, other_key: Path) -> None:
    known_hosts.write_text(f"[10.0.0.9]:22 {public(other_key)}\n[127.0.0.1]:{sshd.port} {public(sshd.host_key)}\n")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(known_hosts)], check=True, capture_output=True)
    assert known_hosts.read_text().startswith("|1|")
    login(target)


def test_hashed_and_changed(sshd: Sshd, target: Target, known_hosts: Path, other_key: Path) -> None:
    known_hosts.write_text(f"[127.0.0.1]:{sshd.port} {public(other_key)}\n")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(known_hosts)], check=True, capture_output=True)
    assert f"{known_hosts}:1" in refusal(target).message


def test_revoked(sshd: Sshd, target: Target, known_hosts: Path) -> None:
    entry = f"[127.0.0.1]:{sshd.port} {public(sshd.host_key)}\n"
    known_hosts.write_text(f"{entry}@revoked * {public(sshd.host_key)}\n")
    error = refusal(target, accept=True)
    assert "revoked" in error.message
    assert f"{known_hosts}:2" in error.message


def test_cert_authority(sshd: Sshd, target: Target, known_hosts: Path, other_key: Path) -> None:
    known_hosts.write_text(f"@cert-authority * {public(other_key)}\n")
    error = refusal(target)
    assert "certificate authority" in error.message
    assert f"{known_hosts}:1" in error.message
    assert "ssh_host_key" in error.hint
    login(target, accept=True)
    login(target)


def test_accept_new_records_the_key_once(sshd: Sshd, target: Target, known_hosts: Path) -> None:
    known_hosts.write_text("# no newline at the end")
    connector = SshConnector(accept_new_host_keys=True)

    def log_in(_: int) -> bool:
        transport = connector(target)
        try:
            return transport.run(TRUE).ok
        finally:
            transport.close()

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(log_in, range(8)))
    entry = f"[127.0.0.1]:{sshd.port} {public(sshd.host_key)}"
    assert known_hosts.read_text() == f"# no newline at the end\n{entry}\n"
    found = subprocess.run(["ssh-keygen", "-F", f"[127.0.0.1]:{sshd.port}", "-f", str(known_hosts)], check=False)
    assert found.returncode == 0
    login(target)


def test_accept_new_makes_the_folder_for_its_owner_only(target: Target, sshd: Sshd, tmp_path: Path) -> None:
    file = tmp_path / "new" / "folder" / "known_hosts"
    login(sshd.target(ansible_ssh_common_args=f"-o UserKnownHostsFile={file}"), accept=True)
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700


def test_accept_new_into_dev_null(sshd: Sshd) -> None:
    target = sshd.target(ansible_ssh_common_args="-o UserKnownHostsFile=/dev/null -o GlobalKnownHostsFile=none")
    login(target, accept=True)


def test_accept_new_where_nothing_can_be_written(sshd: Sshd) -> None:
    target = sshd.target(ansible_ssh_common_args="-o UserKnownHostsFile=/proc/none -o GlobalKnownHostsFile=none")
    assert "cannot be recorded" in refusal(target, accept=True).message


def test_a_pinned_key(sshd: Sshd, known_hosts: Path, other_key: Path) -> None:
    wrong = f"[127.0.0.1]:{sshd.port} {public(other_key)}\n"
    known_hosts.write_text(wrong)
    args = f"-o UserKnownHostsFile={known_hosts}"
    login(sshd.target(ssh_host_key=f"{public(sshd.host_key)} root@web1", ansible_ssh_common_args=args))
    error = refusal(sshd.target(ssh_host_key=public(other_key)), accept=True)
    assert "the variable ssh_host_key" in error.message
    assert "ssh_host_key" in error.hint


def test_the_known_type_of_key_is_asked_for(new_sshd: Callable[..., Sshd], tmp_path: Path) -> None:
    """A server shows one of its keys; it must be the one that known_hosts holds, whichever that is."""
    rsa = make_key(tmp_path / "host_rsa", "rsa")
    ecdsa = make_key(tmp_path / "host_ecdsa", "ecdsa")
    server = new_sshd(f"HostKey {rsa}", f"HostKey {ecdsa}")
    for key in (rsa, ecdsa, server.host_key):
        server.known_hosts.write_text(f"[127.0.0.1]:{server.port} {public(key)}\n")
        login(server.target())


def test_a_key_of_another_type_than_the_known_one_is_a_change(sshd: Sshd, target: Target, known_hosts: Path) -> None:
    rsa = make_key(known_hosts.parent / "rsa", "rsa")
    known_hosts.write_text(f"[127.0.0.1]:{sshd.port} {public(rsa)}\n")
    error = refusal(target, accept=True)
    assert "has changed" in error.message
    assert PublicKey.parse(public(rsa)).fingerprint in error.message


def test_one_of_several_known_keys_is_enough(sshd: Sshd, target: Target, known_hosts: Path, other_key: Path) -> None:
    name = f"[127.0.0.1]:{sshd.port}"
    known_hosts.write_text(f"{name} {public(other_key)}\n{name} {public(sshd.host_key)}\n")
    login(target)


def test_an_alias(sshd: Sshd, known_hosts: Path) -> None:
    known_hosts.write_text(f"fleet {public(sshd.host_key)}\n")
    args = f"-o UserKnownHostsFile={known_hosts} -o HostKeyAlias=fleet"
    login(sshd.target(ansible_ssh_common_args=args))


def test_strict_checking_cannot_be_switched_off(sshd: Sshd, known_hosts: Path) -> None:
    args = f"-o UserKnownHostsFile={known_hosts} -o GlobalKnownHostsFile=none -o StrictHostKeyChecking=no"
    connector = SshConnector()
    for name in ("web1", "web2"):
        transport = connector(sshd.target(name, ansible_ssh_common_args=args))
        with pytest.raises(HostKeyRefused):
            transport.run(TRUE)
        transport.close()
    assert connector.notes == (
        "ansible_ssh_common_args: StrictHostKeyChecking=no is not honoured, host keys are always verified",
    )
