"""The shared lock against moto's own DynamoDB, over HTTP: who gets a target, who is kept out and what is said."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from queue import SimpleQueue
from typing import Any, TypeVar

import pytest

from crashcart.clock import FakeClock, SystemClock
from crashcart.engine.guard import Attempt, Unguarded
from crashcart.engine.sharedlock import LOOK, TTL, SharedLock, UnderLock
from crashcart.errors import BadInput, Refused
from crashcart.events import AnyEvent, LockLost, LockMissing, LockTaken, LockTakenOver
from crashcart.operations import find_operation
from crashcart.safety.locktable import shared_key
from crashcart.targets import Target
from crashcart.transports.aws_places import LOCK as VARIABLE
from crashcart.transports.aws_places import place_of
from crashcart.transports.base import ApiCall, CloudTransport
from tests.aws.beside.sharing import LOCK, TABLE, Laptop, hosts, make_table
from tests.emulator import Emulator

T = TypeVar("T")
Items = Callable[[], dict[str, dict[str, str]]]
START = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture
def ana() -> Iterator[Laptop]:
    laptop = Laptop("ana")
    yield laptop
    laptop.connect.close()


@pytest.fixture
def ben() -> Iterator[Laptop]:
    laptop = Laptop("ben")
    yield laptop
    laptop.connect.close()


def later(laptop: Laptop, seconds: float) -> None:
    """Move a laptop's clock."""
    laptop.clock.wait(SimpleQueue[None](), seconds, busy=False)


def test_who_is_kept_out_learns_who_since_when_doing_what_until_when_and_how_to_ask(
    emulator: Emulator, ana: Laptop, ben: Laptop
) -> None:
    targets = hosts(emulator, "web1", "web2")
    later(ben, 30)
    with ana.holding("run-a", targets), pytest.raises(Refused) as refused, ben.holding("run-b", targets[:1]):
        pass
    assert refused.value.message == (
        "web1 is held by ana since 2030-01-01 00:00:00 UTC (30 s): recover.disk-space, INC-7 "
        "(run run-a, process 7 on anas-laptop); valid until 2030-01-01 00:01:00 UTC unless it is renewed"
    )
    assert "ask ana" in refused.value.hint
    assert "inv runs.resume run-a" in refused.value.hint


def test_it_is_given_back_at_the_end(emulator: Emulator, items: Items, ana: Laptop, ben: Laptop) -> None:
    targets = hosts(emulator, "web1", "web2")
    with ana.holding("run-a", targets) as lock:
        assert set(items()) == {"run/run-a", "target/linux/web1:22", "target/linux/web2:22"}
        assert lock.events == [LockTaken(f"{LOCK}?region=us-east-1", ("web1", "web2"))]
    assert items() == {}
    with ben.holding("run-b", targets) as lock:
        assert not any(isinstance(event, LockTakenOver) for event in lock.events)


def test_all_or_none(emulator: Emulator, items: Items, ana: Laptop, ben: Laptop) -> None:
    names = [f"h{number:03}" for number in range(120)]
    with ana.holding("run-a", hosts(emulator, "h119")):
        with pytest.raises(Refused, match="h119 is held by ana"), ben.holding("run-b", hosts(emulator, *names)):
            pass
        assert set(items()) == {"run/run-a", "target/linux/h119:22"}
    emulator.forget_requests()
    with ben.holding("run-b", hosts(emulator, *names)):
        assert len(items()) == 121
    assert items() == {}
    # Begin, two groups, one renewal; two groups and the end. Two scans are the test's.
    assert len(emulator.requests()) == 7 + 2


def test_two_names_for_one_host_are_one_item_and_both_are_assured(emulator: Emulator, items: Items, ana: Laptop) -> None:
    one, other = hosts(emulator, "web1", "alias")
    other.variables["ansible_host"] = "web1"
    with ana.holding("run-a", [one, other]) as lock:
        assert set(items()) == {"run/run-a", "target/linux/web1:22"}
        assert lock.table_of(one) == lock.table_of(other) != ""


def test_a_target_without_a_table_needs_none(emulator: Emulator, ana: Laptop) -> None:
    (free,) = hosts(emulator, "free", lock="")
    with ana.holding("run-a", [*hosts(emulator, "web1"), free]) as lock:
        lock.assure(free)
        assert lock.table_of(free) == ""


