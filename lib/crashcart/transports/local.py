"""The machine that crashcart runs on as a target (``ansible_connection: local``), with the same promises as over SSH."""

from __future__ import annotations

import contextlib
import getpass
import os
import selectors
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from crashcart.errors import Cancelled, NotSent
from crashcart.secrets import Secret
from crashcart.transports.base import Command, CommandResult, HttpReply
from crashcart.transports.cancelling import Order
from crashcart.transports.capture import Capture, Ending, MarkedStream
from crashcart.transports.limits import Deadline
from crashcart.transports.remote import KILL_AFTER, end_group, new_token, remote_line
from crashcart.transports.startfail import start_failure
from crashcart.transports.tunnel import HUNG_UP, REFUSED, get, no_answer, parse_url

_PIECE = 256 * 1024
_TICK = 0.1
_QUIET = 1.0
_GRACE = 10.0


class LocalTransport:
    """Runs commands here, through the same line as on a host: own process group, own time limit, sudo if asked for."""

    def __init__(self, become_password: Secret | None = None) -> None:
        self._password = become_password
        self._lock = threading.Lock()
        self._order: Order | None = None

    def run(self, command: Command) -> CommandResult:
        """Run a command to its end. Raises ``SudoDenied``, ``NotSent`` or ``Cancelled``."""
        with self._turn() as order:
            return _LocalRun(command, self._password, order).run()

    def fetch(self, url: str, timeout: float) -> HttpReply:
        """GET an ``http://`` URL from here; ``timeout`` is in seconds. Status 0 says that there is no HTTP answer."""
        wanted = parse_url(url)
        deadline = Deadline(timeout)
        try:
            stream = socket.create_connection((wanted.host, wanted.port), deadline.within(timeout))
            return get(stream, wanted, deadline.within(timeout))
        except TimeoutError:
            return no_answer(timeout)
        except ConnectionRefusedError:
            return REFUSED
        except (ConnectionResetError, BrokenPipeError):
            return HUNG_UP
        except OSError as error:
            raise NotSent(f"{url} cannot be asked: {error}") from error

    def cancel(self) -> None:
        """End the command in flight; ``run`` raises ``Cancelled`` once that is done."""
        with self._lock:
            if self._order is not None:
                self._order.give()

    def close(self) -> None:
        """Do nothing: there is no session."""

    @contextmanager
    def _turn(self) -> Iterator[Order]:
        order = Order()
        with self._lock:
            self._order = order
        try:
            yield order
        finally:
            with self._lock:
                self._order = None


class _LocalRun:
    """One run of one command here."""

    def __init__(self, command: Command, password: Secret | None, order: Order) -> None:
        token = new_token()
        self._command = command
        self._password = password
        self._line = remote_line(command, token, with_password=password is not None)
        self._order = order
        self._capture = Capture(command, token)
        self._ended = True

    def run(self) -> CommandResult:
        started = time.monotonic()
        with self._start() as process:
            self._tell_password(process)
            heard = self._watch(process)
            if self._order.given:
                raise self._cancelled()
        ending = _ending(process.returncode)
        if self._capture.group is None:
            complaint = self._capture.complaint
            raise start_failure(complaint, getpass.getuser(), ending.status, become=self._command.become)
        return self._capture.result(ending, heard - started)

    def _start(self) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                [b"/bin/sh", b"-c", self._line],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise NotSent(f"no command can be started here: {error}") from error

    def _tell_password(self, process: subprocess.Popen[bytes]) -> None:
        if process.stdin is None:
            return
        # The command may have ended already; that is found out where its end is looked at.
        with contextlib.suppress(BrokenPipeError):
            if self._password is not None and self._command.become:
                process.stdin.write(f"{self._password.reveal()}\n".encode())
            process.stdin.close()

    def _watch(self, process: subprocess.Popen[bytes]) -> float:
        """Drain both streams to their end; return when something was last heard of the command.

        A command that is cancelled, that has ended and left others behind, or that outlives its time limit is ended.
        """
        deadline = Deadline(self._command.timeout + KILL_AFTER + _GRACE)
        heard = time.monotonic()
        with selectors.DefaultSelector() as selector:
            for stream, sink in ((process.stdout, self._capture.out), (process.stderr, self._capture.err)):
                selector.register(stream, selectors.EVENT_READ, sink)  # type: ignore[arg-type]
            while selector.get_map():
                if _drain(selector):
                    heard = time.monotonic()
                quiet = time.monotonic() - heard > _QUIET and process.poll() is not None
                if quiet or self._order.given or deadline.passed:
                    self._ended = self._end_group()
                    break
        return heard

    def _end_group(self) -> bool:
        if self._capture.group is None:
            return False
        return _LocalRun(end_group(self._capture.group, self._command), self._password, Order()).run().ok

    def _cancelled(self) -> Cancelled:
        if self._ended:
            return Cancelled("cancelled; the command has ended here")
        limit = self._command.timeout + KILL_AFTER
        return Cancelled(
            "cancelled, but the command could not be ended", hint=f"it ends by itself within {limit:g} s of its start"
        )


def _drain(selector: selectors.BaseSelector) -> bool:
    """Take what has arrived, one piece of each stream; tell whether there was anything, an end included."""
    ready = selector.select(_TICK)
    for key, _ in ready:
        sink: MarkedStream = key.data
        data = os.read(key.fd, _PIECE)
        if data:
            sink.feed(data)
        else:
            selector.unregister(key.fileobj)
    return bool(ready)


def _ending(code: int) -> Ending:
    return Ending(status=code) if code >= 0 else Ending(signal=signal.Signals(-code).name)
