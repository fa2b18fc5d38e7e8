"""Signatures: what varies goes, and with it what is secret or personal."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crashcart.facts import logs
from crashcart.facts.logs import signature


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("login of bob@example.com failed", "login of <mail> failed"),
        ("PASSWORD: 'correct horse' rejected", "PASSWORD: *** rejected"),
        ("db_password=hunter2&x=1", "db_password=***&x=<n>"),
        ("Authorization: Bearer eyJhbGciOi.J9.x", "Authorization: ***"),
        ("GET https://api.example.com/u/7?token=abc failed", "GET https://<url> failed"),
        ("request 7f3c2a90-1234-4321-abcd-0123456789ab", "request <id>"),
        ("key AKIAIOSFODNN7EXAMPLEX denied", "key <id> denied"),
        ("fe80::1:2:3 and 10.0.0.1:5432", "<ip> and <ip>"),
        ("at 0x7ffe12 in deadbeef01", "at <hex> in <hex>"),
        ("took 12.5 ms\x1b[31m", "took <n> ms [<n>m"),
    ],
)
def test_what_varies_or_is_secret_goes(line: str, expected: str) -> None:
    assert signature(line) == expected


@given(st.text(max_size=400))
@settings(max_examples=60)
def test_any_line_becomes_short_printable_text(line: str) -> None:
    found = signature(line)
    assert len(found) <= 200
    assert found.isprintable()


@given(st.integers(0, 10**9), st.integers(0, 10**9))
@settings(max_examples=30)
def test_lines_that_differ_in_numbers_are_one(one: int, other: int) -> None:
    assert signature(f"ERROR {one} of {other}") == signature("ERROR 1 of 2")


@given(st.binary(max_size=300))
@settings(max_examples=60)
def test_any_bytes_can_be_counted(body: bytes) -> None:
    state = logs.count(b"now=1795259109\nzone=+0000\nsource=file\nstatus=0\n\n" + body, 600)
    assert sum(one.count for one in state.signatures) <= state.lines


def test_what_is_older_than_the_window_does_not_count() -> None:
    head = b"now=1795259109\nzone=+0000\nsource=journal\nstatus=0\n\n"
    lines = b"1795258000.5 h a: error old\n1795259000.5 h a: error new\n"
    assert [one.text for one in logs.count(head + lines, 600).signatures] == ["a: error new"]
