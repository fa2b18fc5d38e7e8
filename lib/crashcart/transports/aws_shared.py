"""Answers that are the same for many targets: the first who asks sends the call, the others wait for what comes of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from crashcart.errors import Cancelled, CrashcartError, NotSent
from crashcart.transports.base import ApiCall

Answer = dict[str, Any]


class Answers:
    """The answers of one session, for as long as it lasts: a run."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, Future[Answer]] = {}

    def once(self, call: ApiCall, ask: Callable[[], Answer]) -> Answer:
        """Return what ``ask`` returned to whoever was first with this call, or raise what it raised."""
        key = f"{call.service} {call.operation} {sorted(call.params.items())!r}"
        with self._lock:
            first = key not in self._known
            future = self._known.setdefault(key, Future())
        if first:
            return _answer(future, ask)
        try:
            return future.result()
        except Cancelled:
            raise NotSent(f"{call.service}:{call.operation}: whoever asked was cancelled") from None


def _answer(future: Future[Answer], ask: Callable[[], Answer]) -> Answer:
    try:
        found = ask()
    except CrashcartError as error:
        future.set_exception(error)
        raise
    except BaseException:
        future.set_exception(NotSent("the call that was to be shared was given up"))
        raise
    future.set_result(found)
    return found
