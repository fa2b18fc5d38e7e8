"""The documentation's commands that need nothing but this machine are run for real, and those shown as refused are."""

from __future__ import annotations

from collections import Counter
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


def test_nearly_every_command_is_run_and_the_others_say_why_not() -> None:
    shown = Counter({how: sum(len(block.commands) for block in shell_blocks(how)) for how in How})
    print(f"\n{shown.total()} commands are shown:", ", ".join(f"{count} {how.value}" for how, count in shown.items()))
    unrun = [block for block in shell_blocks(How.PARSE) if block.commands]
    for block in unrun:
        print(f"not run: {block.where}: {'; '.join(' '.join(words) for words in block.commands)}: {block.since}")
    assert [block.where for block in unrun if not block.since] == []
    assert [block.where for block in shell_blocks(*set(How) - {How.PARSE}) if block.since] == []
    assert shown[How.PARSE] * 4 < shown.total()
    assert all(shown[how] for how in How)
