"""Asked at the same moment, asked in one request: who gets what, and what happens when not all of them may have it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crashcart.errors import AccessDenied, Cancelled, CrashcartError, NoSuchResource, NotSent, Throttled
from crashcart.transports.aws_together import MOST, Answer, Together
from crashcart.transports.base import ApiCall

LIMIT = 10.0


def cluster(name: str) -> ApiCall:
    return ApiCall("rds", "DescribeDBClusters", {"DBClusterIdentifier": name})


def group(name: str) -> ApiCall:
    return ApiCall("autoscaling", "DescribeAutoScalingGroups", {"AutoScalingGroupNames": [name]})


class Api:
    """A service that knows clusters and groups. Its first request is not answered before ``enough`` others wait."""

    def __init__(self, enough: int = 0, unknown: tuple[str, ...] = ()) -> None:
        self.together = Together()
        self.sent: list[ApiCall] = []
        self.refuses: Callable[[list[str]], CrashcartError | None] = lambda _: None
        self._enough, self._unknown = enough, unknown
        self._asked = threading.Event()

    def send(self, call: ApiCall) -> Answer:
        self.sent.append(call)
        if len(self.sent) == 1:
            self._asked.set()
            wait_until(lambda: self.together.waiting == self._enough)
        names = self.names(call)
        if error := self.refuses(names):
            raise error
        known = [name for name in names if name not in self._unknown]
        if call.service == "autoscaling":
            return {"AutoScalingGroups": [{"AutoScalingGroupName": name} for name in known]}
        return {"DBClusters": [{"DBClusterIdentifier": name.lower()} for name in known]}

    @staticmethod
    def names(call: ApiCall) -> list[str]:
        params = call.params
        if one := params.get("DBClusterIdentifier"):
            return [one]
        return list(params.get("AutoScalingGroupNames") or params["Filters"][0]["Values"])

    def ask(self, first: ApiCall, *others: ApiCall) -> list[Future[Answer]]:
        """Send the first, and while it is under way, the others."""
        with ThreadPoolExecutor(len(others) + 1) as pool:
            asked = [pool.submit(self.together.ask, first, self.send)]
            assert self._asked.wait(LIMIT)
            asked += [pool.submit(self.together.ask, call, self.send) for call in others]
        return asked


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait for what other threads are about to do; a test that waits in vain fails."""
    tick = threading.Event()
    for _ in range(int(LIMIT * 1000)):
        if holds():
            return
        tick.wait(0.001)
    raise AssertionError("it never came to that")


def test_the_first_asks_for_itself_and_the_others_together() -> None:
    api = Api(enough=3)
    found = api.ask(cluster("a"), cluster("B"), cluster("c"), cluster("c"))
    assert [one.result() for one in found] == [{"DBClusters": [{"DBClusterIdentifier": name}]} for name in "abcc"]
    assert api.sent[0] == cluster("a")
    (filtered,) = [call.params["Filters"] for call in api.sent[1:]]
    assert filtered[0]["Name"] == "db-cluster-id"
    assert sorted(filtered[0]["Values"]) == ["B", "c"]


def test_one_after_the_other_each_has_an_answer_of_its_own() -> None:
    api = Api()
    for _ in range(2):
        assert api.together.ask(cluster("a"), api.send) == {"DBClusters": [{"DBClusterIdentifier": "a"}]}
    assert api.sent == [cluster("a")] * 2


@pytest.mark.parametrize(
    "call",
    [
        ApiCall("elasticache", "DescribeReplicationGroups", {"ReplicationGroupId": "a"}),
        ApiCall("autoscaling", "DescribeAutoScalingGroups", {}),
        ApiCall("rds", "DescribeDBClusters", {"DBClusterIdentifier": "arn:aws:rds:eu-west-1:111122223333:cluster:a"}),
        ApiCall("rds", "DescribeDBInstances", {"Filters": [{"Name": "engine", "Values": ["mysql"]}]}),
        ApiCall("rds", "DescribeDBInstances", {"Filters": []}),
    ],
)
def test_another_call_is_sent_as_it_is(call: ApiCall) -> None:
    sent: list[ApiCall] = []

    def send(asked: ApiCall) -> Answer:
        sent.append(asked)
        return {}

    assert Together().ask(call, send) == {}
    assert sent == [call]


def test_who_is_unknown_asks_alone_and_hears_it_from_aws() -> None:
    api = Api(enough=2, unknown=("gone",))
    found = api.ask(group("a"), group("b"), group("gone"))
    assert [one.result()["AutoScalingGroups"] for one in found[:2]] == [
        [{"AutoScalingGroupName": "a"}],
        [{"AutoScalingGroupName": "b"}],
    ]
    assert found[2].result() == {"AutoScalingGroups": []}
    assert api.sent[2:] == [group("gone")]


