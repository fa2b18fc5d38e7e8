"""Becoming root: with a real sudo where this machine can make one, and with the words of others everywhere."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from crashcart.errors import Cancelled, SudoDenied
from crashcart.secrets import Secret
from crashcart.transports.base import Command
from crashcart.transports.ssh import SshConnector
from tests.ssh import sudo
from tests.ssh.sshd import Sshd
from tests.ssh.sudo import PASSWORD, USER, SudoMachine
from tests.ssh.waiting import all_dead, when_written

WHO = Command("id -un; cat; echo $LC_ALL")
NOPASSWD = f"{USER} ALL=(ALL) NOPASSWD: ALL"
ASK = f"{USER} ALL=(ALL) ALL"
real = pytest.mark.skipif(not sudo.available(), reason="needs root, sudo and mount namespaces")


@pytest.fixture(scope="module")
def machine() -> Iterator[SudoMachine]:
    machine = SudoMachine()
    yield machine
    machine.stop()


def become(machine: SudoMachine, password: str = "", command: Command = WHO) -> str:
    connector = SshConnector(become_password=Secret(password) if password else None)
    transport = connector(machine.target())
    try:
        return transport.run(command).stdout.text
    finally:
        transport.close()


def denial(machine: SudoMachine, password: str = "") -> SudoDenied:
    with pytest.raises(SudoDenied) as caught:
        become(machine, password)
    return caught.value


@real
@pytest.mark.parametrize("defaults", ["", "Defaults use_pty"])
def test_without_a_password(machine: SudoMachine, defaults: str) -> None:
    machine.allow(NOPASSWD, defaults)
    assert become(machine) == "root\nC\n"


@real
@pytest.mark.parametrize("defaults", ["", "Defaults use_pty"])
def test_with_a_password(machine: SudoMachine, defaults: str) -> None:
    machine.allow(ASK, defaults)
    assert become(machine, PASSWORD) == "root\nC\n"


@real
def test_a_password_that_nobody_asked_for_reaches_no_script(machine: SudoMachine) -> None:
    machine.allow(NOPASSWD)
    assert become(machine, PASSWORD) == "root\nC\n"


@real
def test_the_password_is_on_no_command_line(machine: SudoMachine) -> None:
    machine.allow(ASK)
    listed = become(machine, PASSWORD, Command("cat /proc/[0-9]*/cmdline | tr '\\0' ' '"))
    assert "sudo -S" in listed
    assert PASSWORD not in listed


@real
def test_a_password_of_the_inventory(machine: SudoMachine) -> None:
    machine.allow(ASK)
    transport = SshConnector()(machine.target(ansible_become_password=Secret(PASSWORD)))
    assert transport.run(WHO).ok
    transport.close()


@real
def test_without_becoming_no_sudo_is_needed(machine: SudoMachine) -> None:
    machine.allow()
    assert become(machine, command=Command("id -un", become=False)) == f"{USER}\n"


@real
def test_a_password_is_wanted(machine: SudoMachine) -> None:
    machine.allow(ASK)
    error = denial(machine)
    assert error.message == f"sudo wants a password for {USER}"
    assert "--ask-become-pass" in error.hint
    assert NOPASSWD in error.hint


@real
def test_a_password_is_wrong(machine: SudoMachine) -> None:
    machine.allow(ASK)
    assert denial(machine, "wrong").message == f"sudo did not accept the password of {USER}"


@real
def test_not_allowed(machine: SudoMachine) -> None:
    machine.allow(f"{USER} ALL=(ALL) /bin/true")
    error = denial(machine, PASSWORD)
    assert error.message == f"sudo does not allow {USER} to become root"
    assert NOPASSWD in error.hint


@real
def test_not_in_sudoers(machine: SudoMachine) -> None:
    machine.allow()
    assert denial(machine, PASSWORD).message == f"sudo does not allow {USER} to become root"


@real
def test_no_terminal(machine: SudoMachine) -> None:
    machine.allow(NOPASSWD, "Defaults requiretty")
    error = denial(machine)
    assert error.message == f"sudo wants a terminal for {USER}"
    assert "!requiretty" in error.hint


@real
def test_what_runs_as_root_is_timed_out(machine: SudoMachine) -> None:
    machine.allow(NOPASSWD, "Defaults use_pty")
    transport = SshConnector()(machine.target())
    result = transport.run(Command("echo $$; sleep 300", timeout=0.3))
    assert result.timed_out
    assert all_dead([int(result.stdout.text)])
    transport.close()


@real
@pytest.mark.parametrize("defaults", ["", "Defaults use_pty"])
def test_what_runs_as_root_is_cancelled(machine: SudoMachine, defaults: str, tmp_path: Path) -> None:
    machine.allow(NOPASSWD, defaults)
    transport = SshConnector()(machine.target())
    waiting, seen = when_written(tmp_path / "fifo", transport.cancel)
    with pytest.raises(Cancelled, match="has ended"):
        transport.run(Command('echo $$ >"$1"; sleep 300', (str(tmp_path / "fifo"),)))
    waiting.join()
    assert all_dead([int(seen[0])])
    transport.close()


# -- the words of sudo, from a script that takes its place ------------------------------------------------------------


@pytest.fixture
def fake_sudo(new_sshd: Callable[..., Sshd], tmp_path: Path) -> Callable[..., None]:
    """Put a sudo in front that says what it is told to, and an id by which nobody is root."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "id").write_text("#!/bin/sh\necho 1000\n")
    (folder / "id").chmod(0o755)
    server = new_sshd(environment=f"SHLVL=9 PATH={folder}:/usr/sbin:/usr/bin:/sbin:/bin")

    def run(script: str, password: str = "") -> None:
        (folder / "sudo").write_text(f"#!/bin/sh\n{script}\n")
        (folder / "sudo").chmod(0o755)
        transport = SshConnector(become_password=Secret(password) if password else None)(server.target())
        try:
            assert transport.run(WHO).ok
        finally:
            transport.close()

    return run


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("sudo: a password is required", "sudo wants a password"),
        ("sudo: interactive authentication is required", "sudo wants a password"),
        ("Sorry, try again.\nsudo: no password was provided\nsudo: 1 incorrect password attempt", "did not accept"),
        ("sudo-rs: Maximum 3 incorrect authentication attempts", "did not accept"),
        ("sudo: sorry, you must have a tty to run sudo", "wants a terminal"),
        ("bob is not in the sudoers file.  This incident will be reported.", "does not allow"),
        ("Sorry, user bob is not allowed to execute '/usr/bin/timeout' as root on web1.", "does not allow"),
        ("Sorry, user bob may not run sudo on web1.", "does not allow"),
        ("sudo: /etc/sudoers is owned by uid 1000, should be 0", "sudo failed"),
        ("sudo: Account expired or PAM config lacks an account section", "sudo failed"),
    ],
)
def test_words_of_sudo(fake_sudo: Callable[..., None], words: str, message: str) -> None:
    with pytest.raises(SudoDenied, match=message) as caught:
        fake_sudo(f"echo {words!r} >&2; exit 1".replace("\\n", "\n"))
    assert getpass.getuser() in caught.value.message
    assert caught.value.hint


def test_warnings_of_sudo_are_not_output(fake_sudo: Callable[..., None]) -> None:
    fake_sudo('echo "sudo: unable to resolve host web1: Name or service not known" >&2; shift 2; exec "$@"')


def test_sudo_is_not_installed(fake_sudo: Callable[..., None]) -> None:
    with pytest.raises(SudoDenied, match="not installed"):
        fake_sudo('echo "sh: 1: exec: sudo: not found" >&2; exit 127')


def test_the_password_goes_over_stdin(fake_sudo: Callable[..., None]) -> None:
    fake_sudo('read -r word; [ "$word" = "p w" ] || exit 1; [ "$1" = -S ] || exit 2; shift 4; exec "$@"', "p w")
