from __future__ import annotations

import pytest

from crashcart.errors import Cancelled, ConnectionLost, NotSent
from crashcart.targets import Target
from crashcart.transports.base import Command, Connector, HttpReply, Transport
from crashcart.transports.fake import FakeConnector, FakeTransport, Unscripted, output

SHOW, RESTART = Command("systemctl show api"), Command("systemctl restart api")


def test_it_is_a_transport_and_a_connector() -> None:
    transport: Transport = FakeTransport()
    connector: Connector = FakeConnector({"web1": FakeTransport()})
    transport.close()
    connector(Target("web1")).close()


def test_replies_come_in_their_order_and_the_last_one_stays() -> None:
    host = FakeTransport().on("show", "failed", output("active", status=3))
    answers = [host.run(SHOW) for _ in range(3)]
    assert [answer.stdout.text for answer in answers] == ["failed", "active", "active"]
    assert answers[2].status == 3
    assert host.calls == [SHOW] * 3


def test_what_is_not_scripted_is_refused() -> None:
    with pytest.raises(Unscripted, match="systemctl restart api"):
        FakeTransport().on("show").run(RESTART)
    with pytest.raises(Unscripted, match="no fake for web2"):
        FakeConnector({"web1": FakeTransport()})(Target("web2"))
    with pytest.raises(Unscripted, match="GET http://x"):
        FakeTransport().fetch("http://x", 1)


def test_predicates_errors_and_functions() -> None:
    host = FakeTransport()
    host.on(lambda command: command.args == ("api",), lambda command: output(command.args[0]))
    host.on("restart", NotSent("busy"))
    assert host.run(Command("x", ("api",))).stdout.text == "api"
    with pytest.raises(NotSent):
        host.run(RESTART)


def test_the_latest_rule_counts() -> None:
    assert FakeTransport().on("show", "old").on("show", "new").run(SHOW).stdout.text == "new"


@pytest.mark.parametrize("after_effect", [False, True])
def test_a_lost_answer(after_effect: bool) -> None:
    done: list[Command] = []
    host = FakeTransport().on("restart", effect=done.append).lose("restart", after_effect=after_effect)
    with pytest.raises(ConnectionLost):
        host.run(RESTART)
    assert done == [RESTART] * after_effect
    assert host.run(RESTART).ok


def test_cancelled_from_within() -> None:
    host = FakeTransport()
    host.on("restart", effect=lambda _: host.cancel())
    host.cancel()
    with pytest.raises(Cancelled):
        host.run(RESTART)


def test_fetch() -> None:
    host = FakeTransport().on_fetch("http://x/", HttpReply(503), HttpReply(200), NotSent("gone"))
    assert [host.fetch("http://x/", 1).status for _ in range(2)] == [503, 200]
    with pytest.raises(NotSent):
        host.fetch("http://x/", 1)
    assert host.fetched == ["http://x/"] * 3
