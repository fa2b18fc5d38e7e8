"""One run's hold on one table of shared locks: taking, renewing, taking over from the dead, giving back.

**Whose clock counts.** Two laptops' clocks differ, so a date in the table never gives a lock away. Whoever finds a lock that
should have run out *watches* it, by its own monotonic clock, for longer than the lock lasts without being renewed; and takes
it over only by a write that fails if it was renewed meanwhile. The date in the item serves to refuse at once where it looks
alive: to be wrong there costs a second try, not a second holder.

The holder counts from before it sent its last renewal that was answered, the watcher from after its first look, which is
later. So the holder stops before the watcher begins. The monotonic clock of a machine that slept stood still; so the holder
reads its wall clock too, and the one that says more counts.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from queue import SimpleQueue

import msgspec

from crashcart.clock import Clock
from crashcart.errors import Busy, ConnectionLost, CrashcartError, InvalidCall, Refused, Throttled, Unreachable
from crashcart.safety.locktable import AT_ONCE, CANCELLED, FAILED, KEEP, Claim, Holder, LockTable
from crashcart.transports.base import CloudTransport
from crashcart.values import format_span

TRIES = 8
"""How often taking a group of targets is tried, when others take and give back at the same time."""

MARGIN = 1.1
"""How many times a lock's own time it is watched before it is taken over."""

_AGAIN = (Busy, ConnectionLost, Throttled)
_FIRST, _LONGEST = 0.05, 2.0


class TakenOver(msgspec.Struct, frozen=True):
    """Targets that another run held, who that was, and why it does not hold them any more."""

    targets: tuple[str, ...]
    run: str
    actor: str
    why: str


class Around(msgspec.Struct, frozen=True):
    """What a run does while it waits for a lock: keep those alive that it has, and say what it waits for."""

    keep_alive: Callable[[], None]
    tell: Callable[[str], None]


