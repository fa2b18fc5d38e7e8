from __future__ import annotations

import socket
from collections.abc import Iterator

import paramiko
import pytest
from paramiko.common import cMSG_CHANNEL_CLOSE, cMSG_CHANNEL_DATA, cMSG_CHANNEL_EOF, cMSG_GLOBAL_REQUEST

from crashcart.transports.ssh_session import Session


class Sent:
    """Stands in for the packetizer: keeps what was sent."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []

    def send_message(self, message: paramiko.Message) -> None:
        self.messages.append(message.asbytes())


@pytest.fixture
def session() -> Iterator[Session]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Session(ours, ["ssh-rsa", "ecdsa-sha2-nistp256", "unheard-of"], 10)


def message(kind: bytes, channel: int) -> paramiko.Message:
    message = paramiko.Message()
    message.add_byte(kind)
    message.add_int(channel)
    return message


def send(session: Session, *messages: paramiko.Message) -> list[bytes]:
    sent = Sent()
    session.packetizer = sent  # type: ignore[assignment]
    for one in messages:
        session._send_message(one)
    return [data[:1] for data in sent.messages]


def test_nothing_is_sent_on_a_channel_after_it_was_closed(session: Session) -> None:
    """OpenSSH ends the whole connection for that: all targets behind a jump host would be lost at once."""
    sent = send(
        session,
        message(cMSG_CHANNEL_DATA, 7),
        message(cMSG_CHANNEL_CLOSE, 7),
        message(cMSG_CHANNEL_DATA, 7),
        message(cMSG_CHANNEL_EOF, 7),
        message(cMSG_CHANNEL_CLOSE, 7),
        message(cMSG_CHANNEL_DATA, 8),
        message(cMSG_GLOBAL_REQUEST, 7),
    )
    assert sent == [cMSG_CHANNEL_DATA, cMSG_CHANNEL_CLOSE, cMSG_CHANNEL_DATA, cMSG_GLOBAL_REQUEST]


def test_a_channel_number_that_is_used_again_is_open(session: Session) -> None:
    send(session, message(cMSG_CHANNEL_CLOSE, 7))
    opened = paramiko.Message()
    for number in (0, 7, 1 << 20, 1 << 15):
        opened.add_int(number)
    opened.rewind()
    session._parse_channel_open_success(opened)
    assert send(session, message(cMSG_CHANNEL_DATA, 7)) == [cMSG_CHANNEL_DATA]


def test_known_kinds_of_keys_come_first(session: Session) -> None:
    kinds = session.get_security_options().key_types
    assert kinds[0] == "ecdsa-sha2-nistp256"
    assert len(set(kinds)) == len(kinds)
    assert "unheard-of" not in kinds
