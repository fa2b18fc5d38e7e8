"""The real command line over the emulator without start-up costs: runs in this process, and in forks of it that are killed.

Everything is real but time: the playbooks as shipped, Invoke, the journal, boto3, HTTP, the emulator's process. A fork is a
process of its own that dies of SIGKILL, with everything imported and every client made by its parent already.
"""

from __future__ import annotations

import io
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any

import botocore.endpoint
import msgspec
import pytest
import yaml

from crashcart.cli import house, namespace
from crashcart.cli.program import main
from crashcart.clock import Clock
from crashcart.events import Acted, AnyEvent
from crashcart.facts import autoscaling_activities, elasticache, elasticache_events, elasticache_lag, rds_events, rds_lag
from crashcart.journal.folder import RunFolder
from crashcart.lab.aws.account import REGION, RESOURCES
from crashcart.lab.aws.compute_seed import LabInstance
from crashcart.lab.aws.faults import AWS_FAULTS
from crashcart.targets import Target
from crashcart.transports import aws
from crashcart.transports.aws import AwsConnector
from crashcart.transports.aws_check import AwsAccess, cloud_access
from crashcart.transports.aws_sessions import Limits
from tests.aws.commandline import isolate, keys
from tests.emulator import Emulator, EmulatorClock

WRITE_TIME = 1.0
"""Seconds that a write's answer is waited for here; a false alarm would only make a write doubtful."""

FACTS: tuple[Any, ...] = (autoscaling_activities, elasticache, elasticache_events, elasticache_lag, rds_events, rds_lag)
"""What takes the age of an event from the machine's clock; here, from the lab's."""

SERVICES = ("rds", "elasticache", "autoscaling", "elbv2", "ec2", "cloudwatch")
NOT_KILLED = 77


class RigClock(EmulatorClock):
    """The lab's time: waiting moves it, and so does whoever else asks the emulator to."""

    def __init__(self, emulator: Emulator) -> None:
        super().__init__(emulator)
        self._ahead = 0.0
        self._since = 0.0

    def now(self) -> datetime:
        """Return the lab's time as far as this process knows it."""
        return datetime.fromtimestamp(self.time(), UTC)

    def time(self) -> float:
        """Return the lab's time in seconds since the epoch."""
        return time.time() + self._ahead + self.monotonic() - self._since

    def set(self, now: datetime) -> None:
        """Take over the emulator's time."""
        self._ahead, self._since = now.timestamp() - time.time(), self.monotonic()


class Lent:
    """A connector that outlives the runs which use it."""

    def __init__(self, connector: AwsConnector) -> None:
        self._connector = connector

    def __call__(self, target: Target) -> Any:
        return self._connector(target)

    def open(self, access: AwsAccess, resource: str = "") -> Any:
        return self._connector.open(access, resource)

    def close(self) -> None:
        """Keep it."""


class Said(msgspec.Struct, frozen=True):
    """What a command came to: its exit code, what it printed, and the target's outcome."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The document of ``--output json``."""
        return json.loads(self.out)

    @property
    def outcome(self) -> str:
        """The outcome of the one target."""
        return str(self.document["targets"][0]["outcome"])

    @property
    def message(self) -> str:
        """What was said of the one target, and of each of its steps."""
        found = self.document["targets"][0]
        steps = [f"{step['phase']} {step['name']}: {step['outcome']}: {step['message']}" for step in found["steps"]]
        return "\n".join([f"{self.code} {found['outcome']}: {found['message']} {found['hint']}", *steps])


Deadly = Callable[[AnyEvent, int], bool]
"""Tells from an event, before it is written, and its number from 1, whether the process dies now."""


def at_the_answer(event: AnyEvent, number: int) -> bool:
    """Die when the first act's answer is there and not yet in the journal: nobody will ever know of it."""
    return isinstance(event, Acted)


def after(events: int) -> Deadly:
    """Die right after so many events are written."""
    return lambda event, number: number == events + 1


