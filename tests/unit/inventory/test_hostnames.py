"""Ranges and ports in host names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crashcart.inventory.hostnames import expand, is_host, split_port


@pytest.mark.parametrize(
    ("pattern", "hosts"),
    [
        ("web", ["web"]),
        ("web[1:3]", ["web1", "web2", "web3"]),
        ("web[01:03]", ["web01", "web02", "web03"]),
        ("db-[a:c].x", ["db-a.x", "db-b.x", "db-c.x"]),
        ("n[0:10:5]", ["n0", "n5", "n10"]),
        ("n[:2]", ["n0", "n1", "n2"]),
        ("n[9:11]", ["n9", "n10", "n11"]),
        ("a[1:2]b[x:y]", ["a1bx", "a1by", "a2bx", "a2by"]),
        ("[1:2]", ["1", "2"]),
    ],
)
def test_ranges(pattern: str, hosts: list[str]) -> None:
    assert expand(pattern) == hosts


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("web[1-3]", "a range is"),
        ("web[]", "a range is"),
        ("web[1:]", "a range is"),
        ("web[a:3]", "a range is"),
        ("web[ab:ac]", "a range is"),
        ("web[-1:3]", "a range is"),
        ("web[3:1]", "runs backwards"),
        ("web[c:a]", "runs backwards"),
        ("web[1:3:0]", "step of .* is zero"),
        ("web[01:100]", "same number of digits"),
        ("web[1:3", "bracket stands alone"),
        ("web1:3]", "bracket stands alone"),
        ("web[1:999999999]", "more than 100000 hosts"),
        ("web[1:1000][1:1000]", "more than 100000 hosts"),
        ("web[٣:٤]", "a range is"),
    ],
)
def test_bad_ranges(pattern: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        expand(pattern)


@given(first=st.integers(0, 300), count=st.integers(1, 50), step=st.integers(1, 7), width=st.integers(0, 5))
def test_a_range_is_what_counting_gives(first: int, count: int, step: int, width: int) -> None:
    last = first + count
    numbers = [str(number).zfill(width) for number in range(first, last + 1, step)]
    ends = str(first).zfill(width), str(last).zfill(width)
    if len(ends[0]) == len(ends[1]) or not ends[0].startswith("0") or ends[0] == "0":
        assert expand(f"h[{ends[0]}:{ends[1]}:{step}]") == [f"h{number}" for number in numbers]


@given(st.text(alphabet="w1a[]:-.", max_size=15))
def test_any_name_expands_or_is_refused(pattern: str) -> None:
    try:
        hosts = expand(pattern)
    except ValueError:
        return
    assert len(hosts) == len(set(hosts)) > 0
    assert not any(bracket in host for host in hosts for bracket in "[]")


@pytest.mark.parametrize(
    ("text", "name", "port"),
    [
        ("web1", "web1", None),
        ("web1:22", "web1", 22),
        ("web[1:3]:22", "web[1:3]", 22),
        ("web[1:3]", "web[1:3]", None),
        ("[2001:db8::1]:22", "2001:db8::1", 22),
        ("2001:db8::1", "2001:db8::1", None),
        ("10.0.0.1:22", "10.0.0.1", 22),
        ("web:db", "web:db", None),
        ("web:db:1", "web:db:1", None),
        ("!web:1", "!web:1", None),
        ("", "", None),
    ],
)
def test_ports(text: str, name: str, port: int | None) -> None:
    assert split_port(text) == (name, port)


@pytest.mark.parametrize(
    "text", ["web", "web-1.example.com", "web[1:3]", "[1:3].x", "10.0.0.[1:9]", "::1", "fe80::[1:9]", "a_b"]
)
def test_hosts(text: str) -> None:
    assert is_host(text)


@pytest.mark.parametrize("text", ["", "web*", "a:b", "-web", "web-", "a..b", "~web", "web[1]", "web[1:]", "a b", "web["])
def test_not_hosts(text: str) -> None:
    assert not is_host(text)
