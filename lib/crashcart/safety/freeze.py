"""Freeze windows: times in which nothing may be changed. They come from the inventory variable ``freeze``, or from a file.

    freeze:
      - {from: 2026-12-20T00:00Z, until: 2027-01-03T00:00Z, reason: year end}
      - {days: [fri, sat, sun], from: "18:00", until: "08:00", timezone: Europe/Berlin, reason: weekend}

A weekly window begins on each of its days and ends at the next ``until``, over midnight where that is not later than
``from``. Where a clock change makes a time of day ambiguous or leaves it out, the window is the longer one.
``freeze: PATH``, or ``freeze: {file: PATH}``, names a YAML file that holds such a list. ``freeze: []`` means none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from crashcart import yamlfile
from crashcart.errors import BadInput, Refused, nearest
from crashcart.plan import Options
from crashcart.results import Mode
from crashcart.targets import Target

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_DATED = ("from", "until", "reason")
_WEEKLY = ("days", "from", "until", "timezone", "reason")
_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)", re.ASCII)
_JOINED = 16
_SHOWN = 5

Fail = Callable[[Sequence[Any], str, str], BadInput]
"""Makes the error for a place (a path of keys), with a message and a hint."""


class Dated(msgspec.Struct, frozen=True):
    """One freeze, from ``begin`` until just before ``end``."""

    begin: datetime
    end: datetime
    reason: str = ""

    def covers_until(self, now: datetime) -> datetime | None:
        """Return when the freeze ends that ``now`` lies in, or None."""
        return self.end if self.begin <= now < self.end else None


class Weekly(msgspec.Struct, frozen=True):
    """A freeze that comes back: on each of ``days`` (0 is Monday) from ``begin`` until the next ``end``, in ``timezone``."""

    days: frozenset[int]
    begin: time
    end: time
    timezone: str
    reason: str = ""

    def covers_until(self, now: datetime) -> datetime | None:
        """Return when the freeze ends that ``now`` lies in, or None."""
        zone = ZoneInfo(self.timezone)
        today = now.astimezone(zone).date()
        near = (today + timedelta(days=offset) for offset in (-1, 0, 1))
        spans = [self._span(day, zone) for day in near if day.weekday() in self.days]
        return max((end for begin, end in spans if begin <= now < end), default=None)

    def _span(self, day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
        last = day if self.end > self.begin else day + timedelta(days=1)
        return min(_moments(day, self.begin, zone)), max(_moments(last, self.end, zone))


Window = Dated | Weekly


def parse_windows(raw: Any, where: str) -> tuple[Window, ...]:
    """Read the value of ``freeze``; ``where`` says whose it is. Raises ``BadInput`` with the place and the nearest key."""
    if isinstance(raw, Mapping) and "file" in raw:
        if len(raw) > 1:
            raise BadInput(f"{where}: freeze has a file and something else: {', '.join(sorted(map(str, raw)))}")
        raw = raw["file"]
        if not isinstance(raw, str):
            raise BadInput(f"{where}: freeze.file: expected a path, got {raw!r}")
    if isinstance(raw, str):
        return _read_file(raw, where)

    def fail(place: Sequence[Any], message: str, hint: str = "") -> BadInput:
        return BadInput(f"{where}: {'.'.join(map(str, ('freeze', *place)))}: {message}", hint=hint)

    return _windows(raw, fail)


def windows_of(targets: Iterable[Target]) -> list[tuple[Target, tuple[Window, ...]]]:
    """Read the windows of each target, the same value only once. Raises ``BadInput``; to be called before any contact."""
    known: dict[str, tuple[Window, ...]] = {}
    found: list[tuple[Target, tuple[Window, ...]]] = []
    for target in targets:
        if "freeze" in target.variables:
            raw = target.variables["freeze"]
            key = repr(raw)
            if key not in known:
                known[key] = parse_windows(raw, target.name)
            found.append((target, known[key]))
    return found


def frozen(windows: Sequence[Window], now: datetime) -> str:
    """Return until when, and why, nothing may be changed at ``now``; "" when it may. Windows that join count as one."""
    first = _last_to_end(windows, now)
    if first is None:
        return ""
    end, reason = first
    for _ in range(_JOINED):
        following = _last_to_end(windows, end)
        if following is None:
            break
        end = following[0]
    return f"frozen until {end.astimezone(UTC):%Y-%m-%d %H:%M} UTC" + (f": {reason}" if reason else "")


def check_freeze(targets: Sequence[Target], now: datetime, options: Options) -> None:
    """Refuse to act on frozen targets. Raises ``Refused`` naming them and until when, ``BadInput`` like ``windows_of``."""
    if options.break_glass or options.mode is Mode.CHECK:
        return
    names: dict[str, list[str]] = {}
    for target, windows in windows_of(targets):
        why = frozen(windows, now)
        if why:
            names.setdefault(why, []).append(target.name)
    if names:
        raise Refused("; ".join(f"{_list(found)}: {why}" for why, found in names.items()), hint="--break-glass")


def _last_to_end(windows: Sequence[Window], now: datetime) -> tuple[datetime, str] | None:
    ends = [(end, window.reason) for window in windows if (end := window.covers_until(now))]
    return max(ends, default=None)


def _moments(day: date, at: time, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return the moments that a time of day may mean: the same one twice, but for when the clocks change."""
    first, second = (datetime.combine(day, at.replace(fold=fold), zone).astimezone(UTC) for fold in (0, 1))
    return first, second