def test_the_run_itself_comes_in_again_and_its_earlier_process_is_out(emulator: Emulator, ana: Laptop, ben: Laptop) -> None:
    targets = hosts(emulator, "web1")
    earlier = ana.lock("run-a", targets)
    earlier._take()
    with ben.holding("run-a", targets) as lock:
        assert not any(isinstance(event, LockTakenOver) for event in lock.events)
        later(ana, TTL)
        with pytest.raises(Refused, match="is lost"):
            earlier.assure(targets[0])
        earlier._release()
        later(ben, TTL)
        lock.assure(targets[0])


def test_what_a_dead_run_held_is_taken_over_after_watching_it(
    emulator: Emulator, items: Items, ana: Laptop, ben: Laptop
) -> None:
    targets = hosts(emulator, "web1", "web2")
    ana.die_with("run-a", targets)
    later(ben, TTL + 1)
    before = ben.clock.monotonic()
    with ben.holding("run-b", targets) as lock:
        assert ben.clock.monotonic() - before >= TTL
        over, taken = lock.events
        assert isinstance(over, LockTakenOver)
        assert (over.targets, over.holder, over.actor) == (("web1", "web2"), "run-a", "ana")
        assert over.why == "it was not renewed for 66 s"
        assert isinstance(taken, LockTaken)
        assert {item["run"] for item in items().values()} == {"run-b"}
    assert ben.said == ["the shared lock on web1 (run-a) seems to be a dead run's; watching for 66 s that it is"]
    assert items() == {}


class Renewing(FakeClock):
    """Ben's clock; while it runs, Ana's run is at work, too."""

    def __init__(self, start: datetime, renew: Callable[[], None]) -> None:
        super().__init__(start)
        self._renew = renew

    def wait(self, inbox: SimpleQueue[T], seconds: float | None, *, busy: bool) -> T | None:
        self._renew()
        return super().wait(inbox, seconds, busy=busy)


@pytest.mark.parametrize("wrong", [timedelta(hours=3), timedelta(hours=-3), timedelta(seconds=-91)])
def test_whatever_the_other_clock_says_a_run_that_renews_is_not_taken_over(
    emulator: Emulator, items: Items, ana: Laptop, wrong: timedelta
) -> None:
    targets = hosts(emulator, "web1")
    with ana.holding("run-a", targets) as lock:

        def renew() -> None:
            later(ana, TTL / 3)
            lock.renew_due()

        ben = Laptop("ben", Renewing(START + wrong, renew))
        with pytest.raises(Refused, match="web1 is held by ana"), ben.holding("run-b", targets):
            pass
        assert set(items()) == {"run/run-a", "target/linux/web1:22"}
        lock.assure(targets[0])


class JustBefore:
    """A way to the table on which something happens right before another run's item is to be deleted, and from then on."""

    def __init__(self, inner: CloudTransport, happen: Callable[[], None]) -> None:
        self._inner, self._happen, self._has_begun = inner, happen, False

    def read(self, call: ApiCall) -> dict[str, Any]:
        if self._has_begun:
            self._happen()
        return self._inner.read(call)

    def write(self, call: ApiCall) -> dict[str, Any]:
        self._has_begun = self._has_begun or call.operation == "DeleteItem"
        if self._has_begun:
            self._happen()
        return self._inner.write(call)


def test_a_renewal_in_the_last_moment_counts(
    emulator: Emulator, items: Items, ana: Laptop, monkeypatch: pytest.MonkeyPatch
) -> None:
    targets = hosts(emulator, "web1")
    with ana.holding("run-a", targets) as lock:

        def renew() -> None:
            later(ana, TTL / 3)
            lock.renew_due()

        late = Laptop("ben", FakeClock(START + timedelta(hours=1)))
        beside = late.connect.beside
        monkeypatch.setattr(late.connect, "beside", lambda place: JustBefore(beside(place), renew))
        with pytest.raises(Refused, match="web1 is held by ana"):
            late.lock("run-b", targets)._take()
        assert {item["run"] for item in items().values()} == {"run-a"}
        lock.assure(targets[0])


