"""Commands on a real host: what goes in unharmed, what comes back bounded, and what is dead when we say so."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crashcart.errors import BadInput, Cancelled, ConnectionLost, NotSent, TransportError
from crashcart.transports.base import Command, CommandResult
from crashcart.transports.limits import Limits
from crashcart.transports.ssh import SshConnector, SshTransport
from tests.ssh.sshd import Sshd, alive
from tests.ssh.waiting import all_dead, when_written


def run(host: SshTransport, script: str, *args: str, timeout: float = 30.0, keep: int = 1 << 20) -> CommandResult:
    return host.run(Command(script, args, timeout=timeout, keep=keep, become=False))


def test_status_and_streams(host: SshTransport) -> None:
    result = run(host, "echo out; echo err >&2; exit 3")
    assert (result.status, result.signal, result.timed_out) == (3, None, False)
    assert (result.stdout.text, result.stderr.text) == ("out\n", "err\n")
    assert not result.ok


def test_a_signal_is_not_a_status(host: SshTransport) -> None:
    result = run(host, "kill -9 $$")
    assert (result.status, result.signal, result.timed_out) == (None, "SIGKILL", False)


@pytest.mark.parametrize("become", [False, True])
def test_arguments_arrive_as_they_are(host: SshTransport, become: bool) -> None:
    args = (
        "a b",
        "-rf",
        "--",
        "$(touch /tmp/x)",
        "`id`",
        'it\'s "q"',
        "new\nline\n",
        "",
        "*",
        "\\n!",
        "ü€",
        "~",
        "%s",
        "a;b&c|d",
    )
    result = host.run(Command("printf '%s\\0' \"$@\"", args, become=become))
    assert tuple(result.stdout.text.split("\0")[:-1]) == args


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), max_size=5))
def test_any_text_arrives_as_it_is(host: SshTransport, args: list[str]) -> None:
    result = run(host, "printf '%s\\0' \"$@\"", *args)
    assert result.stdout.data == b"".join(arg.encode() + b"\0" for arg in args) or not args


def test_names_in_no_encoding_come_back_as_they_were(host: SshTransport) -> None:
    name = os.fsdecode(b"caf\xe9 \xff\xfe")
    result = run(host, 'printf %s "$1"', name)
    assert result.stdout.data == b"caf\xe9 \xff\xfe"
    assert "\ufffd" in result.stdout.text


@pytest.mark.parametrize("argument", ["a\0b", "\ud800"])
def test_what_no_process_can_be_given_is_refused(host: SshTransport, argument: str) -> None:
    with pytest.raises(BadInput):
        run(host, "true", argument)


def test_a_line_too_long_for_a_host_is_refused_here(host: SshTransport) -> None:
    assert run(host, "true", "x" * 120_000).ok
    with pytest.raises(TransportError, match="at most"):
        run(host, "true", "x" * 131_072)


def test_stdin_is_empty(host: SshTransport) -> None:
    assert run(host, "cat; echo end").stdout.text == "end\n"


def test_the_locale_is_c_and_system_programs_are_found(host: SshTransport) -> None:
    assert run(host, 'echo "$LC_ALL"; command -v sysctl ldconfig | head -1').stdout.text.splitlines()[0] == "C"


def peak_memory(*, reset: bool = False) -> int:
    """Return the most memory that this process has used since the last reset, in KiB."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def test_output_is_bounded_and_memory_flat(host: SshTransport) -> None:
    run(host, "head -c 20000000 /dev/zero")
    before = peak_memory(reset=True)
    result = run(host, "printf head; head -c 200000000 /dev/zero | tr '\\0' x; printf tail; head -c 50000000 /dev/zero >&2")
    grown = peak_memory() - before
    assert result.ok
    assert len(result.stdout.data) == 1 << 20
    assert result.stdout.cut == 200_000_008 - (1 << 20)
    assert result.stdout.data.startswith(b"headx")
    assert result.stdout.data.endswith(b"xtail")
    assert result.stderr.cut == 50_000_000 - (1 << 20)
    assert grown < 24 * 1024, f"{grown} KiB"


def test_endless_output_ends_with_the_time(host: SshTransport) -> None:
    result = run(host, "yes", timeout=0.5, keep=1000)
    assert result.timed_out
    assert len(result.stdout.data) == 1000


