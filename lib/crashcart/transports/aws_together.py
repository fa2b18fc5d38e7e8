"""Reads that many targets ask for at once: what is wanted of one service at the same moment is asked in one request.

Nobody waits for others to come. The first asks for itself; who comes while that request is under way asks together with
all who do, as soon as it is answered. So an answer is never older than the question, and one target alone notices nothing.
Of services whose API takes one name at a time (ElastiCache, the health of targets), each is asked by itself.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from crashcart.errors import AccessDenied, Cancelled, CrashcartError, InvalidCall, NoSuchResource
from crashcart.transports.base import ApiCall

Answer = dict[str, Any]
Send = Callable[[ApiCall], Answer]
Params = Mapping[str, Any]
NOTHING: Params = {}

MOST = 50
"""Names in one request at most: as many as ``DescribeAutoScalingGroups`` takes, and a page of RDS clusters holds more."""


class Many(msgspec.Struct, frozen=True):
    """A call that can be about several names: ``one`` is how a single name is asked for, ``many`` how several are.

    ``beside`` are parameters that go along as they are: only calls that agree in them are asked together. The answer lists
    what there is under ``listed``, each with its name in ``named``. Of a name that is not there, ``may_be_empty`` says that
    there is nothing to tell; else that name is asked for alone.
    """

    service: str
    operation: str
    one: Callable[[str], Mapping[str, Any]]
    many: Callable[[Sequence[str]], Mapping[str, Any]]
    listed: str
    named: str
    folds_case: bool = False
    beside: frozenset[str] = frozenset()
    may_be_empty: bool = False

    def name_in(self, call: ApiCall) -> str:
        """Return the one name that a call is about; empty when it is another call. ARNs are left to AWS to read."""
        if (call.service, call.operation) != (self.service, self.operation):
            return ""
        own = {name: value for name, value in call.params.items() if name not in self.beside}
        name = _only_text(own)
        return name if name and ":" not in name and own == self.one(name) else ""

    def rest_of(self, call: ApiCall) -> Params:
        """Return the parameters beside the name."""
        return {name: value for name, value in call.params.items() if name in self.beside}

    def call(self, names: Sequence[str], rest: Params = NOTHING) -> ApiCall:
        """Return the call about these names."""
        params = self.one(names[0]) if len(names) == 1 else self.many(names)
        return ApiCall(self.service, self.operation, {**rest, **params})

    def part(self, answer: Answer, name: str) -> Answer | None:
        """Return what an answer about several names says of one; None when it would have to be asked for alone."""
        wanted = self._key(name)
        found = [item for item in answer.get(self.listed, []) if self._key(str(item.get(self.named, ""))) == wanted]
        return {**answer, self.listed: found} if found or self.may_be_empty else None

    def _key(self, name: str) -> str:
        return name.lower() if self.folds_case else name


def _only_text(params: Mapping[str, Any]) -> str:
    """Return the text at the end of a call's parameters: its only name, if there is only one."""
    value: Any = params
    while isinstance(value, Mapping | list):
        items = list(value.values()) if isinstance(value, Mapping) else value
        if not items:
            return ""
        value = items[-1]
    return value if isinstance(value, str) else ""


def _filter(name: str) -> Callable[[Sequence[str]], Mapping[str, Any]]:
    return lambda values: {"Filters": [{"Name": name, "Values": list(values)}]}


