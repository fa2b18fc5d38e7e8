"""Runs of several laptops that share one table, each with its own clock."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from crashcart.clock import Clock, FakeClock
from crashcart.engine.sharedlock import TTL, SharedLock, make_shared_lock
from crashcart.safety.locktable import Holder
from crashcart.targets import Target
from crashcart.transports.connect import TargetConnector
from tests.emulator import Emulator

TABLE = "locks"
LOCK = f"dynamodb://{TABLE}"


def make_table(emulator: Emulator, name: str = TABLE, key: str = "id") -> None:
    """As docs/aws/credentials.md makes it."""
    emulator.client("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )


def hosts(emulator: Emulator, *names: str, lock: str = LOCK, **variables: object) -> list[Target]:
    """Linux hosts, which reach their table as the emulator's resources do."""
    return [emulator.target("linux", name, lock=lock, **variables) for name in names]


class Laptop:
    """One controller: its own clock, its own connections."""

    def __init__(self, actor: str, clock: Clock | None = None) -> None:
        self.actor, self.clock = actor, clock or FakeClock()
        self.said: list[str] = []
        self.connect = TargetConnector()

    def holder(self, run: str, ttl: float = TTL) -> Holder:
        now = self.clock.now().timestamp()
        return Holder(
            run=run,
            owner=secrets.token_hex(8),
            ttl=ttl,
            since=now,
            until=now + ttl,
            actor=self.actor,
            controller=f"{self.actor}s-laptop",
            pid=7,
            playbook="recover.disk-space",
            reason="INC-7",
        )

    def lock(self, run: str, targets: Sequence[Target], *, ttl: float = TTL, insist: bool = True) -> SharedLock:
        made = make_shared_lock(
            targets, self.holder(run, ttl), self.connect.beside, self.clock, insist=insist, tell=self.said.append
        )
        assert made
        return made

    @contextmanager
    def holding(self, run: str, targets: Sequence[Target], *, insist: bool = True) -> Iterator[SharedLock]:
        """Hold without the thread, which would move a clock of the test's."""
        lock = self.lock(run, targets, insist=insist)
        lock._take()
        try:
            yield lock
        finally:
            lock._release()

    def die_with(self, run: str, targets: Sequence[Target]) -> None:
        """Take the lock and be gone: nobody renews it, and nobody gives it back."""
        self.lock(run, targets)._take()
