"""docs/safety.md: every promise names tests, and every test that it names is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
PAGE = CHECKOUT / "docs/safety.md"

_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
_ROW = re.compile(r"^\| (?!promise|---)(?P<promise>[^|]+) \| (?P<tests>[^|]+) \| (?P<others>[^|]+) \|$", re.MULTILINE)
_LINK = re.compile(r"\]\(([\w./-]+\.md)\)")
_CITED = re.compile(r"\w+#\d+|https://")


def rows() -> list[re.Match[str]]:
    return list(_ROW.finditer(PAGE.read_text().partition("## Promises")[2]))


def functions(path: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


def test_there_is_a_row_for_each_promise() -> None:
    assert len(rows()) >= 20


@pytest.mark.parametrize("row", rows(), ids=lambda row: row["promise"][:50])
def test_each_promise_names_its_tests_and_they_are_there(row: re.Match[str]) -> None:
    named = _TEST.findall(row["tests"])
    assert named, f"no test proves: {row['promise']}"
    for path, name in named:
        assert (CHECKOUT / path).is_file(), path
        assert name in functions(CHECKOUT / path), f"{path}::{name}"


@pytest.mark.parametrize("row", rows(), ids=lambda row: row["promise"][:50])
def test_what_others_do_is_cited_or_left_out(row: re.Match[str]) -> None:
    assert row["others"].strip() == "-" or _CITED.search(row["others"]), row["others"]


def test_every_test_that_the_text_names_is_there() -> None:
    for path, name in _TEST.findall(PAGE.read_text()):
        assert name in functions(CHECKOUT / path), f"{path}::{name}"


def test_links_lead_somewhere() -> None:
    for link in _LINK.findall(PAGE.read_text()):
        assert (PAGE.parent / link).is_file(), link