def test_words_of_the_login_shell_are_not_output(new_sshd: Callable[..., Sshd], connector: SshConnector) -> None:
    server = new_sshd('ForceCommand echo welcome; echo careful >&2; sh -c "$SSH_ORIGINAL_COMMAND"')
    transport = connector(server.target())
    result = run(transport, "echo out; echo err >&2")
    assert (result.stdout.text, result.stderr.text) == ("out\n", "err\n")
    transport.close()


def test_a_login_shell_that_runs_nothing(new_sshd: Callable[..., Sshd], connector: SshConnector) -> None:
    server = new_sshd("ForceCommand echo This account is closed. >&2; exit 1")
    transport = connector(server.target())
    with pytest.raises(NotSent, match="This account is closed") as caught:
        run(transport, "true")
    assert "login shell" in caught.value.hint
    transport.close()


SHELLS = [shell for shell in ("sh", "bash", "dash", "zsh", "ksh", "mksh", "busybox") if shutil.which(shell)]


@pytest.mark.parametrize("shell", SHELLS)
def test_login_shells(new_sshd: Callable[..., Sshd], connector: SshConnector, shell: str) -> None:
    server = new_sshd(f'ForceCommand exec {shell} {"sh" * (shell == "busybox")} -c "$SSH_ORIGINAL_COMMAND"')
    transport = connector(server.target())
    args = ("it's", 'a "b"', "$HOME `id` \\n !x", "two\nlines", "")
    for become in (False, True):
        result = transport.run(Command("printf '%s|' \"$@\"", args, become=become))
        assert result.stdout.text == "|".join(args) + "|"
    transport.close()


