"""paramiko's transport with what it lacks: known key types first, the signal that ended a command, its own log."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import paramiko
from paramiko.common import (
    MSG_CHANNEL_REQUEST,
    cMSG_CHANNEL_CLOSE,
    cMSG_CHANNEL_DATA,
    cMSG_CHANNEL_EOF,
    cMSG_CHANNEL_REQUEST,
    cMSG_CHANNEL_WINDOW_ADJUST,
)

LOG = "crashcart.ssh"
KEEPALIVE = 15
"""Seconds without traffic after which the host is sent a sign of life, so that no firewall forgets the connection."""

_NO_STATUS = -1
_OF_A_CHANNEL = frozenset(
    {cMSG_CHANNEL_CLOSE, cMSG_CHANNEL_DATA, cMSG_CHANNEL_EOF, cMSG_CHANNEL_REQUEST, cMSG_CHANNEL_WINDOW_ADJUST}
)


class Session(paramiko.Transport):
    """One SSH session with a host."""

    def __init__(self, wire: Any, preferred_keys: Sequence[str], handshake: float) -> None:
        super().__init__(wire)
        # Without a handler Python prints paramiko's tracebacks to stderr; whoever wants them configures this logger.
        logging.getLogger(LOG).addHandler(logging.NullHandler())
        self.set_log_channel(LOG)
        self.handshake_timeout = handshake
        self._closed_channels: set[bytes] = set()
        self._signals: dict[int, str] = {}
        handlers = paramiko.Transport._channel_handler_table  # type: ignore[attr-defined]  # noqa: SLF001 - no other way
        self._channel_handler_table = {**handlers, MSG_CHANNEL_REQUEST: self._channel_request}
        self._prefer(preferred_keys)

    def request_exec(self, channel: paramiko.Channel, line: bytes) -> None:
        """Ask for a command without waiting for the answer: a refusal closes the channel, and that is waited for anyway.

        ``Channel.exec_command`` waits for ever for a peer that went silent.
        """
        message = paramiko.Message()
        message.add_byte(cMSG_CHANNEL_REQUEST)
        message.add_int(channel.remote_chanid)
        message.add_string("exec")
        message.add_boolean(True)
        message.add_string(line)
        self._send_user_message(message)  # type: ignore[attr-defined]

    def _send_message(self, data: paramiko.Message) -> None:
        """Send a message, unless it is one for a channel that is closed already.

        A thread that sends on a channel and one that closes it may overtake each other in paramiko, and OpenSSH ends the
        whole connection for it: with a jump host, that of all targets. Every message passes here under one lock.
        """
        head = data.asbytes()[:5]
        kind, channel = head[:1], head[1:]
        if kind in _OF_A_CHANNEL:
            if channel in self._closed_channels:
                return
            if kind == cMSG_CHANNEL_CLOSE:
                self._closed_channels.add(channel)
        super()._send_message(data)  # type: ignore[misc]

    def _parse_channel_open_success(self, message: paramiko.Message) -> None:
        """Note that the host uses a channel's number again."""
        message.get_int()
        self._closed_channels.discard(message.get_bytes(4))
        message.rewind()
        super()._parse_channel_open_success(message)  # type: ignore[misc]

    def signal_of(self, channel: paramiko.Channel) -> str | None:
        """Return the signal that ended the channel's command, such as ``SIGKILL``."""
        return self._signals.get(channel.chanid)

    def status_of(self, channel: paramiko.Channel) -> int | None:
        """Return the exit status of the channel's command once the host has sent it."""
        return None if channel.exit_status == _NO_STATUS else channel.exit_status

    def _prefer(self, kinds: Sequence[str]) -> None:
        options = self.get_security_options()
        known = [kind for kind in kinds if kind in options.key_types]
        options.key_types = [*known, *(kind for kind in options.key_types if kind not in known)]

    def _channel_request(self, channel: paramiko.Channel, message: paramiko.Message) -> None:
        """Note an ``exit-signal``, which paramiko drops, and hand the message on as it came."""
        if message.get_text() == "exit-signal":
            message.get_boolean()
            self._signals[channel.chanid] = f"SIG{message.get_text()}"
        message.rewind()
        message.get_int()
        # The handler whose place this one takes.
        channel._handle_request(message)  # type: ignore[attr-defined]  # noqa: SLF001
