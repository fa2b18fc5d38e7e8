"""Text from hosts can do nothing but be read."""

from __future__ import annotations

import pytest

from crashcart.reports.text import bounded, columns, counted, listed, visible


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("plain text, [bold]markup[/bold] and ünïcode", "plain text, [bold]markup[/bold] and ünïcode"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("two\nlines\r\n", r"two\nlines"),
        ("bell\x07 and\ttab", r"bell\x07 and\ttab"),
        ("right\u202eto left", r"right\u202eto left"),
        ("zero\u200bwidth", r"zero\u200bwidth"),
        ("c1 \x9b31m", r"c1 \x9b31m"),
        ("stray \udcff byte", r"stray \udcff byte"),
        ("line\u2028separator", r"line\u2028separator"),
        ("", ""),
    ],
)
def test_what_cannot_be_seen_is_made_visible(hostile: str, shown: str) -> None:
    assert visible(hostile) == shown
    assert visible(hostile).isprintable()


def test_a_flood_is_cut_and_says_by_how_much() -> None:
    assert visible("x" * 5000, 10) == "xxxxxxxxxx... (4990 more characters)"


def test_indentation_stays() -> None:
    assert visible("    indented\n") == "    indented"


def test_lists_never_leave_out_just_one() -> None:
    assert listed(["a", "b", "c"], 2) == "a, b, c"
    assert listed(["a", "b", "c", "d"], 2) == "a, b and 2 more"
    assert bounded(["a", "b", "c"], 3) == ["a", "b", "c"]
    assert bounded(["a", "b", "c"], 1) == ["a", "... 2 more lines"]


def test_counting() -> None:
    assert (counted(1, "target"), counted(0, "target"), counted(3, "target")) == ("1 target", "0 targets", "3 targets")


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert columns([["fault", "in"], ["x", "1.0 s"]]) == "fault  in\nx      1.0 s"


def test_columns_are_as_wide_as_a_terminal_shows_them() -> None:
    shown = columns([["東京", "x"], ["cafe\u0301", "y"], ["abc", "z"]])
    assert shown.splitlines() == ["東京  x", "cafe\u0301  y", "abc   z"]
