"""What an error tells beside its message."""

from __future__ import annotations

import pytest

from crashcart.errors import nearest


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("lab-agc", "did you mean lab-asg?"),
        ("Lab-ASG", "did you mean lab-asg?"),
        ("orders", "did you mean Orders or orders-2?"),
        ("ORDERS-", "did you mean orders-2 or Orders?"),
        ("quite another", ""),
        ("", ""),
    ],
)
def test_the_nearest_name_is_told_whatever_its_case(name: str, hint: str) -> None:
    assert nearest(name, ["lab-asg", "Orders", "orders-2"]) == hint