MANY = (
    Many(
        "rds",
        "DescribeDBClusters",
        lambda name: {"DBClusterIdentifier": name},
        _filter("db-cluster-id"),
        "DBClusters",
        "DBClusterIdentifier",
        folds_case=True,
    ),
    Many(
        "rds",
        "DescribeDBInstances",
        lambda name: {"DBInstanceIdentifier": name},
        _filter("db-instance-id"),
        "DBInstances",
        "DBInstanceIdentifier",
        folds_case=True,
    ),
    Many(
        "rds",
        "DescribeDBInstances",
        lambda name: _filter("db-cluster-id")([name]),
        _filter("db-cluster-id"),
        "DBInstances",
        "DBClusterIdentifier",
        folds_case=True,
    ),
    Many(
        "autoscaling",
        "DescribeAutoScalingGroups",
        lambda name: {"AutoScalingGroupNames": [name]},
        lambda names: {"AutoScalingGroupNames": list(names)},
        "AutoScalingGroups",
        "AutoScalingGroupName",
    ),
    Many(
        "rds",
        "DescribeEvents",
        lambda name: {"SourceIdentifier": name},
        lambda _: {},
        "Events",
        "SourceIdentifier",
        folds_case=True,
        beside=frozenset({"SourceType", "Duration"}),
        may_be_empty=True,
    ),
)
"""The calls that are asked together, as their API references have them: RDS's filters, Auto Scaling's list of names.

RDS tells the events of one source or of all sources of a type; where all have too many to read, each is asked alone.
"""


class Together:
    """The reads of one session that can be asked together. Any number of threads may use it."""

    def __init__(self) -> None:
        self._queues: dict[tuple[Any, ...], _Queue] = {}
        self._lock = threading.Lock()

    def ask(self, call: ApiCall, send: Send) -> Answer:
        """Return the answer to this call, which ``send`` is used for by whoever's turn it is, or raise its error.

        What fails for several because one of them is denied, unknown or wrong is asked again by each alone.
        """
        for number, kind in enumerate(MANY):
            if name := kind.name_in(call):
                answer = self._queue(number, kind.rest_of(call)).ask(name, send)
                return send(call) if answer is None else answer
        return send(call)

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return sum(queue.waiting for queue in self._queues.values())

    def _queue(self, number: int, rest: Params) -> _Queue:
        """Return the queue of those who want the same kind of thing with the same words beside the name."""
        with self._lock:
            return self._queues.setdefault((number, *sorted(rest.items())), _Queue(MANY[number], rest))


class _Round:
    """Those who ask together, and what came of it."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.answer: Answer | None = None
        self.error: CrashcartError | None = None
        self.ended = False


class _Queue:
    """All who want the same kind of thing: one request is under way, and a round for the next one fills up."""

    def __init__(self, kind: Many, rest: Params) -> None:
        self._kind, self._rest = kind, rest
        self._turn = threading.Condition()
        self._next = _Round()
        self._under_way = False
        self._each_alone = False
        self.waiting = 0

    def ask(self, name: str, send: Send) -> Answer | None:
        """Return what the round says of this name, None when it says nothing; raise its error if it concerns all."""
        if self._each_alone:
            return None
        mine, leads = self._join(name)
        if leads:
            self._lead(mine, send)
        if mine.error:
            raise mine.error
        if mine.answer is None or len(mine.names) == 1:
            return mine.answer
        return self._kind.part(mine.answer, name)

    def _join(self, name: str) -> tuple[_Round, bool]:
        """Join the round that fills up, and wait until it has ended or its request is ours to send."""
        with self._turn:
            if len(self._next.names) == MOST:
                self._next = _Round()
            mine = self._next
            mine.names.append(name)
            self.waiting += 1
            self._turn.wait_for(lambda: mine.ended or not self._under_way)
            self.waiting -= 1
            if mine.ended:
                return mine, False
            self._under_way = True
            if self._next is mine:
                self._next = _Round()
            return mine, True

    def _lead(self, mine: _Round, send: Send) -> None:
        names = list(dict.fromkeys(mine.names))
        try:
            mine.answer = send(self._kind.call(names, self._rest))
        except CrashcartError as error:
            self._judge(mine, error, alone=len(mine.names) == 1)
        finally:
            with self._turn:
                mine.ended, self._under_way = True, False
                self._turn.notify_all()

    def _judge(self, mine: _Round, error: CrashcartError, *, alone: bool) -> None:
        """Keep an error that all would meet; of the others, each is to hear its own."""
        if alone:
            mine.error = error
        elif isinstance(error, AccessDenied | InvalidCall):
            self._each_alone = True
        elif not isinstance(error, NoSuchResource | Cancelled):
            mine.error = error
