"""Whole runs on a real terminal and into a file: what is shown, how it is left, and that it fits."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import socket
import struct
import termios
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from rich.cells import cell_len

from crashcart.journal.recall import PastRun
from tests.cli.conftest import CHECKOUT, INV, Inv
from tests.unit.reports.screen import Screen

NAMES = ("web-frontend-canary-0001.eu-central-1.compute.internal.production.example.com", "データベース本番サーバー東京-01")


def fleet(folder: Path, count: int) -> str:
    """The inventory of so many targets that are all this machine."""
    names = [*NAMES, *(f"h{number}" for number in range(len(NAMES), count))]
    hosts = "\n".join(f"    {name}:" for name in names)
    path = folder / f"fleet{count}.yml"
    path.write_text(f"fleet:\n  vars: {{ansible_connection: local}}\n  hosts:\n{hosts}\n")
    return str(path)


class OnTerminal:
    """``inv`` on a terminal of its own."""

    def __init__(self, inv: Inv, *words: str, columns: int = 80, rows: int = 24, **environment: str) -> None:
        self.process, self.end = pty.fork()
        if self.process == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            os.chdir(CHECKOUT)
            plain = {key: value for key, value in inv.environment.items() if key not in {"NO_COLOR", "COLUMNS", "LINES"}}
            more = {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8", **environment}
            os.execve(INV, [str(INV), *words], {**plain, **more})  # noqa: S606 -- it has to own the terminal
        self.before = termios.tcgetattr(self.end)
        self.raw = b""

    def read(self, until: str = "") -> str:
        """Return all that was written, once this is shown or the program has ended."""
        while not until or until not in self.raw.decode(errors="replace"):
            assert select.select([self.end], [], [], 60)[0], "nothing more is shown"
            try:
                data = os.read(self.end, 65536)
            except OSError:  # the other end is closed
                break
            if not data:
                break
            self.raw += data
        return self.raw.decode()

    def wait(self) -> int:
        """Return the exit code."""
        return os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])


@pytest.mark.parametrize(("count", "columns"), [(3, 80), (60, 80), (60, 200)])
def test_a_run_fits_the_terminal_and_leaves_it_sane(inv: Inv, tmp_path: Path, count: int, columns: int) -> None:
    terminal = OnTerminal(inv, "check.disk", "--hosts", "fleet", "--inventory", fleet(tmp_path, count), columns=columns)
    raw = terminal.read()
    assert terminal.wait() in {0, 1}
    screen = Screen(raw.replace("\r\n", "\n"))
    assert screen.cursor_shown
    lines = screen.text.splitlines()
    tail = lines.index("Next")
    assert max(cell_len(line) for line in lines[:tail]) <= columns
    assert f"{count} targets" in screen.text
    assert len([line for line in lines if ": / is " in line]) <= (count if count <= 3 else 12)


def test_no_color_takes_the_colours_and_nothing_else(inv: Inv, tmp_path: Path) -> None:
    words = ("check.disk", "--hosts", "fleet", "--inventory", fleet(tmp_path, 3))
    terminal = OnTerminal(inv, *words, NO_COLOR="1")
    raw = terminal.read()
    terminal.wait()
    codes = {code for part in raw.split("\x1b[")[1:] if "m" in part for code in part.split("m")[0].split(";")}
    assert not {str(colour) for colour in (*range(30, 38), *range(40, 48), *range(90, 98))} & codes
    assert "READ-ONLY: nothing will be changed" in raw


@pytest.mark.parametrize("how", ["dumb", "file"])
def test_a_log_has_no_control_codes_and_one_line_per_event(inv: Inv, tmp_path: Path, how: str) -> None:
    words = ("check.disk", "--hosts", "fleet", "--inventory", fleet(tmp_path, 60))
    if how == "dumb":
        terminal = OnTerminal(inv, *words, TERM="dumb")
        text = terminal.read().replace("\r\n", "\n")
        terminal.wait()
    else:
        text = inv(*words, LC_ALL="C.UTF-8").stdout
    assert not [sign for sign in text if sign != "\n" and not sign.isprintable()]
    assert len([line for line in text.splitlines() if "(healthy)" in line or "): / is" in line]) >= 60
    order = [text.index(part) for part in ("=== READ-ONLY", "run  ", "=== check.disk", "counts ", "next ", "journal ")]
    assert order == sorted(order)


@contextmanager
def silent_server() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield server.getsockname()[1]


def test_ctrl_c_and_a_resize_leave_the_terminal_sane(inv: Inv, tmp_path: Path) -> None:
    with silent_server() as port:
        inventory = tmp_path / "silent.yml"
        inventory.write_text(f"fleet: {{hosts: {{h1: {{ansible_host: 127.0.0.1, ansible_port: {port}}}}}}}")
        terminal = OnTerminal(inv, "check.disk", "--hosts", "fleet", "--inventory", str(inventory))
        terminal.read("0 of 1 finished, 0:01")
        fcntl.ioctl(terminal.end, termios.TIOCSWINSZ, struct.pack("HHHH", 20, 60, 0, 0))
        os.kill(terminal.process, signal.SIGWINCH)
        terminal.read("0 of 1 finished, 0:02")
        os.write(terminal.end, b"\x03")
        raw = terminal.read("sha256 ")
        assert termios.tcgetattr(terminal.end) == terminal.before
        raw = terminal.read()
        assert terminal.wait() == 130
    assert raw.rindex("\x1b[?25h") > raw.rindex("\x1b[?25l")
    assert "Traceback" not in raw
    assert "inv runs.resume" in raw


def test_what_there_was_no_time_for_comes_with_the_flags_that_would_suffice(inv: Inv, tmp_path: Path) -> None:
    with silent_server() as port:
        inventory = tmp_path / "silent.yml"
        inventory.write_text(f"fleet: {{hosts: {{'h[1:3]': {{ansible_host: 127.0.0.1, ansible_port: {port}}}}}}}")
        words = ("check.all", "--hosts", "fleet", "--inventory", str(inventory))
        done = inv(*words, "--forks", "1", "--deadline", "1s")
    lines = done.stdout.splitlines()
    assert done.returncode == 5
    assert len([line for line in lines if line.startswith("unknown ") and "not looked at: the run's deadline" in line]) == 2
    assert len([line for line in lines if "(hint: --forks 3 --deadline 2s gives each of them a turn)" in line]) == 3
    again = f"next         inv {' '.join(words)} --forks 3 --deadline 2s  # look at 3 targets that there was no time for"
    assert again in lines


@pytest.mark.parametrize(("given", "forks"), [((), 40), (("--forks", "3"), 3)])
def test_a_playbook_that_only_looks_asks_all_at_once_unless_told(
    inv: Inv, tmp_path: Path, given: tuple[str, ...], forks: int
) -> None:
    inventory = tmp_path / "closed.yml"
    inventory.write_text("fleet: {hosts: {'h[1:40]': {ansible_host: 127.0.0.1, ansible_port: 1}}}")
    assert inv("check.disk", "--hosts", "fleet", "--inventory", str(inventory), *given).returncode == 4
    (journal,) = (inv.folder / "state/runs").glob("*/events.jsonl")
    assert PastRun.read(journal).started.options.forks == forks
