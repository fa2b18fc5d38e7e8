"""Stands before the emulator and spoils calls as scripted; each rule takes the calls that it matches, so many times."""

from __future__ import annotations

import re
import socket
import struct
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import msgspec

from crashcart.errors import BadInput
from crashcart.lab.aws.calls import Call
from crashcart.lab.aws.faults import AwsFault, Wanted, checked, known_fault
from crashcart.lab.aws.replies import Reply, error_reply
from crashcart.lab.aws.world import ANY, Condition, World

_MOST_ANSWERS = 2000


class Armed(msgspec.Struct):
    """A fault that waits for its calls. ``left`` is how many it still takes; ``since`` is when a stale one began."""

    id: int
    name: str
    service: str
    action: str
    resource: str
    value: str
    seconds: float
    left: int | None
    hits: int = 0
    until: datetime | None = None

    @property
    def fault(self) -> AwsFault:
        """What it is."""
        return known_fault(self.name)

    def matches(self, call: Call) -> bool:
        """Tell whether it is about this call."""
        if self.fault.means == "stale" and call.writes:  # any write of the service begins it; the rest is about the reads
            return self.service in {"", call.service}
        about = {"any": True, "writes": call.writes, "reads": not call.writes}[self.fault.about]
        named = self.service in {"", call.service} and (not self.action or re.fullmatch(self.action, call.action))
        return bool(about and named and (not self.resource or call.concerns(self.resource)))


class Dropped(ConnectionResetError):
    """A call gets no answer. ``hang_up`` closes its connection, once the call is logged: who sees that may ask the log."""

    def __init__(self, fault: str, hang_up: Callable[[], None]) -> None:
        super().__init__(fault)
        self.fault, self.hang_up = fault, hang_up


class Injector:
    """Holds the armed faults and the answers that reads got last."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._lock = threading.Lock()
        self._numbers = count(1)
        self._armed: list[Armed] = []
        self._answers: dict[str, Reply] = {}
        self._release = threading.Event()

    def arm(self, wanted: Wanted) -> Armed | Condition:
        """Put a fault in. Raises ``BadInput``."""
        wanted = checked(wanted)
        fault = known_fault(wanted.name)
        until = self._world.now() + timedelta(seconds=wanted.seconds or 0) if wanted.seconds else None
        if fault.means == "condition":
            condition = Condition(fault.condition, wanted.resource or ANY, wanted.value, wanted.times, until)
            self._world.set_condition(condition)
            return condition
        armed = Armed(
            id=next(self._numbers),
            name=wanted.name,
            service=wanted.service,
            action=_pattern(wanted.action),
            resource=wanted.resource,
            value=wanted.value,
            seconds=wanted.seconds or 0.0,
            left=wanted.times,
            until=until if fault.means == "frozen" else None,
        )
        with self._lock:
            self._armed.append(armed)
        return armed

    def armed(self) -> list[Armed]:
        """The faults that still wait or last, the oldest first."""
        with self._lock:
            return [one for one in self._armed if one.left != 0 or self._lasts(one)]

    def clear(self) -> None:
        """Take all faults out, and let go of the connections that are held."""
        with self._lock:
            self._armed.clear()
            release, self._release = self._release, threading.Event()
        self._world.conditions.clear()
        release.set()

    def reset(self) -> None:
        """Clear, and forget what reads were answered."""
        self.clear()
        with self._lock:
            self._answers.clear()

    def carry(self, call: Call, environ: dict[str, Any], ask: Callable[[], Reply]) -> tuple[Reply, str]:
        """Answer a call with whatever fault is meant for it; tell which. Raises ``Dropped``."""
        remembered = self._remembered(call, ask)
        if remembered:
            return remembered
        armed = self._take(call)
        if armed is None:
            return self._fresh(call, ask), ""
        return self._spoil(armed, call, environ, ask), armed.name

    def _spoil(self, armed: Armed, call: Call, environ: dict[str, Any], ask: Callable[[], Reply]) -> Reply:
        fault, release = armed.fault, self._release
        if fault.after:
            ask()
        match fault.means:
            case "error":
                return error_reply(call, fault.status, armed.value, fault.message or fault.summary)
            case "slow":
                release.wait(armed.seconds)
                return self._fresh(call, ask)
            case "hold":
                raise Dropped(armed.name, lambda: _hold(environ, release, armed.seconds))
            case "stale":
                armed.until = self._world.now() + timedelta(seconds=armed.seconds)
                return ask()
        raise Dropped(armed.name, lambda: _drop(environ, reset=fault.means == "reset"))

    def _take(self, call: Call) -> Armed | None:
        with self._lock:
            for armed in self._armed:
                waits_for_a_write = armed.fault.means == "stale"
                if armed.fault.means == "frozen" or armed.left == 0 or (waits_for_a_write and not call.writes):
                    continue
                if armed.matches(call):
                    armed.hits += 1
                    armed.left = None if armed.left is None else armed.left - 1
                    return armed
        return None

    def _remembered(self, call: Call, ask: Callable[[], Reply]) -> tuple[Reply, str] | None:
        """Answer a read from memory while a fault wants that; what was never asked is asked once and kept."""
        if call.writes:
            return None
        with self._lock:
            old = next((one for one in self._armed if self._lasts(one) and one.matches(call)), None)
            known = self._answers.get(call.key)
        if old is None:
            return None
        old.hits += 1
        return known or self._fresh(call, ask), old.name

    def _fresh(self, call: Call, ask: Callable[[], Reply]) -> Reply:
        reply = ask()
        if not call.writes and reply.status < 400:
            with self._lock:
                self._answers.pop(call.key, None)
                self._answers[call.key] = reply
                while len(self._answers) > _MOST_ANSWERS:
                    self._answers.pop(next(iter(self._answers)))
        return reply

    def _lasts(self, armed: Armed) -> bool:
        return armed.until is not None and self._world.now() < armed.until


def _pattern(action: str) -> str:
    try:
        re.compile(action)
    except re.error as error:
        raise BadInput(f"action {action!r} is not a pattern: {error}") from error
    return action


def _hold(environ: dict[str, Any], release: threading.Event, seconds: float) -> None:
    """Keep a connection silent, then close it."""
    release.wait(seconds)
    _drop(environ, reset=False)


def _drop(environ: dict[str, Any], *, reset: bool) -> None:
    """Close a request's connection without an answer, with a TCP reset if wanted."""
    connection: socket.socket = environ["werkzeug.socket"]
    if reset:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # The server's own files on this socket would keep it open.
        socket.close(connection.detach())
    else:
        connection.shutdown(socket.SHUT_RDWR)