def test_events_are_asked_together_where_all_else_is_the_same() -> None:
    """Who has no events is told so; another span of time or another type of source is another question."""
    together, first, sent = Together(), threading.Event(), list[dict[str, object]]()

    def send(call: ApiCall) -> Answer:
        sent.append(dict(call.params))
        if len(sent) == 1:
            first.set()
            wait_until(lambda: together.waiting == 2)
        names = [call.params["SourceIdentifier"]] if "SourceIdentifier" in call.params else ["b", "other"]
        return {"Events": [{"SourceIdentifier": name, "Message": call.params["Duration"]} for name in names]}

    def events(name: str, kind: str = "db-cluster", minutes: int = 60) -> ApiCall:
        return ApiCall("rds", "DescribeEvents", {"SourceType": kind, "SourceIdentifier": name, "Duration": minutes})

    with ThreadPoolExecutor(5) as pool:
        asked = [pool.submit(together.ask, events("a"), send)]
        assert first.wait(LIMIT)
        others = (events("B"), events("quiet"), events("b", "db-instance"), events("b", minutes=90))
        asked += [pool.submit(together.ask, call, send) for call in others]
    told = [[(each["SourceIdentifier"], each["Message"]) for each in one.result()["Events"]] for one in asked]
    assert told == [[("a", 60)], [("b", 60)], [], [("b", 60)], [("b", 90)]]
    assert sent[0]["SourceIdentifier"] == "a"
    assert [each for each in sent if "SourceIdentifier" not in each] == [{"SourceType": "db-cluster", "Duration": 60}]
    assert len(sent) == 4


def refuse_many(error: CrashcartError) -> Callable[[list[str]], CrashcartError | None]:
    return lambda names: error if len(names) > 1 else None


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (AccessDenied("not all of them", action="", code=""), False),
        (NoSuchResource("one of them", action="", code=""), True),
        (Cancelled("who asked was cancelled"), True),
    ],
)
def test_what_concerns_one_of_them_stops_nobody_else(error: CrashcartError, *, again: bool) -> None:
    api = Api(enough=2)
    api.refuses = refuse_many(error)
    found = api.ask(cluster("a"), cluster("b"), cluster("c"))
    assert [one.result()["DBClusters"][0]["DBClusterIdentifier"] for one in found] == ["a", "b", "c"]
    assert len(api.sent) == 4
    assert api.together.waiting == 0
    second = Api(enough=2 if again else 0)
    second.together = api.together
    second.ask(cluster("a"), *[cluster("b"), cluster("c")] if again else [])
    assert [len(api.names(call)) for call in second.sent] == ([1, 2] if again else [1])


@pytest.mark.parametrize("error", [Throttled("slow down"), NotSent("no route")])
def test_what_concerns_all_is_told_to_all_of_the_round(error: CrashcartError) -> None:
    api = Api(enough=2)
    api.refuses = refuse_many(error)
    found = api.ask(cluster("a"), cluster("b"), cluster("c"))
    assert found[0].exception() is None
    assert [one.exception() for one in found[1:]] == [error, error]
    assert len(api.sent) == 2


def test_a_defect_of_who_asks_is_nobody_else_s() -> None:
    api = Api(enough=2)

    def refuses(names: list[str]) -> CrashcartError | None:
        if len(names) > 1:
            raise ValueError("a defect")
        return None

    api.refuses = refuses
    found = api.ask(cluster("a"), cluster("b"), cluster("c"))
    raised = [one.exception() for one in found]
    assert sorted(type(one).__name__ for one in raised) == ["NoneType", "NoneType", "ValueError"]


def test_a_request_has_so_many_names_at_most() -> None:
    api = Api(enough=MOST + 5)
    found = api.ask(group("first"), *(group(f"g{number}") for number in range(MOST + 5)))
    assert len({one.result()["AutoScalingGroups"][0]["AutoScalingGroupName"] for one in found}) == MOST + 6
    assert sorted(len(api.names(call)) for call in api.sent) == [1, 5, MOST]


@given(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=12), st.sets(st.sampled_from("abcdef")))
def test_whoever_asks_gets_what_asking_alone_would_have_given(names: list[str], unknown: set[str]) -> None:
    api = Api(enough=len(names) - 1, unknown=tuple(unknown))

    def alone(name: str) -> Answer:
        return {"AutoScalingGroups": [] if name in unknown else [{"AutoScalingGroupName": name}]}

    found = api.ask(*(group(name) for name in names))
    assert [one.result() for one in found] == [alone(name) for name in names]
    assert len(api.sent) <= 2 + sum(name in unknown for name in names)
