"""Freeze windows: read strictly, right in every timezone, and they say until when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from crashcart import yamlfile
from crashcart.errors import BadInput, Refused
from crashcart.plan import Options
from crashcart.results import Mode
from crashcart.safety.freeze import DAYS, check_freeze, frozen, parse_windows, windows_of
from crashcart.targets import Target

YEAR_END = {"from": "2026-12-20T00:00Z", "until": "2027-01-03T00:00Z", "reason": "year end"}
WEEKEND = {
    "days": ["fri", "sat", "sun"],
    "from": "18:00",
    "until": "08:00",
    "timezone": "Europe/Berlin",
    "reason": "weekend",
}
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "Asia/Kathmandu", "UTC")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def weekly(days: list[str], begin: str, end: str, timezone: str = "UTC") -> dict[str, Any]:
    return {"days": days, "from": begin, "until": end, "timezone": timezone}


def said(*windows: dict[str, Any], now: str) -> str:
    return frozen(parse_windows(list(windows), "web1"), at(now))


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-12-19T23:59:59Z", False),
        ("2026-12-20T00:00Z", True),
        ("2027-01-02T23:59:59Z", True),
        ("2027-01-03T00:00Z", False),
        ("2026-12-20T01:30+02:00", False),
    ],
)
def test_a_dated_window_has_its_begin_and_not_its_end(now: str, expected: bool) -> None:
    assert said(YEAR_END, now=now) == ("frozen until 2027-01-03 00:00 UTC: year end" if expected else "")


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-11-20T16:59Z", None),  # Friday, 17:59 in Berlin
        ("2026-11-20T17:00Z", "2026-11-21 07:00"),
        ("2026-11-21T06:59Z", "2026-11-21 07:00"),
        ("2026-11-21T07:00Z", None),  # by day one may
        ("2026-11-22T20:00Z", "2026-11-23 07:00"),  # Sunday, over midnight into Monday
        ("2026-11-23T07:00Z", None),
        ("2026-11-23T20:00Z", None),  # Monday
        ("2026-07-17T16:00Z", "2026-07-18 06:00"),  # in summer an hour earlier
        ("2026-07-17T15:59Z", None),
    ],
)
def test_a_weekly_window_follows_the_clocks_of_its_zone(now: str, until: str | None) -> None:
    assert said(WEEKEND, now=now) == (f"frozen until {until} UTC: weekend" if until else "")


def test_a_night_in_which_the_clocks_change_is_as_long_as_it_is() -> None:
    assert "2026-03-29 06:00" in said(WEEKEND, now="2026-03-28T17:00Z")  # 13 hours
    assert "2026-10-25 07:00" in said(WEEKEND, now="2026-10-24T16:00Z")  # 15 hours


@pytest.mark.parametrize(
    ("begin", "end", "first", "last"),
    [
        ("02:00", "02:45", "2026-10-25T00:00Z", "2026-10-25T01:44Z"),  # these happen twice: from the first to the second
        ("02:15", "04:00", "2026-03-29T01:00Z", "2026-03-29T01:59Z"),  # 02:15 does not happen
    ],
)
def test_times_that_happen_twice_or_never_make_the_longer_window(begin: str, end: str, first: str, last: str) -> None:
    window = weekly(["sun"], begin, end, "Europe/Berlin")
    now = at(first)
    while now <= at(last):
        assert said(window, now=now.isoformat())
        now += timedelta(minutes=1)
    assert not said(window, now=now.isoformat())


def by_the_wall(window: dict[str, Any], now: datetime) -> bool:
    """Whether somebody who looks at a clock and a calendar on the wall calls this frozen."""
    local = now.astimezone(ZoneInfo(window["timezone"]))
    clock, today, yesterday = f"{local:%H:%M}", DAYS[local.weekday()], DAYS[local.weekday() - 1]
    if window["until"] > window["from"]:
        return today in window["days"] and window["from"] <= clock < window["until"]
    return (today in window["days"] and clock >= window["from"]) or (yesterday in window["days"] and clock < window["until"])


def changes_near(zone: str, now: datetime) -> bool:
    offsets = {(now + timedelta(hours=hours)).astimezone(ZoneInfo(zone)).utcoffset() for hours in range(-3, 4)}
    return len(offsets) > 1


times = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.sampled_from((0, 15, 30, 59)))
weeks = st.builds(weekly, st.lists(st.sampled_from(DAYS), min_size=1, unique=True), times, times, st.sampled_from(ZONES))
moments = st.integers(0, 366 * 24 * 12).map(lambda fives: at("2026-01-01T00:00Z") + timedelta(minutes=5 * fives))
clock_changes = st.sampled_from(("2026-03-29T01:00Z", "2026-10-25T01:00Z", "2026-03-08T07:00Z", "2026-04-04T15:00Z"))
near_changes = st.builds(lambda text, fives: at(text) + timedelta(minutes=5 * fives), clock_changes, st.integers(-24, 24))


@given(weeks, moments | near_changes)
@settings(max_examples=80, deadline=None)
def test_what_the_clock_on_the_wall_calls_frozen_is(window: dict[str, Any], now: datetime) -> None:
    (parsed,) = parse_windows([window], "web1")
    end = parsed.covers_until(now)
    if by_the_wall(window, now):
        assert end is not None
    elif not changes_near(window["timezone"], now):
        assert end is None
    assert end is None or now < end <= now + timedelta(hours=26)


def test_windows_that_join_end_with_the_last_of_them() -> None:
    whole_days = weekly(["sat", "sun"], "00:00", "00:00")
    assert said(whole_days, now="2026-11-21T03:00Z") == "frozen until 2026-11-23 00:00 UTC"
    late = weekly(["mon"], "00:00", "06:00")
    assert said(whole_days, late, now="2026-11-21T03:00Z") == "frozen until 2026-11-23 06:00 UTC"


def test_a_week_without_an_end_still_gets_an_answer() -> None:
    assert said(weekly(list(DAYS), "00:00", "00:00"), now="2026-11-21T03:00Z").startswith("frozen until 2026-12-")


def test_of_windows_that_overlap_the_last_to_end_counts() -> None:
    longer = YEAR_END | {"until": "2027-01-10T00:00Z", "reason": "audit"}
    assert said(YEAR_END, longer, now="2026-12-24T00:00Z") == "frozen until 2027-01-10 00:00 UTC: audit"


@pytest.mark.parametrize(
    ("raw", "message", "hint"),
    [
        (None, "freeze: expected a list of windows, got nothing", "[] means none"),
        (True, "freeze: expected a list of windows, got True", "[]"),
        (YEAR_END, "freeze: expected a list of windows, got {'from'", "[]"),
        (["soon"], "freeze.0: expected a window with from and until, got 'soon'", ""),
        ([YEAR_END, YEAR_END | {"untill": 1}], "freeze.1.untill: unknown key 'untill'", "did you mean until?"),
        ([YEAR_END | {"day": ["fri"]}], "freeze.0.day: unknown key 'day'", "did you mean days?"),
        ([YEAR_END | {"timezone": "UTC"}], "freeze.0.timezone: unknown key 'timezone'", "timezone"),
        ([{"from": "2026-12-20T00:00Z"}], "freeze.0: until is missing", "from, until, reason"),
        ([weekly([], "18:00", "08:00")], "freeze.0.days: expected a list of days, got []", "mon, tue"),
        ([weekly("fri", "18:00", "08:00")], "freeze.0.days: expected a list of days, got 'fri'", "mon, tue"),  # type: ignore[arg-type]
        ([weekly(["Friday"], "18:00", "08:00")], "freeze.0.days.0: unknown day 'Friday'", "did you mean fri"),
        ([weekly(["fri"], "18:00", "08:00", "Europe/Berlni")], "knows no timezone 'Europe/Berlni'", "Europe/Berlin"),
        ([weekly(["fri"], "18:00", "08:00", "../etc/passwd")], "knows no timezone", "UTC"),
        ([weekly(["fri"], "18:00", "08:00", None)], "knows no timezone nothing", "UTC"),  # type: ignore[arg-type]
        ([weekly(["fri"], "18:00", "24:00")], "freeze.0.until: expected a time of day in quotes, got '24:00'", "18:00"),
        (
            [YEAR_END | {"from": "2026-12-20T00:00"}],
            "freeze.0.from: a time without a zone: 2026-12-20T00:00",
            "add Z for UTC",
        ),
        ([YEAR_END | {"from": "2026-12-20"}], "a time without a zone: 2026-12-20", "add Z"),
        ([YEAR_END | {"from": 20261220}], "freeze.0.from: expected a time such as", ""),
        ([YEAR_END | {"until": "2026-12-20T00:00Z"}], "freeze.0.until: until 2026-12-20T00:00Z is not after from", ""),
        ([YEAR_END | {"reason": 7}], "freeze.0.reason: expected a text, got 7", ""),
        ({"file": "/x", "from": "y"}, "a file and something else: file, from", ""),
        ({"file": 7}, "freeze.file: expected a path, got 7", ""),
        ("freeze.yml", "expected windows, or a file's path that begins with / or ~, got 'freeze.yml'", "inventory_dir"),
        ("/no/such/freeze.yml", "/no/such/freeze.yml: cannot be read", ""),
    ],
)
def test_what_cannot_be_read_is_bad_input(raw: Any, message: str, hint: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_windows(raw, "web1")
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert caught.value.message.startswith(("web1: ", "/no/such"))


def test_a_time_without_quotes_is_what_yaml_makes_of_it_and_named() -> None:
    raw = yamlfile.parse("- {days: [fri], from: 18:00, until: 08:00, timezone: UTC}", "x").value
    with pytest.raises(BadInput, match="in quotes, got 1080") as caught:
        parse_windows(raw, "web1")
    assert caught.value.hint == 'from: "18:00"'


def test_dates_are_read_as_people_write_them_in_yaml() -> None:
    text = "- {from: 2026-12-20T00:00Z, until: 2027-01-03 00:00:00+01:00, reason: year end}"
    windows = parse_windows(yamlfile.parse(text, "x").value, "web1")
    assert frozen(windows, at("2026-12-24T00:00Z")) == "frozen until 2027-01-02 23:00 UTC: year end"


@pytest.mark.parametrize("wrap", [str, lambda path: {"file": str(path)}])
def test_windows_may_lie_in_a_file(tmp_path: Path, wrap: Any) -> None:
    path = tmp_path / "freeze.yml"
    path.write_text(yaml.safe_dump([YEAR_END, WEEKEND]))
    assert parse_windows(wrap(path), "web1") == parse_windows([YEAR_END, WEEKEND], "web1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- from: 2026-12-20T00:00Z\n  untill: 2027-01-03T00:00Z\n", ":2:3: unknown key 'untill'"),
        ("- from: 2026-12-20T00:00Z\n  until: 2027-01-03T00:00\n", ":2:3: a time without a zone"),
        ("windows: []\n", ":1:1: expected a list of windows"),
        ("", ": the file is empty"),
        ("- [", ":2:1: "),
    ],
)
def test_a_file_that_cannot_be_understood_says_where(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "freeze.yml"
    path.write_text(text)
    with pytest.raises(BadInput) as caught:
        parse_windows(str(path), "web1")
    assert f"{path}{message}" in caught.value.message


def target(name: str, *windows: dict[str, Any]) -> Target:
    return Target(name, variables={"freeze": list(windows)} if windows else {})


def test_a_refusal_names_the_targets_the_window_and_the_flag() -> None:
    targets = [target(f"web{number}", YEAR_END) for number in range(7)]
    targets += [target("db1", YEAR_END | {"reason": "audit"}), target("free"), target("later", WEEKEND)]
    with pytest.raises(Refused) as caught:
        check_freeze(targets, at("2026-12-24T12:00Z"), Options())
    assert caught.value.hint == "--break-glass"
    assert caught.value.message == (
        "web0, web1, web2, web3, web4 and 2 more: frozen until 2027-01-03 00:00 UTC: year end; "
        "db1: frozen until 2027-01-03 00:00 UTC: audit"
    )


@pytest.mark.parametrize("options", [Options(break_glass=True), Options(mode=Mode.CHECK)])
def test_break_glass_and_looking_pass(options: Options) -> None:
    check_freeze([target("web1", YEAR_END)], at("2026-12-24T12:00Z"), options)


def test_out_of_season_everything_passes() -> None:
    check_freeze([target("web1", YEAR_END), target("web2", WEEKEND), target("web3")], at("2026-06-03T12:00Z"), Options())


def test_a_window_that_cannot_be_read_is_found_before_anything_else() -> None:
    broken = Target("web2", variables={"freeze": None})
    with pytest.raises(BadInput, match="web2: freeze: expected a list"):
        windows_of([target("web1", YEAR_END), broken])
    with pytest.raises(BadInput, match="web2: freeze: expected a list"):
        check_freeze([target("web1"), broken], datetime.now(UTC), Options())


def test_a_fleet_reads_its_file_once(tmp_path: Path) -> None:
    path = tmp_path / "freeze.yml"
    path.write_text(yaml.safe_dump([YEAR_END]))
    fleet = [Target(f"web{number}", variables={"freeze": str(path)}) for number in range(100)]
    found = windows_of(fleet)
    assert [one for one, _ in found] == fleet
    assert len({id(windows) for _, windows in found}) == 1
