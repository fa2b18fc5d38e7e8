"""The crash sweep: the controller, a real process, is killed at every journal event of every recovery of hosts, and resumed.

After each: the host is well, what happens once happened once, and the journal is whole.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from queue import Queue
from typing import Any

import msgspec
import pytest

from crashcart.journal.recall import verify
from crashcart.lab.faults import CANARY, FAULTS
from crashcart.lab.lab import Lab
from crashcart.playbooks.library import Library
from crashcart.playbooks.schema import Playbook
from tests.lab.hosts import Host

pytestmark = pytest.mark.lab

CHECKOUT = Path(__file__).resolve().parents[2]
INV = Path(sys.executable).with_name("inv")
MOST_EVENTS = 60


class Sweep(msgspec.Struct, frozen=True):
    """How one recovery is broken, run and judged. ``once`` counts on the host what may happen once only."""

    fault: str
    words: tuple[str, ...]
    is_well: Callable[[Host], bool]
    once: Callable[[Host], int]
    times: int


def starts(host: Host) -> int:
    """How often systemd has started the unit, by its own journal."""
    return int(host.say("sudo journalctl -u api.service -o cat --no-pager | grep -c '^Started ' || true"))


SWEEPS = {
    "recover.service-restart": Sweep(
        fault="service.crash",
        words=("--settle", "1s"),
        is_well=lambda host: host.health().endswith("200") and host.balanced() == "healthy",
        once=starts,
        times=1,
    ),
    "recover.service-limits": Sweep(
        fault="service.squeezed",
        words=("--memory-max", "192M", "--settle", "1s"),
        is_well=lambda host: (
            host.say("systemctl show --value -p MemoryMax api.service") == str(192 * 1024**2)
            and host.ssh("systemctl is-active crashcart-undo-api.timer").returncode != 0
        ),
        once=starts,
        times=0,
    ),
    "recover.disk-space": Sweep(
        fault="disk.full",
        words=("--path", "/var"),
        is_well=lambda host: host.used() < 80,
        once=lambda host: len(host.run(CANARY)),
        times=0,
    ),
}


def playbooks_of_hosts() -> set[str]:
    library = Library(CHECKOUT / "playbooks")
    found = [library.get(name) for name in library.entries if name.startswith("recover.")]
    return {book.name for book in found if isinstance(book, Playbook) and "linux" in book.kinds}


def run(argv: list[str], state: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "CRASHCART_STATE": str(state), "PYTHONPATH": str(CHECKOUT)}
    return subprocess.run(
        argv,
        cwd=CHECKOUT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def crash_and_resume(sweep: Sweep, playbook: str, host: Host, events: int, state: Path) -> bool:
    """Break a host, kill the recovery after so many events, resume it, and judge. False when it was not killed any more."""
    fault = FAULTS[sweep.fault]
    host.put_back()
    host.run(*fault.inject)
    before, canary = sweep.once(host), host.run(CANARY)
    words = [playbook, "--hosts", host.name, *sweep.words]
    killed = run([sys.executable, "-m", "tests.lab.killed", str(events), *words], state)
    if killed.returncode == 0:
        return False
    assert killed.returncode == -9, killed.stderr
    resumed = run([str(INV), "runs.resume", "last", "--output", "json"], state)
    where = f"{playbook}, killed after event {events}: {resumed.stdout[-2000:]}{resumed.stderr[-2000:]}"
    assert resumed.returncode == 0, where
    assert json.loads(resumed.stdout)["targets"][0]["outcome"] in {"changed", "ok"}, where
    assert sweep.is_well(host), where
    assert sweep.once(host) - before == sweep.times, where
    assert host.run(CANARY) == canary, where
    (journal,) = state.glob("runs/*/events.jsonl")
    assert verify(journal).exit_code == 0, where
    host.run(*fault.restore)
    return True


@pytest.mark.parametrize("playbook", sorted(SWEEPS))
def test_killed_at_every_event_and_resumed(
    playbook: str, lab: Lab, hosts: dict[str, Host], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.aws.admin("POST", "durations", {"elbv2.registration": 0.0, "elbv2.first-checks": 0.0})
    free: Queue[Host] = Queue()
    for host in hosts.values():
        host.say("sudo rm -rf /run/crashcart")
        free.put(host)

    def point(events: int) -> bool:
        host = free.get()
        try:
            return crash_and_resume(SWEEPS[playbook], playbook, host, events, tmp_path / str(events))
        finally:
            free.put(host)

    points = sum(_until_false(point, len(hosts)))
    with capsys.disabled():
        print(f"\n{playbook}: {points} crash points, each resumed")
    assert points > 8


def _until_false(point: Callable[[int], bool], at_once: int) -> Iterator[bool]:
    """Try 2, 3, 4 and so on, so many at a time, up to the first that is past the end.

    The first event is written before the run's folder appears: killed there, there is no run, and nothing was contacted.
    """
    with ThreadPoolExecutor(max_workers=at_once) as pool:
        for begin in count(2, at_once):
            assert begin < MOST_EVENTS, "a run of one host has fewer events than that"
            tried = list(pool.map(point, range(begin, begin + at_once)))
            yield from tried
            if not all(tried):
                return


def test_every_recovery_of_hosts_is_swept() -> None:
    assert set(SWEEPS) == playbooks_of_hosts()


def test_a_killed_controller_leaves_a_run_that_says_so(hosts: dict[str, Host], tmp_path: Path) -> None:
    """Nobody resumes: the journal is unfinished, and the list says so."""
    words = ["recover.service-restart", "--hosts", "lab1", "--check"]
    run([sys.executable, "-m", "tests.lab.killed", "2", *words], tmp_path)
    assert run([str(INV), "runs.verify", "last"], tmp_path).returncode == 5
    listed: dict[str, Any] = json.loads(run([str(INV), "runs.list", "--output", "json"], tmp_path).stdout)
    assert listed["runs"][0]["status"] == "unfinished"