class Rig:
    """Runs commands over one emulator, in a folder of its own."""

    def __init__(self, emulator: Emulator, folder: Path) -> None:
        self.emulator, self._folder = emulator, folder
        self.clock = RigClock(emulator)
        # What the commands are does not change from one to the next, and making them costs as much as some runs.
        self._build_namespace = cache(namespace.build_namespace)
        self._patch = pytest.MonkeyPatch()
        self._here, self._for_forks = self._connector(), self._connector()
        self._states = 0

    def furnish(self, patch: pytest.MonkeyPatch) -> None:
        """Make this process one whose commands use the rig, for the time of a test."""
        self._patch, folder = patch, self._folder
        isolate(patch, folder)
        self.write_inventory({kind: {name: {} for name in names} for kind, names in RESOURCES.items()})
        patch.setenv("CRASHCART_INVENTORY", str(folder / "hosts.yml"))
        patch.setenv("NO_COLOR", "1")
        patch.chdir(folder)
        patch.setattr(house, "SystemClock", self._system_clock)
        patch.setattr(namespace, "build_namespace", self._build_namespace)
        patch.setattr(aws, "AwsConnector", self._lend)
        # botocore would really wait between the retries of a read.
        patch.setattr(botocore.endpoint, "time", SimpleNamespace(sleep=self._sleep, time=time.time))
        for module in FACTS:
            patch.setattr(module, "time", SimpleNamespace(time=self.clock.time))

    def close(self) -> None:
        """Close the connections."""
        self._here.close()
        self._for_forks.close()

    def begin(self, parts: str | Sequence[str], arrange: Callable[[Rig], object]) -> None:
        """Begin anew: a fresh account with some parts, arranged, and a fresh state folder; nothing is logged of it."""
        wanted = (parts,) if isinstance(parts, str) else parts
        hosts = [LabInstance(name, f"tcp://{self.emulator.url.rpartition('/')[2]}") for name in ("h1", "h2")]
        self.emulator.reset(*wanted, hosts=hosts if "compute" in wanted else ())
        self.emulator.advance(60)
        arrange(self)
        self._states += 1
        self._patch.setenv("CRASHCART_STATE", str(self._folder / f"state{self._states}"))
        self.emulator.forget_requests()
        self.look_at_the_clock()

    def write_inventory(self, targets: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
        """Write which targets there are: names by kind, each with the variables of its own."""
        groups = {kind: {"vars": {"kind": kind}, "hosts": dict(hosts)} for kind, hosts in targets.items()}
        (self._folder / "hosts.yml").write_text(yaml.safe_dump({"all": {"vars": self._variables(), "children": groups}}))

    def look_at_the_clock(self) -> None:
        """Take over the emulator's time."""
        self.clock.set(self.emulator.now())

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.emulator.advance(seconds)
        self.look_at_the_clock()

    def scene(self, name: str, resource: str) -> None:
        """Set one of the lab's scenes up."""
        self.emulator._lab.admin("POST", "scenes", {"name": name, "resource": resource})

    def effective(self) -> list[str]:
        """Return the writes that took effect, by the emulator's log, whatever was answered."""
        return [one["action"] for one in self.emulator.writes() if one["status"] == 200 or _is_done(one["fault"])]

    def run(self, *words: str) -> Said:
        """Run a command to its end, in this process."""
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2))
        with self._arguments(words), redirect_stdout(out), redirect_stderr(err):
            code = _exit_code()
        return Said(code, _printed(out), _printed(err))

    def killed(self, dies: Deadly, *words: str) -> bool:
        """Run a command in a process that is killed (SIGKILL) when an event says so; False: it came to its end before."""
        child = os.fork()
        if child == 0:
            self._live_and_die(dies, words)
        _, status = os.waitpid(child, 0)
        self.look_at_the_clock()
        if os.WIFSIGNALED(status):
            assert os.WTERMSIG(status) == signal.SIGKILL
            return True
        assert os.WEXITSTATUS(status) == NOT_KILLED, (self._folder / "child.log").read_text()
        return False

    def _live_and_die(self, dies: Deadly, words: Sequence[str]) -> None:
        """Be the child. Never returns: what follows belongs to the parent."""
        try:
            self._here = self._for_forks  # the parent's open connections are not the child's to use
            _kill_when(dies)
            with (self._folder / "child.log").open("w") as log:
                sys.stdout = sys.stderr = log
                with self._arguments(words):
                    _exit_code()
            os._exit(NOT_KILLED)
        finally:
            os._exit(1)

    @contextmanager
    def _arguments(self, words: Sequence[str]) -> Iterator[None]:
        before, sys.argv = sys.argv, ["crashcart", *words]
        try:
            yield
        finally:
            sys.argv = before

    def _system_clock(self) -> Clock:
        return self.clock

    def _sleep(self, seconds: float) -> None:
        self.clock.wait(SimpleQueue(), seconds, busy=False)

    def _lend(self, **given: Any) -> Lent:
        return Lent(self._here)

    def _connector(self) -> AwsConnector:
        """Make a connector with the clients that are needed; no connection is open yet."""
        made = AwsConnector(limits=Limits(write=WRITE_TIME), clock=self.clock)
        access = cloud_access(Target("any", "rds_cluster", self._variables()))
        session = made._sessions.get(access)
        session.authenticate()
        for service in SERVICES:
            for writes in (False, True):
                session.service(service, writes=writes)
        return made

    def _variables(self) -> dict[str, Any]:
        return {"aws_region": REGION, "aws_endpoint_url": self.emulator.url, **keys()}


def _printed(stream: io.TextIOWrapper) -> str:
    stream.flush()
    stream.seek(0)
    return stream.read()


def _is_done(fault: str) -> bool:
    return bool(fault) and AWS_FAULTS[fault].after


def _exit_code() -> int:
    try:
        main()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def _kill_when(dies: Deadly) -> None:
    notice, written = RunFolder.notice, 0

    def counted(folder: RunFolder, event: AnyEvent) -> None:
        nonlocal written
        written += 1
        if dies(event, written):
            os.kill(os.getpid(), signal.SIGKILL)
        notice(folder, event)

    RunFolder.notice = counted  # type: ignore[method-assign, assignment]
