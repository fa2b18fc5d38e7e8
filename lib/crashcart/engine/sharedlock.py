"""The shared lock of a run: on all its targets that name a table, taken together, kept alive, given back.

It is for several controllers what the local lock is for one: two laptops, or a laptop and a CI job, never act on one
target at the same time. ``tablelock.py`` says what makes it hold.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from queue import SimpleQueue

from crashcart.clock import Clock
from crashcart.engine.guard import ActGuard, Attempt
from crashcart.engine.tablelock import Around, TableLock
from crashcart.errors import BadInput, CrashcartError, InvalidCall, NoSuchResource, Refused
from crashcart.events import AnyEvent, LockLost, LockMissing, LockTaken, LockTakenOver
from crashcart.safety.locktable import SCHEMA, Claim, Holder, LockTable, shared_key
from crashcart.targets import Target
from crashcart.transports.aws_places import LOCK, Place, places_of
from crashcart.transports.base import CloudTransport, Session

TTL = 60.0
"""Seconds that a lock lasts without being renewed; it is renewed three times as often."""

LOOK = TTL / 12
"""Seconds between two looks whether something is to be renewed."""

STOPPING = 15.0
"""Seconds that the end of the last renewal is waited for."""


class SharedLock:
    """A run's shared lock. ``insist`` is what break-glass gives up: there, a table that cannot be asked holds nobody up.

    What somebody else holds is refused all the same.
    """

    def __init__(
        self, tables: Sequence[tuple[str, TableLock]], clock: Clock, *, insist: bool, tell: Callable[[str], None]
    ) -> None:
        self._tables, self._clock, self._insist, self._tell = tuple(tables), clock, insist, tell
        self._of = {target: (name, lock) for name, lock in self._tables for target in lock.targets}
        self.events: list[AnyEvent] = []

    @contextmanager
    def held(self, taking: Callable[[], AbstractContextManager[None]] = nullcontext) -> Iterator[None]:
        """Hold the lock, renewed by one thread of its own. Raises ``Refused`` with who holds a target, or why none can tell.

        ``events`` then say what has to be journaled. ``taking`` is entered for as long as it is being taken.
        """
        with taking():
            self._take()
        stop: SimpleQueue[bool] = SimpleQueue()
        beating = threading.Thread(target=self._keep_beating, args=(stop,), name="shared-lock", daemon=True)
        beating.start()
        try:
            yield
        finally:
            stop.put(True)
            beating.join(STOPPING)
            self._release()

    def assure(self, target: Target) -> None:
        """Make sure that a target is still this run's. Raises ``Refused``."""
        name, lock = self._of.get(target.name, ("", None))
        if lock is None:
            return
        try:
            lock.assure()
        except Refused as error:
            now = lock.holder_of(target.name)
            hint = "nothing more is done here; see what the other run does, then begin anew: a run starts by looking"
            raise Refused(f"{error.message}{f'; {now}' if now else ''}", hint=hint) from error
        except CrashcartError as error:
            if self._insist:
                ago = f"it was last renewed {lock.age:.0f} s ago"
                raise _cannot_ask(name, error, ago) from error

    def table_of(self, target: Target) -> str:
        """Return the table that a target's lock is in; empty where it has none."""
        return self._of.get(target.name, ("", None))[0]

    def renew_due(self) -> None:
        """Renew what is due; what fails is tried again, and judged before the next act."""
        for _, lock in self._tables:
            if lock.is_due:
                with suppress(CrashcartError):
                    lock.renew()

    def _take(self) -> None:
        around = Around(self.renew_due, self._tell)
        try:
            for name, lock in self._tables:
                self._take_one(name, lock, around)
        except BaseException:
            self._release()
            raise

    def _take_one(self, name: str, lock: TableLock, around: Around) -> None:
        try:
            taken_over = lock.take(around)
        except (Refused, BadInput):
            raise
        except CrashcartError as error:
            refused = _cannot_ask(name, error)
            if self._insist:
                raise refused from error
            self._tell(f"{refused.message}; going on without it (--break-glass)")
            self.events.append(LockMissing(name, lock.targets, error.message))
            for target in lock.targets:
                del self._of[target]
            return
        self.events += [LockTakenOver(name, over.targets, over.run, over.actor, over.why) for over in taken_over]
        self.events.append(LockTaken(name, lock.targets))

    def _keep_beating(self, stop: SimpleQueue[bool]) -> None:
        while self._clock.wait(stop, LOOK, busy=False) is None:
            self.renew_due()

    def _release(self) -> None:
        for _, lock in self._tables:
            lock.release()


class UnderLock:
    """Lets acts pass while the shared lock is certainly this run's, and then asks the other guards."""

    def __init__(self, lock: SharedLock, inner: ActGuard, emit: Callable[[AnyEvent], None]) -> None:
        self._lock, self._inner, self._emit = lock, inner, emit

    def admit(self, attempt: Attempt) -> Session:
        """Make sure of the lock, then do as the other guards do. Raises ``Refused``."""
        try:
            self._lock.assure(attempt.target)
        except Refused as error:
            self._emit(LockLost(self._lock.table_of(attempt.target), attempt.target.name, error.message))
            raise
        return self._inner.admit(attempt)

    def hold(self, target: Target, transport: Session) -> None:
        """Have the other guards take what they need; the shared lock is the run's already."""
        self._inner.hold(target, transport)

    def holds(self, target: Target) -> bool:
        """Tell whether the other guards hold something for a target."""
        return self._inner.holds(target)

    def release(self, target: Target, transport: Session) -> None:
        """Have the other guards give back what they hold; the shared lock is the run's, until its end."""
        self._inner.release(target, transport)


def make_shared_lock(
    targets: Sequence[Target],
    me: Holder,
    reach: Callable[[Place], CloudTransport],
    clock: Clock,
    *,
    insist: bool,
    tell: Callable[[str], None],
) -> SharedLock | None:
    """Return the lock of those targets that name a table, or None where none does. Raises ``BadInput``."""
    tables = []
    for place, there in places_of(targets, LOCK).items():
        claims = [Claim(f"target/{shared_key(target)}", me.run, me.owner, target.name) for target in there]
        tables.append((place.url, TableLock(LockTable(place.name), reach(place), me, claims, clock)))
    return SharedLock(tables, clock, insist=insist, tell=tell) if tables else None


def _cannot_ask(name: str, error: CrashcartError, more: str = "") -> Refused:
    why = f"the shared lock {name} cannot be asked{f' ({more})' if more else ''}: {error.message}"
    known = f"{error.hint}; " if error.hint else ""
    is_other_table = isinstance(error, NoSuchResource | InvalidCall)
    schema = f"the table needs the {SCHEMA}; " if is_other_table else ""
    return Refused(why, hint=f"{known}{schema}--break-glass goes on without it; the run is then to be reviewed")
