from __future__ import annotations

import shlex
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crashcart.errors import BadInput, TransportError
from crashcart.transports.base import Command
from crashcart.transports.remote import LINE_LIMIT, end_group, new_token, remote_line

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@given(TEXT, st.lists(TEXT), st.booleans(), st.booleans())
def test_every_word_is_quoted(script: str, args: list[str], become: bool, with_password: bool) -> None:
    line = remote_line(Command(script, tuple(args), become=become), "token", with_password=with_password).decode()
    words = shlex.split(line)
    assert words[0] == "exec"
    assert words[len(words) - len(args) :] == args
    assert words[len(words) - len(args) - 2].endswith(f"\n{script}")


@settings(max_examples=25, deadline=None)
@given(st.lists(TEXT, max_size=4))
def test_a_shell_reads_the_words_as_they_were(args: list[str]) -> None:
    line = remote_line(Command("printf '%s\\0' \"$@\"", tuple(args), become=False), "token")
    printed = subprocess.run([b"/bin/sh", b"-c", line], check=True, capture_output=True).stdout
    assert printed == b"token\n" + (b"".join(arg.encode() + b"\0" for arg in args) or b"\0")


@given(st.binary(max_size=20).filter(lambda data: b"\0" not in data))
def test_names_in_any_encoding_are_sent_as_their_bytes(name: bytes) -> None:
    line = remote_line(Command("true", (name.decode(errors="surrogateescape"),)), "token")
    assert name in line.replace(b"'\"'\"'", b"'")


@pytest.mark.parametrize("word", ["\0", "a\0", "\ud800"])
def test_words_that_no_process_can_be_given(word: str) -> None:
    with pytest.raises(BadInput):
        remote_line(Command("true", (word,)), "token")


def test_a_line_that_is_too_long() -> None:
    short = len(remote_line(Command("true", ("x",), become=False), "token"))
    remote_line(Command("true", ("x" * (LINE_LIMIT - short + 1),), become=False), "token")
    with pytest.raises(TransportError):
        remote_line(Command("true", ("x" * (LINE_LIMIT - short + 2),), become=False), "token")


@pytest.mark.parametrize(("seconds", "sent"), [(30.0, "30.000"), (0.25, "0.250"), (0.0, "0.100"), (-1.0, "0.100")])
def test_there_is_always_a_time_limit(seconds: float, sent: str) -> None:
    words = shlex.split(remote_line(Command("true", timeout=seconds, become=False), "token").decode())
    assert words[:5] == ["exec", "timeout", "-k", "2", sent]


def test_sudo_is_asked_for_only_when_wanted() -> None:
    assert b"sudo" not in remote_line(Command("true", become=False), "token")
    assert b"sudo -n --" in remote_line(Command("true"), "token")
    assert b"sudo -S -p" in remote_line(Command("true"), "token", with_password=True)


def test_a_group_is_ended_as_who_runs_it() -> None:
    command = end_group(4711, Command("sleep 99", become=False))
    assert command.args == ("4711",)
    assert not command.become


def test_tokens_differ() -> None:
    assert new_token() != new_token()
