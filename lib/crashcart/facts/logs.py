"""What an application's log complains of: its error lines of a bounded window, counted by signature; one exec.

Seed row S0-D7. A file's last part is read, wherever its end is; a journal's last lines. What varies from line to line
(numbers, addresses, ids) is taken out of a line to make its signature, and what may be secret or personal with it: no line
of a log leaves the host's answer as it stood there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

import msgspec

from crashcart.errors import FactUnreadable
from crashcart.transports.base import Command, Transport

TAIL = 1024 * 1024
"""Bytes of a file's end that are read on the host."""

PATTERN = (
    r"(^|[^a-z])(error|fatal|panic|exception|traceback|critical|emerg|segfault|unhandled|unhealthy)([^a-z]|$)"
    r"|[a-z](error|exception)([^a-z]|$)|out of memory|no space left|too many open files|connection (refused|reset)|deadlock"
)
"""What makes a line one of an error, whatever its case."""

MOST_SIGNATURES = 10
"""Signatures that are kept: the most frequent."""

SCRIPT = r"""
# $1 file or nothing, $2 unit or nothing, $3 seconds to look back, $4 pattern, $5 bytes of the file's end
within() { limit=$1; shift; timeout --foreground -k 1 "$limit" "$@"; }
errors() { grep -aiE -e "$1"; }
# This waits for the end of what it reads, so how the reading ended is told before it.
last() { tr -d '\000' | cut -b1-600 | tail -n 4000 | tail -c 524288; }
exec 3>&1
printf 'now=%s\nzone=%s\n' "$(date +%s)" "$(date +%z)"
printf x | grep -qaiE -e "$4" 2>/dev/null
[ "$?" -le 1 ] || { printf 'source=pattern\n\n'; exit 0; }
if [ -n "$1" ]; then
  [ -e "$1" ] || { printf 'source=absent\n\n'; exit 0; }
  [ -f "$1" ] || { printf 'source=special\n\n'; exit 0; }
  printf 'source=file\nsize=%s\n' "$(within 3 stat -L -c %s -- "$1")"
  { within 6 tail -c "$5" -- "$1" 2>/dev/null; printf 'status=%s\n\n' "$?" >&3; } | errors "$4" | last
  exit 0
fi
command -v journalctl >/dev/null 2>&1 || { printf 'source=none\n\n'; exit 0; }
printf 'source=journal\n'
set -- "$3" "$4" ${2:+"--unit=$2"}
since="--since=@$(($(date +%s) - $1))" pattern=$2; shift 2
read_journal() { within 5 journalctl --quiet --no-pager --output=short-unix "$since" "$@" 2>/dev/null; }
{
  [ $# -eq 0 ] || read_journal --lines=5000 "$@" | errors "$pattern"
  read_journal --lines=1000 --priority=err "$@"
  printf 'status=%s\n\n' "$?" >&3
} | last
exit 0
"""

_SHORT_UNIX = re.compile(r"^(\d{9,11}\.\d+) (?:\S+ )?(.*)$")
_ISO = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d+))?\s*(Z|[+-]\d\d:?\d\d)?")
_CLF = re.compile(r"\[(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\]")
_SYSLOG = re.compile(r"^([A-Z][a-z]{2}) +(\d{1,2}) (\d\d:\d\d:\d\d)\b")