def _list(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _read_file(text: str, where: str) -> tuple[Window, ...]:
    path = Path(text).expanduser()
    if not path.is_absolute():
        hint = f'freeze: "{{{{ inventory_dir }}}}/{text}" lies beside the inventory'
        raise BadInput(
            f"{where}: freeze: expected windows, or a file's path that begins with / or ~, got {text!r}", hint=hint
        )
    document = yamlfile.load(path)
    return _windows(document.value, document.error)


def _windows(raw: Any, fail: Fail) -> tuple[Window, ...]:
    if not isinstance(raw, list):
        raise fail((), f"expected a list of windows, got {_shown(raw)}", "freeze: [] means none")
    return tuple(_window(item, (number,), fail) for number, item in enumerate(raw))


def _window(raw: Any, place: tuple[Any, ...], fail: Fail) -> Window:
    if not isinstance(raw, Mapping):
        raise fail(place, f"expected a window with from and until, got {_shown(raw)}", "")
    allowed = _WEEKLY if "days" in raw else _DATED
    for key in raw:
        if key not in allowed:
            hint = nearest(str(key), {*_WEEKLY, *_DATED}) or f"there are {', '.join(allowed)}"
            raise fail((*place, key), f"unknown key {key!r}", hint)
    for key in allowed[:-1]:
        if key not in raw:
            raise fail(place, f"{key} is missing", f"a window has {', '.join(allowed)}")
    reason = raw.get("reason", "")
    if not isinstance(reason, str):
        raise fail((*place, "reason"), f"expected a text, got {_shown(reason)}", "")
    return _weekly(raw, reason, place, fail) if "days" in raw else _dated(raw, reason, place, fail)


def _dated(raw: Mapping[str, Any], reason: str, place: tuple[Any, ...], fail: Fail) -> Dated:
    begin, end = (_moment(raw[key], (*place, key), fail) for key in ("from", "until"))
    if end <= begin:
        raise fail((*place, "until"), f"until {raw['until']} is not after from {raw['from']}", "")
    return Dated(begin, end, reason)


def _weekly(raw: Mapping[str, Any], reason: str, place: tuple[Any, ...], fail: Fail) -> Weekly:
    begin, end = (_time_of_day(raw[key], (*place, key), fail) for key in ("from", "until"))
    days = _days(raw["days"], (*place, "days"), fail)
    return Weekly(days, begin, end, _timezone(raw["timezone"], (*place, "timezone"), fail), reason)


def _moment(raw: Any, place: tuple[Any, ...], fail: Fail) -> datetime:
    try:
        moment = datetime.fromisoformat(raw)
    except (TypeError, ValueError):
        raise fail(place, f"expected a time such as 2026-12-20T00:00Z, got {_shown(raw)}", "") from None
    if moment.tzinfo is None:
        raise fail(place, f"a time without a zone: {raw}", "add Z for UTC, or an offset such as +01:00")
    return moment.astimezone(UTC)


def _time_of_day(raw: Any, place: tuple[Any, ...], fail: Fail) -> time:
    match = _TIME.fullmatch(raw) if isinstance(raw, str) else None
    if match:
        return time(int(match[1]), int(match[2]))
    # YAML reads 18:00 without quotes as 18 x 60.
    meant = f"{raw // 60:02}:{raw % 60:02}" if isinstance(raw, int) and 0 <= raw < 1440 else "18:00"
    raise fail(place, f"expected a time of day in quotes, got {_shown(raw)}", f'{place[-1]}: "{meant}"')


def _days(raw: Any, place: tuple[Any, ...], fail: Fail) -> frozenset[int]:
    if not isinstance(raw, list) or not raw:
        raise fail(place, f"expected a list of days, got {_shown(raw)}", f"there are {', '.join(DAYS)}")
    for number, day in enumerate(raw):
        if day not in DAYS:
            hint = nearest(str(day).lower()[:3], DAYS) or f"there are {', '.join(DAYS)}"
            raise fail((*place, number), f"unknown day {_shown(day)}", hint)
    return frozenset(DAYS.index(day) for day in raw)


def _timezone(raw: Any, place: tuple[Any, ...], fail: Fail) -> str:
    try:
        return ZoneInfo(raw).key
    except (TypeError, ValueError, AttributeError, OSError, KeyError):
        hint = "a name such as Europe/Berlin or UTC; the system's or PyPI's tzdata has them"
        raise fail(place, f"this machine knows no timezone {_shown(raw)}", hint) from None


def _shown(raw: Any) -> str:
    return "nothing" if raw is None else repr(raw)[:60]
