"""Output that nobody reads on, through real pipes: the program ends without a word, and a run goes on to its own end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from crashcart.cli.pipes import CUT_SHORT, while_read
from crashcart.results import EXIT_FAILED
from tests.cli.conftest import CHECKOUT, INV, Inv

CRASHCART = Path(sys.executable).with_name("crashcart")
HERE = "all: {vars: {ansible_connection: local}, hosts: {here: }}\n"


@pytest.fixture
def here(inv: Inv) -> Inv:
    """This machine is the only target."""
    inv.inventory.write_text(HERE)
    return inv


def unread(inv: Inv, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command whose stdout is a pipe that its reader has left."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        return subprocess.run(
            list(words),
            cwd=CHECKOUT,
            env=inv.environment,
            stdin=subprocess.DEVNULL,
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        os.close(writer)


@pytest.mark.parametrize(
    "words",
    [
        (INV, "--list"),
        (CRASHCART, "--list"),
        (INV, "--help", "recover.disk-space"),
        (CRASHCART, "--print-completion-script", "zsh"),
    ],
    ids=lambda words: " ".join([words[0].name, *words[1:]]),
)
def test_what_only_prints_ends_silently(words: tuple[str | Path, ...], inv: Inv) -> None:
    done = unread(inv, *words)
    assert (done.returncode in {0, CUT_SHORT}, done.stderr) == (True, "")


def test_head_gets_its_line_and_nobody_complains(inv: Inv) -> None:
    done = subprocess.run(
        ["sh", "-c", f"{INV} --list | head -1"],
        cwd=CHECKOUT,
        env=inv.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("Available tasks:\n", "")


def test_a_run_goes_on_and_its_exit_code_is_its_own(here: Inv) -> None:
    flags = ("--hosts", "here", "--path", str(here.folder), "--degraded-above", "0", "--down-above", "0")
    done = unread(here, INV, "check.disk", *flags)
    assert done.returncode == EXIT_FAILED
    assert "Broken" not in done.stderr
    (journal,) = (here.folder / "state/runs").glob("*/events.jsonl")
    assert "run.finished" in journal.read_text().splitlines()[-1]
    assert unread(here, INV, "runs.list").stderr == ""


def test_bad_input_is_still_told(inv: Inv) -> None:
    done = unread(inv, INV, "nosuch")
    assert (done.returncode, done.stderr.splitlines()[0]) == (2, "invalid: unknown command or value 'nosuch'")


def test_a_pipe_that_broke_elsewhere_is_an_error() -> None:
    def stage() -> None:
        reader, writer = os.pipe()
        os.close(reader)
        try:
            os.write(writer, b"to a child that is gone")
        finally:
            os.close(writer)

    with pytest.raises(BrokenPipeError):
        while_read(stage)