def test_whatever_its_clock_says_a_dead_run_is_taken_over(emulator: Emulator, ana: Laptop) -> None:
    targets = hosts(emulator, "web1")
    ana.die_with("run-a", targets)
    behind = Laptop("ben", FakeClock(START - timedelta(hours=3)))
    with behind.holding("run-b", targets) as lock:
        assert any(isinstance(event, LockTakenOver) for event in lock.events)


def test_a_dead_run_that_is_resumed_while_it_is_watched_keeps_its_targets(
    emulator: Emulator, ana: Laptop, items: Items
) -> None:
    targets = hosts(emulator, "web1")
    ana.die_with("run-a", targets)
    resumed: list[SharedLock] = []

    def resume() -> None:
        if not resumed:
            resumed.append(ana.lock("run-a", targets))
            resumed[0]._take()

    ben = Laptop("ben", Renewing(START + timedelta(hours=1), resume))
    with pytest.raises(Refused, match="web1 is held by ana"), ben.holding("run-b", targets):
        pass
    assert {item["run"] for item in items().values()} == {"run-a"}


def test_whoever_is_taken_over_does_nothing_more(emulator: Emulator, ana: Laptop, ben: Laptop) -> None:
    targets = hosts(emulator, "web1")
    asleep = ana.lock("run-a", targets)
    asleep._take()
    later(ben, TTL * 2)
    with ben.holding("run-b", targets):
        later(ana, TTL * 3)
        acted: list[AnyEvent] = []
        guard = UnderLock(asleep, Unguarded(), acted.append)
        operation = find_operation("systemd.restart")
        attempt = Attempt(targets[0], operation, None, None, None)  # type: ignore[arg-type]
        with pytest.raises(Refused) as refused:
            guard.admit(attempt)
        assert refused.value.message.startswith("the shared lock of run run-a is lost: it was taken over")
        assert "web1 is held by ben" in refused.value.message
        assert "begin anew" in refused.value.hint
        assert [type(event) for event in acted] == [LockLost]
        with pytest.raises(Refused, match="is lost"):
            guard.admit(attempt)
    asleep._release()


def test_what_a_slept_laptop_held_is_asked_for_before_the_next_act(emulator: Emulator, ana: Laptop) -> None:
    """Its monotonic clock stood still, so only the date tells that time has passed."""
    targets = hosts(emulator, "web1")

    class Slept(FakeClock):
        slept = timedelta()

        def now(self) -> datetime:
            return super().now() + self.slept

    clock = Slept()
    laptop = Laptop("cleo", clock)
    with laptop.holding("run-c", targets) as lock:
        clock.slept = timedelta(hours=1)
        emulator.forget_requests()
        lock.assure(targets[0])
        assert [request["action"] for request in emulator.requests()] == ["UpdateItem"]
        lock.assure(targets[0])
        assert len(emulator.requests()) == 1


def test_a_lock_is_renewed_three_times_as_often_as_it_runs_out(emulator: Emulator, items: Items, ana: Laptop) -> None:
    targets = hosts(emulator, "web1")
    with ana.holding("run-a", targets) as lock:
        for _ in range(int(10 * TTL / LOOK)):
            later(ana, LOOK)
            lock.renew_due()
        run = items()["run/run-a"]
        assert int(run["beat"]) == pytest.approx(30, abs=2)
        assert float(run["until"]) >= ana.clock.now().timestamp() + TTL / 2


def test_the_thread_that_renews_stops_with_the_run(emulator: Emulator, items: Items) -> None:
    import threading

    laptop = Laptop("ana", SystemClock())
    lock = laptop.lock("run-a", hosts(emulator, "web1"), ttl=0.001)

    def threads() -> list[str]:
        return [thread.name for thread in threading.enumerate() if thread.name == "shared-lock"]

    with lock.held():
        assert threads() == ["shared-lock"]
        assert "run/run-a" in items()
    assert threads() == []
    assert items() == {}


