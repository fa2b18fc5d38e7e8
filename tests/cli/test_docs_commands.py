"""The documentation's commands that need nothing but this machine are run for real, and those shown as refused are."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.documented import Block, How, Place, shell_blocks

INVENTORY = """\
all:
  vars: {ansible_connection: local}
  children:
    prod: {hosts: {here: }}
    web: {hosts: {web1: }}
    lab: {hosts: {lab1: }}
"""
"""This machine under the names that examples have for hosts."""


def where(block: Block) -> str:
    return block.where


@pytest.mark.parametrize("block", shell_blocks(How.RUN), ids=where)
def test_it_runs_as_it_is_shown(block: Block, tmp_path: Path) -> None:
    done = Place(block.page, tmp_path / "checkout", INVENTORY).run(block.script)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("block", shell_blocks(How.REFUSED), ids=where)
def test_it_is_refused_in_the_words_that_are_shown(block: Block, tmp_path: Path) -> None:
    done = Place(block.page, tmp_path / "checkout", INVENTORY).run(block.script)
    assert done.returncode == 2, done.stdout
    assert done.stdout == "".join(line for line in block.text.splitlines(keepends=True) if not line.startswith("$ "))


def test_something_is_run() -> None:
    assert len(shell_blocks(How.RUN)) >= 3
    assert shell_blocks(How.REFUSED)
    assert shell_blocks(How.LAB)
