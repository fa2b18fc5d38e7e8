"""Messages that say the same are told together, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crashcart.reports.alike import FEW_OF_A_KIND, NAME, Crowd, common, likeness
from crashcart.reports.story import Line
from crashcart.reports.wishes import Wish, wishes_text


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        (("/ is 91 % full", "a"), ("/ is 97 % full", "b"), "/ is 91-97 % full"),
        (("10.0.0.1:22 refuses", "a"), ("10.0.0.2:22 refuses", "b"), "... refuses"),
        (("no such unit x1 on web1", "web1"), ("no such unit x1 on web2", "web2"), f"no such unit x1 on {NAME}"),
        (("(7 min)", "a"), ("(12 min)", "b"), "(7-12 min)"),
        (("it shines already", "a"), ("it shines already", "s"), "it shines already"),
    ],
)
def test_what_differs_is_a_range_or_left_open(first: tuple[str, str], second: tuple[str, str], together: str) -> None:
    assert likeness(*first) == likeness(*second)
    assert common([first, second]) == together


@pytest.mark.parametrize(
    ("first", "second"), [("disk full", "disk dead"), ("down since 5 s", "down"), ("api is down", "web is down")]
)
def test_other_words_are_another_message(first: str, second: str) -> None:
    assert likeness(first) != likeness(second)


@settings(max_examples=50)
@given(st.text(alphabet="ab1 .:%", max_size=30), st.text(alphabet="ab1", min_size=1, max_size=3))
def test_a_message_is_like_itself_and_alone_stays_as_it_is(message: str, name: str) -> None:
    assert common([(message, name)]) == message
    assert len(common([(message, name), (message, name)]).split()) == len(message.split())


def test_a_crowd_lets_a_few_of_each_kind_pass_and_says_once_that_there_are_more() -> None:
    crowd = Crowd()
    told = [crowd.admit(Line("ok", f"{number} % full", subject=f"t{number}")) for number in range(1000)]
    other = crowd.admit(Line("failed", "9 % full", subject="t9"))
    shown = [line for line in told if line]
    assert len(shown) == FEW_OF_A_KIND + 1
    assert shown[-1].sentence == "... more like these; the summary counts them"
    assert other
    assert other.text == "9 % full"


def test_acts_to_confirm_come_with_their_undo_and_equals_together() -> None:
    few = wishes_text([Wish("a", "restart x", ""), Wish("b", "set 5", "put 3 back")])
    assert few == "  a: restart x\n    undo: none, it cannot be taken back\n  b: set 5\n    undo: put 3 back"
    many = wishes_text([Wish(f"t{number}", f"set {number}", "put it back") for number in range(1000)])
    assert many == "  1000 targets (t0, t1, t2, t3, t4 and 995 more): set 0-999\n    undo: put it back"
    assert "\x1b" not in wishes_text([Wish("a\x1b[2J", "x\x1b]0;t\x07", "\x1b[31m")])
