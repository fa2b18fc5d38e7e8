"""Every command that the documentation shows is one: the real command line takes it (see ``tests/documented.py``)."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from invoke import Collection, Exit, Program

from crashcart.cli.flags import parse_request
from crashcart.cli.namespace import build_namespace
from crashcart.errors import BadInput
from crashcart.playbooks.compile import Compiler
from crashcart.playbooks.library import Library
from crashcart.playbooks.schema import Playbook
from crashcart.targets import Selection, Target
from tests.documented import (
    CHECKOUT,
    PAGES,
    Block,
    How,
    files,
    indented_commands,
    inline_commands,
    shell_blocks,
    stray_comments,
)
from website.reference import generated_pages

VARIABLES = {"unit": "api", "health_url": "http://127.0.0.1:8000/health", "tmp_owner": "api"}
"""What examples take from the inventory."""

BLOCKS = shell_blocks(*How)
Where = Callable[[Path], "CommandLine"]


class CommandLine:
    """The commands of a checkout, and what they make of words."""

    def __init__(self, playbooks: Path) -> None:
        self._library = Library(playbooks)
        self._namespace: Collection = build_namespace(playbooks, CHECKOUT)

    def parse(self, words: tuple[str, ...]) -> Program:
        """Parse words as ``inv`` does, up to where it would run something."""
        program = Program(name="inv", binary="inv", namespace=self._namespace)
        program.create_config()
        program.parse_core(["inv", *words])
        program.parse_collection()
        program.parse_tasks()
        return program

    def check(self, words: tuple[str, ...]) -> None:
        """Parse a command with its values, and compile the playbook with them. Raises what is wrong."""
        program = self.parse(words)
        named = program.args.help.value
        if isinstance(named, str):
            assert named in self._namespace.task_names, named
        for context in program.tasks:
            values = {argument.attr_name or argument.name: argument.value for argument in context.args.values()}
            self._check_values(str(context.name), values)

    def _check_values(self, name: str, values: dict[str, Any]) -> None:
        if name not in self._library.entries:
            return
        request, found = parse_request(values, dry=False), self._library.get(name)
        if isinstance(found, Playbook):
            given = {param: values[param] for param in found.params if values.get(param) not in {None, False}}
            target = Target("here", found.kinds[0], dict(VARIABLES))
            Compiler(found, given).plan(Selection(request.hosts, (target,)), request.rollout(found.rollout))


@pytest.fixture(scope="module")
def command_line(tmp_path_factory: pytest.TempPathFactory) -> Where:
    """The command line of a checkout that has the playbooks which a page gives."""
    made: dict[tuple[str, ...], CommandLine] = {}

    def of(page: Path) -> CommandLine:
        given = files(page)
        if tuple(given) not in made:
            folder = tmp_path_factory.mktemp("checkout")
            shutil.copytree(CHECKOUT / "playbooks", folder / "playbooks")
            for path, text in given.items():
                (folder / path).write_text(text)
            made[tuple(given)] = CommandLine(folder / "playbooks")
        return made[tuple(given)]

    return of


def where(block: Block) -> str:
    return block.where


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.how is not How.REFUSED], ids=where)
def test_each_command_of_ours_is_taken(block: Block, command_line: Where) -> None:
    for words in block.commands:
        command_line(block.page).check(words)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_each_command_in_running_text_exists(page: Path, command_line: Where) -> None:
    line = command_line(page)
    for words in inline_commands(page):
        line.parse(words if len(words) > 1 else ("--help", *words))


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language == "sh"], ids=where)
def test_each_block_is_a_script(block: Block) -> None:
    subprocess.run(["sh", "-n"], input=block.text, text=True, check=True, timeout=10)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_no_command_is_shown_where_nobody_looks(page: Path) -> None:
    assert indented_commands(page) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_no_block_goes_untested_for_a_slip_in_its_comment(page: Path) -> None:
    assert stray_comments(page) == []


def test_generated_pages_show_commands_that_are_taken(command_line: Where) -> None:
    line = command_line(CHECKOUT / "README.md")
    shown = {command for text in generated_pages().values() for command in re.findall(r"^inv (.+)$", text, re.MULTILINE)}
    assert len(shown) > 30
    for command in shown:
        line.parse(tuple(command.split()))


@pytest.mark.parametrize(
    "words",
    ["recover.disk-spaec --hosts lab", "recover.disk-space --hosts lab --pahts /var", "lab.up --cuont 2"],
)
def test_a_line_that_no_longer_parses_is_noticed(words: str, command_line: Where) -> None:
    with pytest.raises(Exit) as raised:
        command_line(CHECKOUT / "README.md").check(tuple(words.split()))
    assert raised.value.code == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("recover.disk-space", "--hosts"),
        ("recover.disk-space --hosts lab --max-age soon", "expected a duration"),
        ("recover.asg-scale --hosts lab", "at-least"),
        ("recover.elasticache-reboot --hosts lab", "--cluster"),
    ],
)
def test_a_value_of_another_type_is_noticed(words: str, message: str, command_line: Where) -> None:
    with pytest.raises(BadInput, match=message):
        command_line(CHECKOUT / "README.md").check(tuple(words.split()))
