"""The locks of a run, local and shared: taken before its journal begins, given back after its end."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from invoke import Exit

from crashcart.cli.house import House
from crashcart.engine.sharedlock import TTL, SharedLock, make_shared_lock
from crashcart.events import RunStarted
from crashcart.journal.claims import About, Claims, target_key
from crashcart.results import EXIT_INTERRUPTED, Mode
from crashcart.safety.locktable import Holder
from crashcart.targets import Target
from crashcart.transports.aws_places import LOCK, places_of
from crashcart.transports.connect import TargetConnector


@contextmanager
def locked(
    house: House, connect: TargetConnector, first: RunStarted, tell: Callable[[str], None]
) -> Iterator[SharedLock | None]:
    """Hold the targets' locks, where the run may act; the shared one is given, where there is one.

    Raises ``Refused`` with who holds a target, ``BadInput`` for a ``lock`` that is none.
    """
    plan, options = first.plan, first.options
    targets = [target.target for target in plan.targets if not target.skip]
    places_of(targets, LOCK)
    if plan.read_only or options.mode is Mode.CHECK:
        yield None
        return
    keys = [(target_key(target), target.name) for target in targets]
    about = About(house.actor, plan.playbook, options.reason, options.incident)
    held = Claims(house.runs.parent / "locks", house.clock).take(first.run, keys, about)
    try:
        shared = _shared_lock(house, connect, first, targets, tell)
        if shared is None:
            yield None
            return
        with shared.held(_interruptible):
            yield shared
    finally:
        held.release()


def _shared_lock(
    house: House, connect: TargetConnector, first: RunStarted, targets: Sequence[Target], tell: Callable[[str], None]
) -> SharedLock | None:
    """Make the lock; nothing is contacted."""
    plan, options, now = first.plan, first.options, house.clock.now().timestamp()
    me = Holder(
        run=first.run,
        owner=secrets.token_hex(8),
        ttl=TTL,
        since=now,
        until=now + TTL,
        actor=house.actor,
        controller=socket.gethostname(),
        pid=os.getpid(),
        playbook=plan.playbook,
        reason=options.reason,
        incident=options.incident,
    )
    return make_shared_lock(targets, me, connect.beside, house.clock, insist=not options.break_glass, tell=tell)


@contextmanager
def _interruptible() -> Iterator[None]:
    """While a lock is being taken, Ctrl-C and SIGTERM end the command (130), and what it has is given back."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except KeyboardInterrupt:
        raise Exit("interrupted: nothing was done", code=EXIT_INTERRUPTED) from None
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