class TableLock:
    """A run's targets in one table. ``assure`` may be asked by any thread; taking and giving back are the run's own."""

    def __init__(
        self, table: LockTable, transport: CloudTransport, me: Holder, claims: Sequence[Claim], clock: Clock
    ) -> None:
        self._table, self._transport, self._me, self._clock = table, transport, me, clock
        self._named = {claim.target: claim for claim in claims}
        # Two names for one host are one item.
        self._claims = [claim for _, claim in sorted({claim.id: claim for claim in claims}.items())]
        self._mutex = threading.Lock()
        self._renewed: tuple[float, datetime] | None = None
        self._has_begun = False
        self._lost = ""

    @property
    def targets(self) -> tuple[str, ...]:
        """The targets' names."""
        return tuple(self._named)

    @property
    def age(self) -> float:
        """Seconds since the lock was certainly this run's; without end before it is taken."""
        if self._renewed is None:
            return float("inf")
        then, date = self._renewed
        return max(self._clock.monotonic() - then, (self._clock.now() - date).total_seconds())

    @property
    def is_due(self) -> bool:
        """Whether it is time to renew it."""
        return self._renewed is not None and not self._lost and self.age >= self._me.ttl / 3

    def take(self, around: Around) -> list[TakenOver]:
        """Take all targets or none, in the order of their keys; return what was taken over from runs that are gone.

        Raises ``Refused`` with who holds one, and the transport's errors when the table cannot be asked.
        """
        taken: list[TakenOver] = []
        try:
            self._send_until_answered(self._begin)
            for first in range(0, len(self._claims), AT_ONCE):
                around.keep_alive()
                taken += self._take(self._claims[first : first + AT_ONCE], around)
            self.renew()
        except BaseException:
            self.release()
            raise
        return taken

    def renew(self) -> None:
        """Say that the run is still at work. Raises ``Refused`` when the lock is lost, else the transport's errors."""
        with self._mutex:
            self._renew()

    def assure(self) -> None:
        """Make sure that the lock is this run's for some time to come. Raises as ``renew`` does."""
        with self._mutex:
            if self._lost or self.age >= self._me.ttl / 2:
                self._renew()

    def release(self) -> None:
        """Give all targets back, best effort: what cannot be given back runs out by itself. Raises nothing of AWS."""
        if not self._has_begun:
            return
        self._has_begun, self._renewed = False, None
        try:
            for first in range(0, len(self._claims), AT_ONCE):
                with suppress(InvalidCall):
                    self._transport.write(self._table.unclaim(self._claims[first : first + AT_ONCE]))
        except Unreachable:
            return
        except CrashcartError:
            pass
        with suppress(CrashcartError):
            self._transport.write(self._table.end(self._me))

    def holder_of(self, target: str) -> str:
        """Say who has a target now, where that can be told; else nothing."""
        with suppress(CrashcartError):
            for claim in self._read([self._named[target]]):
                holder = self._holder(claim.run) if claim.run != self._me.run or claim.owner != self._me.owner else None
                if holder:
                    return holder.told(target, self._clock.now())
        return ""

    def _begin(self) -> None:
        self._has_begun, sent = True, self._moment()
        self._transport.write(self._table.begin(self._me_until()))
        self._renewed = sent

    def _renew(self) -> None:
        if self._lost:
            raise Refused(self._lost)
        sent = self._moment()
        try:
            self._transport.write(self._table.renew(self._me_until()))
        except InvalidCall as error:
            if error.code == FAILED:
                self._lost = f"the shared lock of run {self._me.run} is lost: it was taken over, or given up elsewhere"
                raise Refused(self._lost) from error
            raise
        self._renewed = sent

    def _take(self, claims: Sequence[Claim], around: Around) -> list[TakenOver]:
        over: dict[str, str] = {}
        taken: dict[str, TakenOver] = {}
        error = CrashcartError("not tried")
        for number in range(TRIES):
            try:
                expires = int(self._clock.now().timestamp()) + KEEP
                self._transport.write(self._table.claim(claims, over, expires))
                return list(taken.values())
            except (*_AGAIN, InvalidCall) as failure:
                if isinstance(failure, InvalidCall) and failure.code != CANCELLED:
                    raise
                error = failure
            foreign = [claim for claim in self._read(claims) if claim.run != self._me.run]
            gone = self._gone(foreign, around)
            taken |= {item.run: item for item in gone}
            over = {claim.id: claim.owner for claim in foreign if claim.run in taken}
            if not gone:
                self._pause(number)
                around.keep_alive()
        if isinstance(error, InvalidCall):
            why = f"others take and give back locks at this very moment: {error.message}"
            raise Refused(why, hint="try again in a moment") from error
        raise error

    def _gone(self, foreign: Sequence[Claim], around: Around) -> list[TakenOver]:
        """Return the runs that hold none of these targets any more. Raises ``Refused`` with one that does."""
        by_run: dict[str, list[Claim]] = {}
        for claim in foreign:
            by_run.setdefault(claim.run, []).append(claim)
        holders = {run: self._holder(run) for run in by_run}
        left = [TakenOver(_names(by_run[run]), run, "", "it left them behind") for run, held in holders.items() if not held]
        there = {run: holder for run, holder in holders.items() if holder}
        for run, holder in there.items():
            if holder.is_at_work(self._clock.now()):
                raise self._held(holder, by_run[run])
        return left + (self._watch(there, by_run, around) if there else [])

    def _watch(self, suspects: dict[str, Holder], by_run: dict[str, list[Claim]], around: Around) -> list[TakenOver]:
        """Look whether runs that should have ended are renewed. Raises ``Refused`` for one that is."""
        began, longest = self._clock.monotonic(), MARGIN * max(holder.ttl for holder in suspects.values())
        whose = ", ".join(f"{by_run[run][0].target} ({run})" for run in suspects)
        around.tell(f"the shared lock on {whose} seems to be a dead run's; watching for {format_span(longest)} that it is")
        while (rest := began + longest - self._clock.monotonic()) > 0:
            self._clock.wait(SimpleQueue[None](), min(rest, longest / 12), busy=False)
            around.keep_alive()
            for run, before in suspects.items():
                now = self._holder(run)
                if now and not now.same_as(before):
                    raise self._held(now, by_run[run])
        why = f"it was not renewed for {format_span(longest)}"
        ended = [holder for holder in suspects.values() if self._end(holder)]
        return [TakenOver(_names(by_run[holder.run]), holder.run, holder.actor, why) for holder in ended]

    def _end(self, holder: Holder) -> bool:
        """End a run's hold; False when it was renewed, or ended, in the last moment."""
        try:
            self._transport.write(self._table.take_over(holder))
        except InvalidCall as error:
            if error.code != FAILED:
                raise
            return False
        return True

    def _held(self, holder: Holder, claims: Sequence[Claim]) -> Refused:
        more = f"; so are {len(claims) - 1} more of the targets" if len(claims) > 1 else ""
        return Refused(holder.told(claims[0].target, self._clock.now()) + more, hint=holder.hint)

    def _holder(self, run: str) -> Holder | None:
        return self._table.holder_in(self._transport.read(self._table.read_holder(run)))

    def _read(self, claims: Sequence[Claim]) -> list[Claim]:
        return self._table.claims_in(self._transport.read(self._table.read_claims([claim.id for claim in claims])))

    def _send_until_answered(self, send: Callable[[], None]) -> None:
        for number in range(2):
            try:
                return send()
            except _AGAIN:
                self._pause(number)
        return send()

    def _pause(self, number: int) -> None:
        seconds = min(_LONGEST, _FIRST * 2**number) * random.uniform(0.5, 1.5)  # noqa: S311 -- it spreads, and hides nothing
        self._clock.wait(SimpleQueue[None](), seconds, busy=False)

    def _moment(self) -> tuple[float, datetime]:
        return self._clock.monotonic(), self._clock.now()

    def _me_until(self) -> Holder:
        return msgspec.structs.replace(self._me, until=self._clock.now().timestamp() + self._me.ttl)


def _names(claims: Sequence[Claim]) -> tuple[str, ...]:
    return tuple(claim.target for claim in claims)
