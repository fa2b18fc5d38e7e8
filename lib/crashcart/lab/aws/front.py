"""The WSGI application: the emulator's own API below ``/crashcart/``, and AWS's everywhere else.

Why in front of moto, and why actions are changed inside it: what happens on the wire (faults, lost answers, the log) has to
be seen by one place whatever the service, and must also work for calls that moto refuses. What a call means belongs to its
service: a subclass of moto's response class, registered in its ``url_paths``, gets parsed parameters and moto's state, and
its answer is serialised from botocore's own model.
"""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from crashcart.errors import nearest
from crashcart.lab.aws.admin import PREFIX, Admin
from crashcart.lab.aws.calls import Call, read_call
from crashcart.lab.aws.injector import Dropped, Injector
from crashcart.lab.aws.replies import App, Reply, capture, lab_error
from crashcart.lab.aws.requestlog import RequestLog
from crashcart.lab.aws.seed import SEEDER
from crashcart.lab.aws.trail import note_call
from crashcart.lab.aws.world import World
from crashcart.transports.aws_check import known_regions

SHOWN = 300
"""Characters that are shown of an error inside the emulator; all of it is in its log."""


class Front:
    """Answers every request of the emulator. ``own`` are the services that moto does not have at all, by name."""

    def __init__(
        self, moto: App, world: World, injector: Injector, log: RequestLog, admin: Admin, own: Mapping[str, App]
    ) -> None:
        self._own, self._regions = own, frozenset(known_regions())
        self._moto, self._world, self._injector, self._log, self._admin = moto, world, injector, log, admin

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        """Answer one request. Raises ``Dropped`` when the connection was closed on purpose."""
        if environ.get("PATH_INFO", "").startswith(PREFIX):
            return self._admin.answer(environ).send(start_response)
        call = read_call(environ)
        if SEEDER in call.agent:
            return self._ask(call, environ).send(start_response)
        try:
            return self._observed(call, environ).send(start_response)
        except Dropped as dropped:
            dropped.hang_up()
            raise

    def _observed(self, call: Call, environ: dict[str, Any]) -> Reply:
        started, status, fault = time.perf_counter(), 0, ""
        try:
            reply, fault = self._injector.carry(call, environ, lambda: self._ask(call, environ))
            status = reply.status
            return reply
        except Dropped as dropped:
            fault = dropped.fault
            raise
        finally:
            took = (time.perf_counter() - started) * 1000
            self._log.note(call, self._world.now(), status, fault, took)

    def _ask(self, call: Call, environ: dict[str, Any]) -> Reply:
        """Ask moto, one call at a time, after everything that is due has happened. Its own troubles are the lab's."""
        if call.region and call.region not in self._regions:
            hint = nearest(call.region, self._regions)
            return lab_error(call, f"there is no region {call.region!r}{f'; {hint}' if hint else ''}")
        with self._world.lock:
            try:
                self._world.settle()
                reply = capture(self._own.get(call.service, self._moto), environ)
                note_call(self._world, call, reply.status)
            except NotImplementedError:
                return lab_error(call, "is not emulated")
            except Exception as error:  # noqa: BLE001 -- whatever it is, it must not look like AWS's
                traceback.print_exc(file=sys.stderr)
                return lab_error(call, f"failed inside the emulator: {type(error).__name__}: {str(error)[:SHOWN]}")
        kind = next((value for name, value in reply.headers if name.lower() == "content-type"), "")
        if reply.status >= 400 and kind.startswith("text/html"):
            return lab_error(call, f"is not emulated (moto answered {reply.status} with a page)")
        return reply
