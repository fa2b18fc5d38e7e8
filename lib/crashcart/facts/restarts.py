"""How often somebody restarted a systemd unit, as its host's own journal tells: systemd's automatic restarts do not count.

What systemd writes (252, on real hosts; other versions leave some of it out, and no single line of it is relied on):

- a start that was asked for: ``Starting``, after ``Stopping`` and ``Stopped`` where the unit ran; at its end ``Started``;
- an automatic restart: first ``Scheduled restart job``, never ``Stopping``; then ``Stopped`` and ``Starting`` as always;
- for a unit that is up as soon as it is started (``Type=simple``): ``Started`` alone;
- the start at boot: before ``Startup finished``.

Only what systemd itself wrote is read (``_PID=1`` cannot be forged). A stop and a later start are one restart. A unit that a
timer, socket or path starts is started by nobody, so there only a restart of the running unit counts. Where journald drops
messages for being too many (10,000 in 30 s by default), the count can be off by one for each gap.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import groupby

import msgspec

from crashcart.errors import FactUnreadable
from crashcart.transports.base import Command, Transport

BOOTED = "b07a249cd024414a82dd00cd181378ff"
BOOTED_IN_CONTAINER = "eed00a68ffd84e31882105fd973abdd1"
STARTING = "7d4958e842da4a758f6c1cdc7b36dcc5"
STARTED = "39f53479d3a045ac8e11786248231fbf"
START_FAILED = "be02cf6855d2428ba40df7e9d022f03d"
STOPPING = "de5b426a63be47a7b6ac3eaac82e2f6f"
STOPPED = "9d1aaa27d60140bd96365438aad20286"
SCHEDULED = "5eb03494b6584870a536b337290809b3"

MOST = 4000
"""Messages that are read at most, the newest: a unit that crashes for hours writes five each time."""

_OF_UNIT = " ".join(f"MESSAGE_ID={message}" for message in (STARTING, STARTED, START_FAILED, STOPPING, STOPPED, SCHEDULED))
_OF_BOOT = f"MESSAGE_ID={BOOTED} MESSAGE_ID={BOOTED_IN_CONTAINER}"

SCRIPT = rf"""
# $1 unit, $2 seconds to look back, $3 most messages to read
fail() {{ printf 'error=%s\n' "$1"; exit 0; }}
journal() {{ limit=$1; shift; timeout --foreground -k 1 "$limit" journalctl --quiet --no-pager --output=export "$@"; }}
command -v journalctl >/dev/null 2>&1 || fail 'this host has no journalctl'
shown=$(timeout --foreground -k 1 5 systemctl --no-pager show -p Id,TriggeredBy -- "$1" 2>&1) || fail "$shown"
unit=$(printf '%s\n' "$shown" | sed -n 's/^Id=//p')
since=$(($(date +%s) - $2))
printf '%s\nasked=%s\noldest=' "$shown" "$since"
journal 5 _PID=1 | sed -n '/^__REALTIME_TIMESTAMP=/{{s///p;q;}}'
printf '\n\n'
{{
  journal 10 --since="@$since" --lines="$3" _PID=1 "UNIT=$unit" {_OF_UNIT} + _PID=1 {_OF_BOOT}
  printf '\nstatus=%s\n' "$?"
}} | grep -aE '^(__REALTIME_TIMESTAMP|_BOOT_ID|MESSAGE_ID|JOB_TYPE|status)=|^$'
"""


class RestartCount(msgspec.Struct, frozen=True):
    """Restarts of one unit that people or tools asked for, counted from ``since`` on (seconds since 1970, the host's clock).

    That is later than asked for where the journal does not reach back so far: the count is then a lower bound.
    """

    count: int
    since: float


def observe(transport: Transport, unit: str, window: float) -> RestartCount:
    """Count a unit's restarts in the last ``window`` seconds. Raises ``FactUnreadable`` and the transport's errors."""
    result = transport.run(Command(SCRIPT, (str(unit), str(math.ceil(window)), str(MOST)), timeout=25))
    if not result.ok or result.stdout.cut:
        raise FactUnreadable(f"the restarts of {unit} could not be counted: {result.ending}")
    return parse(result.stdout.data)


def parse(stdout: bytes) -> RestartCount:
    """Read what the script printed. Raises ``FactUnreadable`` for a journal that could not be asked."""
    blocks = [_fields(block) for block in stdout.decode(errors="replace").split("\n\n")]
    head, messages, end = blocks[0], [block for block in blocks if "MESSAGE_ID" in block], blocks[-1]
    if "error" in head:
        raise FactUnreadable(f"the journal cannot be asked: {' '.join(head['error'].split())[:300] or 'no answer in time'}")
    if end.get("status") != "0":
        raise FactUnreadable(f"journalctl gave no whole answer: exit status {end.get('status', 'unknown')}")
    boots = [list(lines) for _, lines in groupby(messages, key=lambda line: line.get("_BOOT_ID"))]
    count = sum(_starts(lines, head, cut=lines is boots[0] and len(messages) >= MOST) for lines in boots)
    return RestartCount(count, _since(head, messages))


def _since(head: Mapping[str, str], messages: Sequence[Mapping[str, str]]) -> float:
    """Return from when on nothing is missing: asked for, there, and not left out for being too much."""
    if not head.get("oldest"):
        raise FactUnreadable("the journal holds nothing that systemd wrote, or may not be read")
    known = [_number(head, "asked"), _number(head, "oldest") / 1e6]
    if len(messages) >= MOST:
        known.append(_number(messages[0], "__REALTIME_TIMESTAMP") / 1e6)
    return max(known)


def _starts(lines: Sequence[Mapping[str, str]], head: Mapping[str, str], *, cut: bool) -> int:
    """Count the starts within one boot that were asked for, without the one that belongs to the boot itself.

    ``cut``: what came before the first line was left out.
    """
    history = _History(only_restarts=bool(head.get("TriggeredBy")), cut=cut)
    for line in lines:
        history.read(line["MESSAGE_ID"], line.get("JOB_TYPE", ""))
    return history.count


class _History:
    """What happened to one unit since its host booted, line by line."""

    def __init__(self, *, only_restarts: bool, cut: bool) -> None:
        self.count = 0
        self._only_restarts = only_restarts
        self._first: bool | None = None
        # So many messages come of systemd's own restarts, so the start that they begin with is most likely one, too.
        self._automatic = cut
        self._starting = self._restarting = False

    def read(self, message: str, job: str) -> None:
        if message in {BOOTED, BOOTED_IN_CONTAINER}:
            self._forget_the_first()
        elif message == STARTING:
            self._start(starting=True)
        elif message in {STARTED, START_FAILED}:
            if not self._starting:
                self._start(starting=False)
            self._starting = False
        else:
            self._stop(message, job)

    def _start(self, *, starting: bool) -> None:
        counts = not self._automatic and (self._restarting or not self._only_restarts)
        self._first = counts if self._first is None else self._first
        self.count += counts
        self._starting, self._automatic, self._restarting = starting, False, False

    def _stop(self, message: str, job: str) -> None:
        """Take note of an end. What systemd scheduled itself is no more automatic once somebody stops the unit."""
        self._starting = False
        self._restarting = message == STOPPED and job == "restart"
        self._automatic = message == SCHEDULED or (self._automatic and self._restarting)

    def _forget_the_first(self) -> None:
        self.count -= bool(self._first)
        self._first = False


def _fields(text: str) -> dict[str, str]:
    return dict(line.partition("=")[::2] for line in text.splitlines() if "=" in line)


def _number(fields: Mapping[str, str], name: str) -> float:
    text = fields.get(name, "")
    if not (text.isascii() and text.isdecimal()):
        raise FactUnreadable(f"the host does not tell its time: {name}={text[:40]!r}")
    return float(text)
