"""The emulator's own API, for the lab and for tests: clock, durations, faults, conditions, requests, reset."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Protocol
from urllib.parse import parse_qs

import msgspec

from crashcart.decoding import from_json
from crashcart.errors import BadInput
from crashcart.lab.aws.account import PARTS
from crashcart.lab.aws.compute_seed import LabInstance
from crashcart.lab.aws.durations import DURATIONS
from crashcart.lab.aws.faults import Wanted
from crashcart.lab.aws.injector import Injector
from crashcart.lab.aws.replies import Reply, json_reply
from crashcart.lab.aws.requestlog import RequestLog
from crashcart.lab.aws.stage import Stage
from crashcart.lab.aws.world import Condition, World

PREFIX = "/crashcart/"
Query = dict[str, str]


class ResetWish(msgspec.Struct, forbid_unknown_fields=True):
    """How to begin anew: with which parts of the lab's account; ``hosts`` become EC2 instances (None: the same as before).

    ``behind`` is how many seconds the lab's time begins in the past, for a history before whoever looks on begins.
    """

    seed: tuple[str, ...] = PARTS
    hosts: tuple[LabInstance, ...] | None = None
    behind: Annotated[float, msgspec.Meta(ge=0, le=14 * 86400)] = 0.0


class SceneWish(msgspec.Struct, forbid_unknown_fields=True):
    """Which scene to set up, around which resource."""

    name: str
    resource: str


class Account(Protocol):
    """What can be done with the account as a whole."""

    def reset(self, wish: ResetWish) -> None:
        """Begin anew."""

    def add_hosts(self, hosts: Sequence[LabInstance]) -> dict[str, str]:
        """Create the instances of those lab hosts that have none yet; tell the instance of every lab host, by name."""


class Admin:
    """Answers the requests below ``/crashcart/``: ``METHOD name`` in a table."""

    def __init__(
        self, world: World, injector: Injector, log: RequestLog, account: Account, stage: Stage, stop: Callable[[], None]
    ) -> None:
        self._world, self._injector, self._log, self._account, self._stop = world, injector, log, account, stop
        self._stage = stage
        self._doors: dict[str, Callable[[Query, bytes], Any]] = {
            "GET status": self._status,
            "POST clock": self._advance,
            "GET durations": lambda _query, _body: DURATIONS,
            "POST durations": self._set_durations,
            "GET faults": self._faults,
            "POST faults": self._arm,
            "DELETE faults": self._clear,
            "POST conditions": self._condition,
            "GET requests": self._requests,
            "DELETE requests": self._forget,
            "POST reset": self._begin_anew,
            "POST hosts": self._add_hosts,
            "POST scenes": self._play,
            "POST shutdown": self._shut_down,
        }

    def answer(self, environ: dict[str, Any]) -> Reply:
        """Answer one request; a wrong one gets status 400 with ``error`` and ``hint``."""
        name = environ["PATH_INFO"].removeprefix(PREFIX).strip("/")
        door = self._doors.get(f"{environ['REQUEST_METHOD']} {name}")
        if door is None:
            return json_reply(
                {"error": f"there is no {environ['REQUEST_METHOD']} {name}", "hint": ", ".join(self._doors)}, 404
            )
        query = {key: values[-1] for key, values in parse_qs(environ.get("QUERY_STRING", "")).items()}
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        try:
            return json_reply(door(query, body))
        except BadInput as error:
            return json_reply({"error": error.message, "hint": error.hint}, 400)
        except (msgspec.MsgspecError, ValueError) as error:
            return json_reply({"error": str(error), "hint": ""}, 400)

    def _status(self, _query: Query, _body: bytes) -> Any:
        requests = self._log.all()
        return {
            "pid": os.getpid(),
            "now": self._world.now(),
            "requests": len(requests),
            "writes": sum(request.writes for request in requests),
            "faults": len(self._injector.armed()) + len(self._world.standing()),
        }

    def _advance(self, query: Query, _body: bytes) -> Any:
        seconds = float(query.get("advance", "0"))
        if not 0 <= seconds <= 366 * 86400:
            raise BadInput(f"advance: expected 0 or more seconds, got {seconds:g}")
        with self._world.lock:
            self._world.advance(seconds)
            return {"now": self._world.now()}

    def _set_durations(self, _query: Query, body: bytes) -> Any:
        with self._world.lock:
            self._world.set_durations(from_json(body, dict[str, float]))
            return self._world.durations

    def _faults(self, _query: Query, _body: bytes) -> Any:
        with self._world.lock:
            return {"armed": self._injector.armed(), "conditions": self._world.standing()}

    def _arm(self, _query: Query, body: bytes) -> Any:
        with self._world.lock:
            return self._injector.arm(from_json(body, Wanted))

    def _clear(self, _query: Query, _body: bytes) -> Any:
        with self._world.lock:
            self._injector.clear()
        return {}

    def _condition(self, _query: Query, body: bytes) -> Any:
        condition = from_json(body, Condition)
        with self._world.lock:
            self._world.set_condition(condition)
        return condition

    def _requests(self, _query: Query, _body: bytes) -> Any:
        return self._log.all()

    def _forget(self, _query: Query, _body: bytes) -> Any:
        self._log.clear()
        return {}

    def _begin_anew(self, _query: Query, body: bytes) -> Any:
        wish = from_json(body or b"{}", ResetWish)
        for part in wish.seed:
            if part not in PARTS:
                raise BadInput(f"there is no part {part!r} of the account", hint=", ".join(PARTS))
        self._account.reset(wish)
        return {}

    def _add_hosts(self, _query: Query, body: bytes) -> Any:
        return self._account.add_hosts(from_json(body or b"[]", tuple[LabInstance, ...]))

    def _play(self, _query: Query, body: bytes) -> Any:
        wanted = from_json(body, SceneWish)
        with self._world.lock:
            self._stage.play(wanted.name, wanted.resource)
        return {}

    def _shut_down(self, _query: Query, _body: bytes) -> Any:
        self._stop()
        return {"pid": os.getpid()}
