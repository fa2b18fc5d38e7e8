from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from crashcart.errors import BadInput, Cancelled, NotSent, SudoDenied, TransportError
from crashcart.secrets import Secret
from crashcart.transports.base import Command, CommandResult, HttpReply
from crashcart.transports.local import LocalTransport
from tests.ssh.sshd import alive, free_port
from tests.ssh.waiting import all_dead, when_written


def run(script: str, *args: str, timeout: float = 30.0, keep: int = 1 << 20) -> CommandResult:
    return LocalTransport().run(Command(script, args, timeout=timeout, keep=keep, become=False))


def test_status_streams_and_arguments() -> None:
    result = run("printf '%s|' \"$@\"; cat; echo err >&2; exit 3", "a b", "$(id)", "-n", "it's\n", "")
    assert (result.status, result.signal, result.timed_out) == (3, None, False)
    assert (result.stdout.text, result.stderr.text) == ("a b|$(id)|-n|it's\n||", "err\n")


def test_a_signal() -> None:
    assert run("kill -9 $$").signal == "SIGKILL"


def test_output_is_bounded() -> None:
    result = run("head -c 20000000 /dev/zero; head -c 20000000 /dev/zero >&2", keep=1000)
    assert result.stdout.cut == result.stderr.cut == 20_000_000 - 1000


def test_a_timed_out_command_is_dead() -> None:
    result = run("(trap '' TERM; sleep 300; sleep 300) & echo $!; sh -c 'echo $$; sleep 300; :'", timeout=0.3)
    pids = [int(line) for line in result.stdout.text.split()]
    assert result.timed_out
    assert len(pids) == 2
    assert all_dead(pids)


def test_what_is_left_behind_is_ended() -> None:
    result = run("sleep 300 & echo $!; exit 7")
    assert result.status == 7
    assert not alive(int(result.stdout.text))


def test_a_cancelled_command_is_dead(tmp_path: Path) -> None:
    transport = LocalTransport()
    transport.cancel()
    thread, seen = when_written(tmp_path / "fifo", transport.cancel)
    with pytest.raises(Cancelled):
        transport.run(Command('echo $$ >"$1"; sleep 300', (str(tmp_path / "fifo"),), become=False))
    thread.join()
    assert all_dead([int(seen[0])])
    transport.close()


def test_what_cannot_be_started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        run("true", "\0")
    (tmp_path / "sh").symlink_to("/bin/sh")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotSent, match="no 'timeout'"):
        run("true")


def test_becoming_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "id").write_text("#!/bin/sh\necho 1000\n")
    (tmp_path / "sudo").write_text(
        '#!/bin/sh\n[ "$1" = -S ] || { echo "sudo: a password is required" >&2; exit 1; }\n'
        'read -r word; [ "$word" = secret ] || { echo "sudo: 1 incorrect password attempt" >&2; exit 1; }\n'
        'shift 4; exec "$@"\n'
    )
    for name in ("id", "sudo"):
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert LocalTransport(Secret("secret")).run(Command("echo hello; cat")).stdout.text == "hello\n"
    with pytest.raises(SudoDenied, match="wants a password"):
        LocalTransport().run(Command("true"))
    with pytest.raises(SudoDenied, match="did not accept"):
        LocalTransport(Secret("wrong")).run(Command("true"))


def test_fetch() -> None:
    local = LocalTransport()
    assert local.fetch(f"http://127.0.0.1:{free_port()}/", 5) == HttpReply(0, "connection refused")
    with pytest.raises(TransportError):
        local.fetch("https://127.0.0.1/", 5)

    def answer() -> None:
        peer, _ = server.accept()
        with peer:
            peer.recv(1000)
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        peer, _ = server.accept()
        with peer:
            peer.recv(1000)
            peer.recv(1000)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/health"
        assert local.fetch(url, 5) == HttpReply(200, "ok")
        assert local.fetch(url, 0.2) == HttpReply(0, "no answer within 0.2 s")
        thread.join()