def test_while_the_run_lasts_the_thread_keeps_others_out(
    emulator: Emulator, items: Items, ben: Laptop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ben's clock is hours ahead, and moves by itself; Ana's thread renews in real time."""
    monkeypatch.setattr("crashcart.engine.sharedlock.LOOK", 0.01)
    targets = hosts(emulator, "web1")
    ana = Laptop("ana", SystemClock())
    beats = set()

    def see() -> None:
        deadline, before = time.monotonic() + 20, items()["run/run-a"]["beat"]
        while (now := items()["run/run-a"]["beat"]) == before:
            assert time.monotonic() < deadline, "not renewed"
        beats.add(now)

    with ana.lock("run-a", targets, ttl=0.2).held():
        ahead = Laptop("ben", Renewing(datetime.now(UTC) + timedelta(hours=5), see))
        with pytest.raises(Refused, match="web1 is held by ana"):
            ahead.lock("run-b", targets)._take()
        see()
    assert len(beats) >= 2
    assert items() == {}


@pytest.mark.parametrize("fault", ["aws.lost", "aws.fails-after", "aws.throttle", "aws.unavailable", "aws.reset"])
@pytest.mark.parametrize("action", ["PutItem", "TransactWriteItems"])
def test_an_answer_that_is_lost_while_taking_does_no_harm(
    emulator: Emulator, items: Items, ana: Laptop, fault: str, action: str
) -> None:
    emulator.fault(fault, service="dynamodb", action=action)
    with ana.holding("run-a", hosts(emulator, "web1")):
        assert set(items()) == {"run/run-a", "target/linux/web1:22"}
    assert items() == {}


@pytest.mark.parametrize("fault", ["aws.lost", "aws.fails-after", "aws.unavailable"])
def test_a_renewal_whose_answer_is_lost_is_sent_again(emulator: Emulator, ana: Laptop, fault: str) -> None:
    targets = hosts(emulator, "web1")
    with ana.holding("run-a", targets) as lock:
        later(ana, TTL / 2)
        emulator.fault(fault, service="dynamodb", action="UpdateItem")
        lock.renew_due()
        lock.assure(targets[0])


def test_a_table_that_is_not_there_refuses_and_says_how_to_make_it(emulator: Emulator, ana: Laptop) -> None:
    with pytest.raises(Refused) as refused, ana.holding("run-a", hosts(emulator, "web1", lock="dynamodb://nowhere")):
        pass
    assert "the shared lock dynamodb://nowhere?region=us-east-1 cannot be asked" in refused.value.message
    assert "key: id (String)" in refused.value.hint
    assert "--break-glass goes on without it" in refused.value.hint


def test_a_table_of_something_else_refuses(emulator: Emulator, ana: Laptop) -> None:
    make_table(emulator, "terraform", "LockID")
    with pytest.raises(Refused, match=r"cannot be asked.*LockID") as refused:
        ana.lock("run-a", hosts(emulator, "web1", lock="dynamodb://terraform"))._take()
    assert "key: id (String)" in refused.value.hint


@pytest.mark.parametrize("action", ["PutItem", "TransactWriteItems", "UpdateItem", ".*"])
def test_access_denied_refuses_with_the_statement_that_is_missing(
    emulator: Emulator, ana: Laptop, items: Items, action: str
) -> None:
    emulator.fault("aws.denied", service="dynamodb", action=action, times=3)
    with pytest.raises(Refused) as refused, ana.holding("run-a", hosts(emulator, "web1")):
        pass
    assert '{"Effect":"Allow","Action":"dynamodb:' in refused.value.hint
    emulator.clear_faults()
    assert items() == {}


def test_an_endpoint_that_is_dead_refuses(emulator: Emulator, ana: Laptop) -> None:
    dead = hosts(emulator, "web1", aws_endpoint_url="http://127.0.0.1:1")
    with pytest.raises(Refused, match="cannot be asked: nothing listens on"), ana.holding("run-a", dead):
        pass


def test_break_glass_goes_on_without_a_table_that_cannot_be_asked_and_says_so(emulator: Emulator, ana: Laptop) -> None:
    targets = hosts(emulator, "web1", lock="dynamodb://nowhere")
    with ana.holding("run-a", targets, insist=False) as lock:
        (missing,) = lock.events
        assert isinstance(missing, LockMissing)
        assert missing.targets == ("web1",)
        lock.assure(targets[0])
    assert "going on without it (--break-glass)" in ana.said[0]


def test_break_glass_does_not_take_what_somebody_else_holds(emulator: Emulator, ana: Laptop, ben: Laptop) -> None:
    targets = hosts(emulator, "web1")
    with ana.holding("run-a", targets), pytest.raises(Refused, match="held by ana"):
        ben.lock("run-b", targets, insist=False)._take()


@pytest.mark.parametrize("insist", [True, False])
def test_a_table_that_cannot_be_asked_any_more_stops_acts_until_it_can(
    emulator: Emulator, ana: Laptop, insist: bool
) -> None:
    targets = hosts(emulator, "web1")
    with ana.holding("run-a", targets, insist=insist) as lock:
        later(ana, TTL)
        emulator.fault("aws.unavailable", service="dynamodb")
        if insist:
            with pytest.raises(Refused, match="last renewed 60 s ago"):
                lock.assure(targets[0])
        lock.assure(targets[0])


@pytest.mark.parametrize("broken", [{"run": "../x"}, {"ttl": "1e9"}, {"until": "never"}, {"owner": None}])
def test_an_item_that_cannot_be_understood_refuses(
    emulator: Emulator, ana: Laptop, ben: Laptop, broken: dict[str, str | None]
) -> None:
    targets = hosts(emulator, "web1")
    ana.die_with("run-a", targets)
    client = emulator.client("dynamodb")
    item: dict[str, Any] = client.get_item(TableName=TABLE, Key={"id": {"S": "run/run-a"}})["Item"]
    for name, value in broken.items():
        item.pop(name) if value is None else item.update({name: {"S": value}})
    client.put_item(TableName=TABLE, Item=item)
    with pytest.raises(Refused, match="cannot be understood"), ben.holding("run-b", targets):
        pass


def test_a_selection_of_two_overlapping_runs_has_a_winner(emulator: Emulator, ana: Laptop, ben: Laptop) -> None:
    """Each takes in the order of the keys, whatever the selection's order is."""
    forward, backward = hosts(emulator, "a", "b", "c"), hosts(emulator, "c", "b", "a")
    with ana.holding("run-a", forward), pytest.raises(Refused, match="a is held by ana"), ben.holding("run-b", backward):
        pass


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Target("web", variables={"ansible_host": "10.0.0.1"}), Target("10.0.0.1", variables={"ansible_port": "22"})),
        (
            Target("orders", "rds_cluster", {"aws_region": "eu-west-1"}),
            Target("o", "rds_cluster", {"aws_region": "eu-west-1", "aws_id": "arn:aws:rds:eu-west-1:1:cluster:orders"}),
        ),
        (
            Target("web", "target_group", {"aws_region": "eu-west-1"}),
            Target(
                "x",
                "target_group",
                {"aws_region": "eu-west-1", "aws_id": "arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/web/12ab"},
            ),
        ),
    ],
)
def test_one_target_has_one_key_whatever_it_is_called(one: Target, other: Target) -> None:
    assert shared_key(one) == shared_key(other)


def test_this_machine_is_another_one_on_each_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    here = Target("localhost", variables={"ansible_connection": "local"})
    keys = set()
    for name in ("anas-laptop", "bens-laptop"):
        monkeypatch.setattr("socket.gethostname", lambda name=name: name)
        keys.add(shared_key(here))
    assert len(keys) == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("dynamo://locks", "does not begin with dynamodb://"),
        ("dynamodb://", "names no table"),
        ("dynamodb://locks/more", "names no table"),
        ("dynamodb://lo cks", "names no table"),
        ("dynamodb://locks?regoin=eu-west-1", "unknown 'regoin'"),
        ("dynamodb://locks?region=eu", "is not a region"),
        (17, "is a text such as dynamodb://"),
    ],
)
def test_a_lock_that_is_none_is_bad_input(emulator: Emulator, text: object, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        place_of(emulator.target("linux", "web1", lock=text), VARIABLE)


def test_the_table_may_be_in_another_region(emulator: Emulator) -> None:
    place = place_of(emulator.target("linux", "web1", lock="dynamodb://locks?region=eu-west-1"), VARIABLE)
    assert place
    assert place.access.region == "eu-west-1"
