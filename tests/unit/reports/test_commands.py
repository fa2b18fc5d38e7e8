"""Commands that people copy from a report are right, quoted, and hold no secret."""

from __future__ import annotations

from typing import Any

import pytest

from crashcart.reports.commands import Commands
from crashcart.results import Mode
from crashcart.secrets import Secret
from tests.unit.reports.runs import started


def commands(*words: str) -> Commands:
    return Commands(("/venv/bin/inv", "recover.lamp", *words))


@pytest.mark.parametrize("dry", ["--check", "--dry", "-R"])
def test_the_same_without_check(dry: str) -> None:
    assert commands("--hosts", "web", dry, "--room", "a b").applying == "inv recover.lamp --hosts web --room 'a b'"


def test_checking_adds_the_flag_once() -> None:
    assert commands("--hosts", "web").checking == "inv recover.lamp --hosts web --check"
    assert commands("--hosts", "web", "--check").checking == "inv recover.lamp --hosts web --check"


@pytest.mark.parametrize("hosts", [("--hosts", "web:!web3"), ("--hosts=web:!web3",)])
def test_the_same_for_some_targets(hosts: tuple[str, ...]) -> None:
    narrowed = commands(*hosts, "--room", "x").on(["web1", "web2"]).again
    assert narrowed.replace("=", " ") == "inv recover.lamp --hosts web1,web2 --room x"


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (("--db-password", "hunter2"), "--db-password ***"),
        (("--api-token=hunter2",), "'--api-token=***'"),
        (("--password-file", "/etc/pw"), "--password-file /etc/pw"),
        (("--ask-become-pass", "--yes"), "--ask-become-pass --yes"),
    ],
)
def test_secrets_on_the_command_line_are_not_repeated(words: tuple[str, ...], shown: str) -> None:
    known = commands(*words, "--hosts", "web")
    for text in (known.typed, known.again, known.applying, known.on(["a"]).again):
        assert "hunter2" not in text
        assert shown in text


@pytest.mark.parametrize(
    ("path", "name"), [("/venv/bin/crashcart", "crashcart"), ("/x/invoke", "invoke"), ("/x/__main__.py", "inv")]
)
def test_the_program_is_the_one_that_was_called(path: str, name: str) -> None:
    assert Commands((path, "recover.lamp")).runs("show", "r1") == f"{name} runs.show r1"


def test_hints_are_completed_and_called_as_this_program() -> None:
    hint = "inv recover.lamp --room x --hosts ..."
    assert Commands(("crashcart", "check.lamp")).hinted(hint, ["a", "b"]) == "crashcart recover.lamp --room x --hosts a,b"


def test_a_command_that_is_not_known_is_rebuilt_from_the_plan() -> None:
    parameters: dict[str, Any] = {
        "max_age": "7d",
        "log_dirs": ["/a", "/b"],
        "force": True,
        "quick": False,
        "since": "",
        "unit": "{{ unit | default('') }}",
        "token": "hunter2",
        "code": Secret("hunter2"),
    }
    first = started("a", parameters=parameters, mode=Mode.CHECK, reason="disk alert")
    rebuilt = Commands.of(first)
    assert rebuilt.typed == ""
    assert rebuilt.again == (
        "inv recover.lamp --hosts web --max-age 7d --log-dirs /a,/b --force --token *** --code *** "
        "--reason 'disk alert' --check"
    )
