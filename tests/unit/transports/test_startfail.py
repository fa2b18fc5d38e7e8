from __future__ import annotations

import pytest

from crashcart.errors import NotSent, SudoDenied
from crashcart.transports.startfail import start_failure


@pytest.mark.parametrize(
    ("complaint", "status", "message"),
    [
        ("bash: line 1: exec: timeout: not found", 127, "the host has no 'timeout'"),
        ("sh: 1: exec: timeout: not found", 127, "the host has no 'timeout'"),
        ("bash: line 1: timeout: command not found", 127, "the host has no 'timeout'"),
        ("timeout: failed to run command 'sh': No such file or directory", 127, "the host has no 'sh'"),
        ("Unmatched '''.", 1, "the command did not begin: Unmatched"),
        ("Last login: today\nThis account is currently not available.", 1, "did not begin: This account"),
        ("", 255, "the command did not begin (exit status 255, nothing said)"),
    ],
)
@pytest.mark.parametrize("become", [False, True])
def test_it_was_not_sudo(complaint: str, status: int, message: str, become: bool) -> None:
    error = start_failure(complaint, "bob", status, become=become)
    assert type(error) is NotSent
    assert message in error.message
    assert error.hint


def test_words_of_sudo_count_only_where_sudo_was_asked() -> None:
    words = "sudo: a password is required"
    assert type(start_failure(words, "bob", 1, become=True)) is SudoDenied
    assert type(start_failure(words, "bob", 1, become=False)) is NotSent


def test_warnings_before_the_reason_do_not_hide_it() -> None:
    words = "sudo: unable to resolve host web1: Name or service not known\nsudo: a password is required"
    assert "wants a password" in start_failure(words, "bob", 1, become=True).message
