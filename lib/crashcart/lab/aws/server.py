"""``python -m crashcart.lab.aws.server``: the emulator's process. It listens on the loopback address only."""

from __future__ import annotations

import argparse
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from moto import backends
from moto.moto_api._internal.models import moto_api_backend
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server

from crashcart.decoding import from_json
from crashcart.lab.aws import autoscaling, cloudtrail, cloudwatch, ec2, elasticache, elbv2, health, rds
from crashcart.lab.aws.admin import Admin, ResetWish
from crashcart.lab.aws.compute_seed import LabInstance
from crashcart.lab.aws.front import Front
from crashcart.lab.aws.injector import Injector
from crashcart.lab.aws.requestlog import RequestLog
from crashcart.lab.aws.seed import AGE, Seeder
from crashcart.lab.aws.stage import Stage
from crashcart.lab.aws.whereabouts import ADDRESS, Whereabouts, publish
from crashcart.lab.aws.world import World

SERVICES = (rds, elasticache, autoscaling, elbv2, ec2, cloudwatch, cloudtrail, health)
OWN = {"health": health.answer}
"""Services that moto does not have at all."""


class Handler(MotoRequestHandler):
    """Says nothing, and takes a connection that a fault closed for what it is: closed."""

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 -- the parent's name
        """Write no access log: the emulator keeps its own."""

    def connection_dropped(self, error: BaseException, environ: Any = None) -> None:
        """End this connection."""
        self.close_connection = True


class Emulator:
    """The parts of the emulator, put together."""

    def __init__(self, state: Path, port: int) -> None:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._state = state
        self._world = World()
        for service in SERVICES:
            service.install(self._world)
        _list_modules_once()
        self._injector = Injector(self._world)
        self._log = RequestLog(state / "requests.jsonl")
        self._hosts: tuple[LabInstance, ...] = ()
        self._beginning = threading.Lock()
        admin = Admin(self._world, self._injector, self._log, self, Stage(self._world), self.stop)
        moto = DomainDispatcherApplication(create_backend_app)
        front = Front(moto, self._world, self._injector, self._log, admin, OWN)
        self._server: BaseWSGIServer = make_server(ADDRESS, port, front, threaded=True, request_handler=Handler)
        self._seeder = Seeder(f"http://{ADDRESS}:{self._server.server_port}")

    def serve(self, first: ResetWish) -> None:
        """Begin with an account as wished, say where it is, and serve until it is stopped."""
        serving = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        serving.start()
        try:
            self.reset(first)
            publish(self._state, Whereabouts(os.getpid(), self._server.server_port))
            print("ready", flush=True)  # noqa: T201 -- for whoever waits on stdout
        except BaseException:
            self.stop()
            raise
        serving.join()

    def reset(self, wish: ResetWish) -> None:
        """Begin anew. What is seeded is as old as ``AGE``, so that its transitions lie behind it.

        One at a time: whoever asked for the last one may have been interrupted, and asks again while it goes on.
        """
        with self._beginning:
            with self._world.lock:
                self._injector.reset()
                self._world.reset(behind=AGE + wish.behind)
                moto_api_backend.reset()
            self._hosts = self._hosts if wish.hosts is None else wish.hosts
            self._seeder.seed(wish.seed, self._hosts)
            with self._world.lock:
                self._world.advance(AGE)
                self._log.clear()

    def add_hosts(self, hosts: Sequence[LabInstance]) -> dict[str, str]:
        """Create the instances of those lab hosts that have none yet; tell the instance of every lab host, by name."""
        known = {host.name for host in self._hosts}
        self._hosts += tuple(host for host in hosts if host.name not in known)
        return self._seeder.add_hosts(hosts)

    def stop(self) -> None:
        """Let ``serve`` return."""
        self._injector.clear()
        threading.Thread(target=self._server.shutdown, daemon=True).start()


def _list_modules_once() -> None:
    """Moto looks through its own folders at every request: a tenth of the time."""
    modules = tuple(backends.list_of_moto_modules())
    backends.list_of_moto_modules = lambda: modules


def main() -> int:
    """Run the emulator until it is told to stop, or until stdin closes where ``--with-stdin`` says so."""
    parser = argparse.ArgumentParser(prog="crashcart.lab.aws.server")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--first", default="{}", help="what to begin with, as JSON: seed, hosts")
    parser.add_argument("--with-stdin", action="store_true", help="end when stdin closes")
    given = parser.parse_args()
    emulator = Emulator(given.state, given.port)
    if given.with_stdin:
        threading.Thread(target=_wait_for_the_end, args=(emulator,), daemon=True).start()
    emulator.serve(from_json(given.first, ResetWish))
    return 0


def _wait_for_the_end(emulator: Emulator) -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    emulator.stop()


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # An interpreter that takes moto's modules apart takes a second, and there is nothing to save.
    os._exit(code)