def test_a_missing_timeout_is_named(new_sshd: Callable[..., Sshd], connector: SshConnector, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/sh").symlink_to("/bin/sh")
    server = new_sshd(environment=f"SHLVL=9 PATH={tmp_path}/bin")
    transport = connector(server.target())
    with pytest.raises(NotSent, match="no 'timeout'"):
        run(transport, "true")
    transport.close()


# -- what ends, and when ---------------------------------------------------------------------------------------------

STUBBORN = """
(trap '' TERM; echo "$1 child $(sh -c 'echo $PPID')"; sleep 300; sleep 300) &
echo "$1 sh $$"
sh -c 'echo "$1 grandchild $$"; sleep 300; :' sh "$1"
"""


def pids(result_or_text: str) -> list[int]:
    return [int(line.split()[2]) for line in result_or_text.splitlines() if len(line.split()) == 3]


def test_a_command_that_is_timed_out_is_dead(host: SshTransport) -> None:
    result = run(host, STUBBORN, "t", timeout=0.5)
    assert result.timed_out
    assert "timed out" in result.ending
    assert len(pids(result.stdout.text)) == 3
    assert all_dead(pids(result.stdout.text))


def test_what_a_command_leaves_behind_is_ended(host: SshTransport) -> None:
    result = run(host, 'sleep 300 & echo "x sleep $!"; exit 7')
    assert result.status == 7
    assert not result.timed_out
    assert not alive(pids(result.stdout.text)[0])


def test_a_cancelled_command_is_dead(host: SshTransport, tmp_path: Path) -> None:
    thread, seen = when_written(tmp_path / "fifo", host.cancel, lines=3)
    with pytest.raises(Cancelled, match="has ended"):
        run(host, f'exec >"$2"; {STUBBORN}', "c", str(tmp_path / "fifo"))
    thread.join()
    assert len(pids("".join(seen))) == 3
    assert all_dead(pids("".join(seen)))
    assert run(host, "echo again").stdout.text == "again\n"


def test_cancelling_an_idle_session_changes_nothing(host: SshTransport) -> None:
    host.cancel()
    assert run(host, "true").ok
    host.cancel()
    assert run(host, "true").ok


def test_a_cancelled_command_that_cannot_be_reached_ends_by_itself(
    new_sshd: Callable[..., Sshd], connector: SshConnector, tmp_path: Path
) -> None:
    server = new_sshd("MaxSessions 1")
    host = connector(server.target())
    thread, _ = when_written(tmp_path / "fifo", host.cancel)
    with pytest.raises(Cancelled, match="could not be ended") as caught:
        run(host, 'echo ready >"$1"; sleep 300', str(tmp_path / "fifo"), timeout=3)
    thread.join()
    assert "by itself within 5 s" in caught.value.hint
    host.close()


def test_a_command_dies_without_us(new_sshd: Callable[..., Sshd], connector: SshConnector, tmp_path: Path) -> None:
    """The controller is gone, and so is the connection: the time limit on the host still holds."""
    server = new_sshd()
    host = connector(server.target())
    thread, seen = when_written(tmp_path / "fifo", server.cut_connections, lines=3)
    with pytest.raises(ConnectionLost):
        run(host, f'exec >"$2" 2>/dev/null; {STUBBORN}', "d", str(tmp_path / "fifo"), timeout=1.5)
    assert all(map(alive, pids("".join(seen))))
    thread.join()
    assert len(pids("".join(seen))) == 3
    assert all_dead(pids("".join(seen)))
    host.close()


# -- what breaks -----------------------------------------------------------------------------------------------------


def test_a_connection_that_breaks_while_a_command_runs(
    new_sshd: Callable[..., Sshd], connector: SshConnector, tmp_path: Path
) -> None:
    server = new_sshd()
    host = connector(server.target())
    thread, _ = when_written(tmp_path / "fifo", server.cut_connections)
    with pytest.raises(ConnectionLost, match="may have taken effect") as caught:
        run(host, 'echo ready >"$1"; sleep 2', str(tmp_path / "fifo"), timeout=2)
    thread.join()
    assert caught.value.__cause__ is not None
    assert run(host, "echo back").stdout.text == "back\n"
    host.close()


def first_failure(host: SshTransport) -> TransportError:
    """Run commands until the end of the connection has come through to us."""
    while True:
        try:
            run(host, "true")
        except TransportError as error:
            return error


def test_a_connection_that_broke_before_the_command(new_sshd: Callable[..., Sshd], connector: SshConnector) -> None:
    server = new_sshd()
    host = connector(server.target())
    assert run(host, "true").ok
    server.cut_connections()
    error = first_failure(host)
    assert type(error) is NotSent
    assert error.__cause__ is not None
    assert run(host, "true").ok
    host.close()


def test_a_host_that_falls_silent(new_sshd: Callable[..., Sshd], tmp_path: Path) -> None:
    server = new_sshd()
    host = SshConnector(limits=Limits(answer=0.2))(server.target())
    thread, _ = when_written(tmp_path / "fifo", lambda: server.signal_connections(signal.SIGSTOP))
    with pytest.raises(ConnectionLost, match="fell silent"):
        run(host, 'echo ready >"$1"; sleep 300', str(tmp_path / "fifo"), timeout=0.5)
    thread.join()
    host.close()


def test_a_host_that_is_silent_before_the_command(new_sshd: Callable[..., Sshd]) -> None:
    server = new_sshd()
    host = SshConnector(limits=Limits(channel=0.2))(server.target())
    assert run(host, "true").ok
    server.signal_connections(signal.SIGSTOP)
    with pytest.raises(NotSent):
        run(host, "true")
    host.close()


def test_no_more_sessions(new_sshd: Callable[..., Sshd], connector: SshConnector) -> None:
    host = connector(new_sshd("MaxSessions 0").target())
    with pytest.raises(NotSent) as caught:
        run(host, "true")
    assert "MaxSessions" in caught.value.hint
    assert caught.value.__cause__ is not None
    host.close()


def test_closing_twice_and_using_again(sshd: Sshd, connector: SshConnector) -> None:
    host = connector(sshd.target())
    host.close()
    assert run(host, "true").ok
    host.close()
    host.close()
    assert run(host, "true").ok
    host.close()


def test_closing_from_another_thread_breaks_the_command(sshd: Sshd, connector: SshConnector, tmp_path: Path) -> None:
    host = connector(sshd.target())
    thread, _ = when_written(tmp_path / "fifo", host.close)
    with pytest.raises(ConnectionLost):
        run(host, 'echo ready >"$1"; sleep 1', str(tmp_path / "fifo"), timeout=1)
    thread.join()
