"""One command on one channel of a session: sent, its output drained, its end and its loss told apart."""

from __future__ import annotations

import contextlib
import enum
import time

import paramiko

from crashcart.errors import Cancelled, ConnectionLost, CrashcartError, NotSent
from crashcart.secrets import Secret
from crashcart.transports.base import Command, CommandResult
from crashcart.transports.cancelling import Order
from crashcart.transports.capture import Capture, Ending
from crashcart.transports.endpoint import Endpoint
from crashcart.transports.limits import Deadline, Limits
from crashcart.transports.remote import KILL_AFTER, end_group, new_token, remote_line
from crashcart.transports.ssh_session import Session
from crashcart.transports.startfail import start_failure

BROKEN = (paramiko.SSHException, EOFError, OSError)
"""What paramiko raises when a session is no more."""

_PIECE = 2 * 1024 * 1024
_TICK = 1.0
_QUIET = 1.0
"""Seconds of silence after the exit status until what the command left behind is ended."""

_BEGINNING = 5.0
"""Seconds that a cancelled command is given to say which process group it is."""


class _Stop(enum.Enum):
    """Why the watching of a channel ended."""

    CLOSED = enum.auto()
    CANCELLED = enum.auto()
    SILENT = enum.auto()
    LEFTOVERS = enum.auto()


class RemoteRun:
    """One run of one command."""

    def __init__(
        self,
        command: Command,
        session: Session,
        *,
        endpoint: Endpoint,
        limits: Limits,
        password: Secret | None,
        order: Order,
    ) -> None:
        token = new_token()
        self._command = command
        self._line = remote_line(command, token, with_password=password is not None)
        self._session = session
        self._endpoint = endpoint
        self._limits = limits
        self._password = password
        self._order = order
        self._capture = Capture(command, token)
        self._channel = self._open_channel()

    def run(self) -> CommandResult:
        """Run the command to its end.

        Raises ``NotSent`` when it certainly never started, ``ConnectionLost`` when it may have, ``SudoDenied``, and
        ``Cancelled`` when the order to end it was given.
        """
        try:
            return self._run()
        except BROKEN as error:
            raise self._lost() from error
        finally:
            with contextlib.suppress(*BROKEN):
                self._channel.close()

    def _open_channel(self) -> paramiko.Channel:
        try:
            channel = self._session.open_session(timeout=self._limits.channel)
        except BROKEN as error:
            raise NotSent(
                f"no command can be sent to {self._endpoint.address}: {error or 'the connection is gone'}",
                hint="the host went away, or its sshd allows no more sessions (MaxSessions)",
            ) from error
        channel.in_buffer.set_event(self._order.bell)
        channel.in_stderr_buffer.set_event(self._order.bell)
        return channel

    def _run(self) -> CommandResult:
        if self._order.given:
            raise Cancelled("cancelled before the command was sent")
        started = time.monotonic()
        self._send()
        stop = self._watch(Deadline(self._command.timeout + KILL_AFTER + self._limits.answer))
        duration = time.monotonic() - started
        if stop is _Stop.CANCELLED:
            raise self._cancelled()
        if stop is _Stop.SILENT:
            failure = self._lost()
            self._session.close()
            raise failure
        if stop is _Stop.LEFTOVERS:
            duration -= _QUIET
            self._end_group()
        return self._conclude(duration)

    def _send(self) -> None:
        self._session.request_exec(self._channel, self._line)
        if self._password is not None and self._command.become:
            self._channel.sendall(f"{self._password.reveal()}\n".encode())
        self._channel.shutdown_write()

    def _watch(self, deadline: Deadline) -> _Stop:
        """Drain both streams until the channel is closed, or until there is a reason to stop before that."""
        quiet = Deadline(_QUIET)
        while True:
            closed = self._channel.closed
            heard = self._drain()
            if heard or self._ending() == Ending():
                quiet = Deadline(_QUIET)
            if closed and not heard:
                return _Stop.CLOSED
            if quiet.passed:
                return _Stop.LEFTOVERS
            if not heard:
                self._order.bell.wait(min(_TICK, deadline.left))
            if self._order.given:
                return _Stop.CANCELLED
            if deadline.passed:
                return _Stop.SILENT

    def _drain(self) -> bool:
        """Take what has arrived, one piece of each stream; tell whether there was any."""
        out, err = self._channel.recv_ready(), self._channel.recv_stderr_ready()
        if out:
            self._capture.out.feed(self._channel.recv(_PIECE))
        if err:
            self._capture.err.feed(self._channel.recv_stderr(_PIECE))
        return out or err

    def _ending(self) -> Ending:
        return Ending(self._session.status_of(self._channel), self._session.signal_of(self._channel))

    def _conclude(self, duration: float) -> CommandResult:
        ending = self._ending()
        if ending == Ending():
            raise self._lost()
        if self._capture.group is None:
            complaint = self._capture.complaint
            raise start_failure(complaint, self._endpoint.user, ending.status, become=self._command.become)
        return self._capture.result(ending, duration)

    def _lost(self) -> CrashcartError:
        """Say what it means that no ending came."""
        if self._session.is_active() and self._channel.closed and not self._channel.event_ready:
            return NotSent(
                f"{self._endpoint.login} refuses to run commands",
                hint="its account may be for file transfer or forwarding only",
            )
        how = "fell silent" if not self._channel.closed else "broke"
        error = ConnectionLost(
            f"the connection to {self._endpoint.address} {how} while a command ran: it may have taken effect",
            hint=f"it ends there by itself within {self._command.timeout + KILL_AFTER:g} s of its start; look first",
        )
        error.__cause__ = self._session.get_exception()
        return error

    def _cancelled(self) -> Cancelled:
        """End the command on the host; say whether that worked."""
        waiting = Deadline(_BEGINNING)
        while self._capture.group is None and not self._channel.closed and not waiting.passed:
            if not self._drain():
                self._order.bell.wait(waiting.left)
        if self._ending() != Ending() or self._end_group():
            return Cancelled(f"cancelled; the command has ended on {self._endpoint.address}")
        limit = self._command.timeout + KILL_AFTER
        return Cancelled(
            f"cancelled, but the command could not be ended on {self._endpoint.address}",
            hint=f"it ends there by itself within {limit:g} s of its start",
        )

    def _end_group(self) -> bool:
        """End the command's process group through a second channel, and take the output that was still on its way."""
        if self._capture.group is None:
            return False
        try:
            result = RemoteRun(
                end_group(self._capture.group, self._command),
                self._session,
                endpoint=self._endpoint,
                limits=self._limits,
                password=self._password,
                order=Order(),
            ).run()
        except CrashcartError:
            return False
        waiting = Deadline(_QUIET)
        while self._drain() or not (self._channel.closed or waiting.passed):
            if not self._channel.recv_ready():
                self._order.bell.wait(waiting.within(_TICK))
        return result.ok
