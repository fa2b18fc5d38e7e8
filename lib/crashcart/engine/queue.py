"""A queue of things that are due: worker threads take turns, and a thing that waits costs none of them."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Generic, TypeVar

from crashcart.clock import Clock

T = TypeVar("T")


class DueQueue(Generic[T]):
    """Runs turns on at most ``forks`` threads. ``stop`` may be called from a signal handler."""

    def __init__(self, clock: Clock, forks: int) -> None:
        self._clock, self._forks = clock, forks
        self._inbox: SimpleQueue[tuple[T, Future[float | None]] | None] = SimpleQueue()
        self._stopped = False

    def stop(self) -> None:
        """Start no more turns; those under way end by themselves or by being cancelled."""
        self._stopped = True
        self._inbox.put(None)

    def drain(
        self, items: Iterable[T], turn: Callable[[T], float | None], until: float, late: Callable[[], None]
    ) -> Iterator[T]:
        """Give every item its turns and yield it when done; ``turn`` returns seconds to the next one, or None.

        Stops at ``until`` (monotonic seconds) or when told to; what is not yielded by then is not done. ``late`` is called
        once when that time comes and turns are still under way: it has to see to it that they end.
        """
        number, is_late = itertools.count(), False
        due = [(0.0, next(number), item) for item in items]
        running = 0
        with ThreadPoolExecutor(max_workers=max(1, min(self._forks, len(due)))) as pool:
            while (due and not self._over(until)) or running:
                while due and running < self._forks and due[0][0] <= self._clock.monotonic() and not self._over(until):
                    self._start(pool, heapq.heappop(due)[2], turn)
                    running += 1
                if running and not is_late and self._clock.monotonic() >= until:
                    is_late = True
                    late()
                pause = None if is_late else self._pause(due, running, until)
                finished = self._clock.wait(self._inbox, pause, busy=bool(running))
                if finished is None:
                    continue
                running -= 1
                item, future = finished
                after = future.result()
                if after is None:
                    yield item
                else:
                    heapq.heappush(due, (self._clock.monotonic() + after, next(number), item))

    def pause(self, until: float) -> None:
        """Let time pass until then (monotonic seconds), or until told to stop."""
        while not self._over(until):
            self._clock.wait(self._inbox, until - self._clock.monotonic(), busy=False)

    def _start(self, pool: ThreadPoolExecutor, item: T, turn: Callable[[T], float | None]) -> None:
        future = pool.submit(turn, item)
        future.add_done_callback(lambda done: self._inbox.put((item, done)))

    def _over(self, until: float) -> bool:
        return self._stopped or self._clock.monotonic() >= until

    def _pause(self, due: list[tuple[float, int, T]], running: int, until: float) -> float | None:
        """Seconds until there may be something to start or to end; None while only a running turn can change that."""
        if self._stopped:
            return None
        may_start = due and running < self._forks
        return max(0.0, min(due[0][0] if may_start else until, until) - self._clock.monotonic())
