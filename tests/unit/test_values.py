"""What people type for durations, percentages, sizes, paths, units and times."""

from __future__ import annotations

import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crashcart.values import AbsolutePath, Duration, Percent, Since, Size, UnitName, Url, decode, format_size, format_span


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("1h30m", 5400), ("7d", 604800), ("1.5h", 5400), ("500ms", 0.5), (" 2 m ", 120), (5, 5)],
)
def test_durations(text: object, seconds: float) -> None:
    assert Duration.parse(text) == seconds


@pytest.mark.parametrize("text", ["", "-5s", "5x", "soon", "5 5", "1h30", "nan", "inf", "1e9"])
def test_bad_durations(text: str) -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        Duration.parse(text)


@pytest.mark.parametrize(("text", "value"), [("80", 80), ("80%", 80), ("0.5 %", 0.5), (100, 100)])
def test_percentages(text: object, value: float) -> None:
    assert Percent.parse(text) == value


@pytest.mark.parametrize("text", ["", "101", "-1", "80%%", "x"])
def test_bad_percentages(text: str) -> None:
    with pytest.raises(ValueError, match="expected a percentage"):
        Percent.parse(text)


@pytest.mark.parametrize(("text", "value"), [("512", 512), ("1K", 1024), ("2GiB", 2 * 1024**3), ("1.5m", 1572864), ("0", 0)])
def test_sizes(text: str, value: int) -> None:
    assert Size.parse(text) == value


@pytest.mark.parametrize("text", ["", "-1", "5X", "M"])
def test_bad_sizes(text: str) -> None:
    with pytest.raises(ValueError, match="expected a size"):
        Size.parse(text)


@pytest.mark.parametrize(("text", "path"), [("/", "/"), ("//var//log/", "/var/log"), ("/a/./b", "/a/b")])
def test_paths(text: str, path: str) -> None:
    assert AbsolutePath.parse(text) == path


@pytest.mark.parametrize("text", ["", "var", "/var/../etc", "/a\0b", "/a\nb", "~"])
def test_bad_paths(text: str) -> None:
    with pytest.raises(ValueError, match="expected an absolute path"):
        AbsolutePath.parse(text)


@pytest.mark.parametrize("text", ["http://h", "https://h:8443/x?y=1", "http://[::1]:80/"])
def test_urls(text: str) -> None:
    assert Url.parse(text) == text


@pytest.mark.parametrize(
    "text", ["", "h:80", "ftp://h", "http://", "http://h:x/", "http://h:99999/", "http://h/a b", "http://[::1"]
)
def test_bad_urls(text: str) -> None:
    with pytest.raises(ValueError, match="expected a URL"):
        Url.parse(text)


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("api", "api.service"),
        ("api.service", "api.service"),
        ("a@1", "a@1.service"),
        ("x.timer", "x.timer"),
        ("a.b", "a.b.service"),
    ],
)
def test_units(text: str, unit: str) -> None:
    assert UnitName.parse(text) == unit


@pytest.mark.parametrize("text", ["", "-x", "a b", "a;b", "a/b", "$(x)", "a" * 300, "@x"])
def test_bad_units(text: str) -> None:
    with pytest.raises(ValueError, match="expected a systemd unit"):
        UnitName.parse(text)


def test_times_are_absolute_or_relative_to_the_targets_clock() -> None:
    assert Since.parse("10m").epoch(1000) == 400
    assert Since.parse("10m ago").epoch(1000) == 400
    assert Since.parse("1970-01-01T00:10Z").epoch(99) == 600
    assert Since.parse("1970-01-01T02:10+02:00").epoch(99) == 600


@pytest.mark.parametrize("text", ["", "yesterday", "2030-01-01T00:00", "03:00", "2030-13-01T00:00Z"])
def test_bad_times(text: str) -> None:
    with pytest.raises(ValueError, match="expected a time"):
        Since.parse(text)


class Wish(msgspec.Struct):
    size: Size
    paths: tuple[AbsolutePath, ...] = ()
    url: Url | None = None


def test_decoding_uses_the_types_inside_records() -> None:
    wish = decode({"size": "1K", "paths": ["/a/"], "url": None}, Wish)
    assert (wish.size, wish.paths, wish.url) == (1024, ("/a",), None)


def test_decoding_names_the_place() -> None:
    with pytest.raises(msgspec.ValidationError, match=r"expected an absolute path.*\$\.paths"):
        decode({"size": 1, "paths": ["x"]}, Wish)


@given(st.floats(0, 1e15))
def test_sizes_are_written_short(size: float) -> None:
    assert len(format_size(size)) < 12


@given(st.floats(0, 1e9))
def test_spans_are_written_short(seconds: float) -> None:
    assert len(format_span(seconds)) < 10


@given(st.text())
def test_no_text_is_more_than_a_value_error(text: str) -> None:
    for kind in (Duration, Percent, Size, AbsolutePath, Url, UnitName, Since):
        with contextlib.suppress(ValueError):
            kind.parse(text)
