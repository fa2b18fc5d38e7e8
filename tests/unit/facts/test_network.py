"""How a dependency is written."""

from __future__ import annotations

import pytest

from crashcart.facts.network import Dependency


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("db.example.com:5432", Dependency("db.example.com", 5432)),
        ("tcp://db:5432", Dependency("db", 5432)),
        ("tls://cache:6380", Dependency("cache", 6380, tls=True)),
        ("https://api.example.com/", Dependency("api.example.com", 443, tls=True)),
        ("[fd00::1]:5432", Dependency("fd00::1", 5432)),
        ("db.example.com", Dependency("db.example.com")),
    ],
)
def test_read(text: str, expected: Dependency) -> None:
    assert Dependency.parse(text) == expected


@pytest.mark.parametrize("text", ["", "db:", "db:99999", "-x:1", "a b:1", "tls://cache", "db:5432/../x", "$(touch x):1"])
def test_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a"):
        Dependency.parse(text)