_SECRET = re.compile(
    r"(?i)([\w-]*(?:passw(?:or)?d|pwd|token|secret|api[_-]?key|authorization|cookie|session)[\w-]*)"
    r"(\s*[=:]\s*|\s+)(?:(?:bearer|basic)\s+)?(\"[^\"]*\"|'[^']*'|[^\s,;&\"']+)"
)
_VARIES = (
    (re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+"), "<mail>"),
    (re.compile(r"([a-z][a-z0-9+.-]*://)[^\s\"'<>]*", re.IGNORECASE), r"\1<url>"),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", re.IGNORECASE), "<id>"),
    (re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?\b"), "<ip>"),
    (re.compile(r"\b(?:[0-9a-f]{0,4}:){3,7}[0-9a-f]{0,4}\b", re.IGNORECASE), "<ip>"),
    (re.compile(r"\b(?=[\w+/=-]*\d)[A-Za-z0-9+/=_-]{20,}"), "<id>"),
    (re.compile(r"\b0x[0-9a-f]+\b|\b(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{8,}\b", re.IGNORECASE), "<hex>"),
    (re.compile(r"\d+(?:\.\d+)?"), "<n>"),
)
_BLANKS = re.compile(r"\s+")
_LONGEST = 200


class Signature(msgspec.Struct, frozen=True):
    """Error lines that differ only in what varies. Times are seconds since 1970; None where the lines have none."""

    text: str
    count: int
    first: float | None = None
    last: float | None = None


class LogState(msgspec.Struct, frozen=True):
    """What a log complains of.

    ``source`` is ``file``, ``journal``, or what stands in the way: ``absent``, ``special`` (no regular file), ``none`` (no
    journal), ``pattern`` (grep does not understand it). ``dated`` is whether its lines tell when they were written: if not,
    all of the part that was read counts. ``size`` is the file's, in bytes.
    """

    source: str
    now: float
    window: float = 0.0
    lines: int = 0
    dated: bool = True
    size: int = 0
    signatures: tuple[Signature, ...] = ()


def observe(transport: Transport, path: str, unit: str, window: float, pattern: str = "") -> LogState:
    """Look at a file, a unit's journal, or where neither is named the whole journal's errors.

    Raises ``FactUnreadable`` and the transport's errors.
    """
    args = (path, unit, str(max(1, int(window))), pattern or PATTERN, str(TAIL))
    result = transport.run(Command(SCRIPT, args, timeout=18, keep=2 * TAIL))
    if not result.ok or result.stdout.cut:
        raise FactUnreadable(f"the log could not be read: {result.ending}")
    return count(result.stdout.data, window)


def parse(stdout: bytes) -> LogState:
    """Read what the script printed, of all times. Raises ``FactUnreadable``."""
    return count(stdout, float("inf"))


def count(stdout: bytes, window: float) -> LogState:
    """Read what the script printed, and count what is not older than ``window`` seconds. Raises ``FactUnreadable``."""
    head, found, body = stdout.decode(errors="replace").partition("\n\n")
    fields = dict(line.partition("=")[::2] for line in head.splitlines())
    if not found or not fields.get("now", "").isdecimal():
        raise FactUnreadable("what the host says of the log is not understood")
    if fields.get("status", "0") not in {"0", "1"}:
        raise FactUnreadable(f"the log could not be read to its end: exit status {fields['status'][:5]}")
    now = float(fields["now"])
    lines = body.splitlines()
    if fields.get("source") == "journal":
        lines = list(dict.fromkeys(lines))  # it is asked twice, and a line that both answers hold has the same microsecond
    dated = list(_dated(lines, now, fields.get("zone", "+0000")))
    within = [(at, text) for at, text in dated if at is None or now - at <= window]
    return LogState(
        source=fields.get("source", ""),
        now=now,
        window=0.0 if window == float("inf") else float(window),
        lines=len(within),
        dated=all(at is not None for at, _ in within),
        size=int(fields["size"]) if fields.get("size", "").isdecimal() else 0,
        signatures=tuple(_counted(within))[:MOST_SIGNATURES],
    )


def signature(line: str) -> str:
    """Return a line without what varies, what is secret and what is personal."""
    text = masked(line)
    for pattern, word in _VARIES:
        text = pattern.sub(word, text)
    return _BLANKS.sub(" ", text).strip()[:_LONGEST]


def masked(line: str) -> str:
    """Return a line as printable text without what is secret."""
    return _SECRET.sub(r"\1\2***", "".join(char if char.isprintable() else " " for char in line))


def _counted(lines: Iterable[tuple[float | None, str]]) -> Iterator[Signature]:
    """Yield the signatures, the most frequent first."""
    times: dict[str, list[float | None]] = {}
    for at, text in lines:
        times.setdefault(signature(text), []).append(at)
    for text, moments in sorted(times.items(), key=lambda item: (-len(item[1]), item[0])):
        known = [moment for moment in moments if moment is not None]
        yield Signature(text, len(moments), min(known, default=None), max(known, default=None))


def _dated(lines: Iterable[str], now: float, zone: str) -> Iterator[tuple[float | None, str]]:
    """Yield each line without its date, and when it was written; one without a date was when the one before it was."""
    before: float | None = None
    for line in lines:
        at, text = _date(line, now, zone)
        before = at if at is not None else before
        yield before, text


def _date(line: str, now: float, zone: str) -> tuple[float | None, str]:
    try:
        return _read_date(line, now, zone)
    except (ValueError, OverflowError):
        return None, line


def _read_date(line: str, now: float, zone: str) -> tuple[float | None, str]:
    journal = _SHORT_UNIX.match(line)
    if journal:
        return float(journal[1]), journal[2]
    iso = _ISO.search(line[:80])
    if iso:
        moment = datetime.fromisoformat(f"{iso[1]}T{iso[2]}{iso[4] or zone}")
        return moment.timestamp(), line[: iso.start()] + line[iso.end() :]
    access = _CLF.search(line)
    if access:
        moment = datetime.strptime(access[1], "%d/%b/%Y:%H:%M:%S %z")
        return moment.timestamp(), line.replace(access[0], "", 1)
    syslog = _SYSLOG.match(line)
    if syslog:
        return _in_this_year(" ".join(syslog.groups()), now, zone), line[syslog.end() :]
    return None, line


def _in_this_year(text: str, now: float, zone: str) -> float:
    """Read syslog's date, which has no year: the latest one that does not lie in the future."""
    year = datetime.fromtimestamp(now, UTC).year
    moments = (datetime.strptime(f"{one} {text} {zone}", "%Y %b %d %H:%M:%S %z").timestamp() for one in (year, year - 1))
    return next(moment for moment in moments if moment <= now + 86400)
