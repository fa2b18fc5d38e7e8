"""``check.all`` on real hosts under real faults: the deciding fact, the command that helps, in half a minute."""

from __future__ import annotations

import hashlib
import json
import shlex
import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from crashcart.lab.containers import find_containers
from crashcart.lab.engine import working_engines
from crashcart.lab.faults import FAULTS
from crashcart.lab.lab import Lab
from tests.lab.hosts import Host, eventually
from tests.lab.test_playbooks import CHECKOUT, Runs

pytestmark = pytest.mark.lab

LIMIT = 30.0
RECENT = ("--recent", "1s")
"""So that what other tests did to the same hosts just before does not count."""

VERIFY = ("verify.endpoint", "--hosts", "lab1", "--samples", "10", "--pause", "0")


@pytest.fixture
def runs(lab: Lab, tmp_path: Path) -> Runs:
    return Runs(tmp_path / "state")


@pytest.fixture
def mended(hosts: dict[str, Host]) -> Iterator[dict[str, Host]]:
    """The hosts, well before and after."""
    for host in hosts.values():
        _mend(host)
    yield hosts
    for host in hosts.values():
        _mend(host)


def _mend(host: Host) -> None:
    for fault in ("disk.full", "service.crash"):
        host.run(*FAULTS[fault].restore)


def by_name(document: Any) -> dict[str, Any]:
    return {target["name"]: target for target in document["targets"]}


def verdicts(document: Any) -> dict[str, str]:
    return {target["name"]: target["verdict"] for target in document["targets"]}


def test_a_healthy_lab_is_healthy_with_a_handful_of_looks(runs: Runs, mended: dict[str, Host]) -> None:
    code, document = runs("check.all", "--hosts", "lab", *RECENT)
    assert verdicts(document) == dict.fromkeys(mended, "healthy"), document
    assert code == 0
    steps = [step["operation"] for step in by_name(document)["lab1"]["steps"] if step["outcome"] != "skipped"]
    assert steps == ["host.assess", "systemd.assess", "logs.assess"]  # an exec each


def test_each_fault_is_named_with_the_command_that_mends_it(runs: Runs, mended: dict[str, Host]) -> None:
    for host, fault in (("lab1", "disk.full"), ("lab2", "service.crash"), ("lab3", "service.hang")):
        mended[host].run(*FAULTS[fault].inject)
    code, document = runs("check.all", "--hosts", "lab", *RECENT)
    found = by_name(document)
    assert (code, verdicts(document)) == (1, dict.fromkeys(mended, "down"))
    assert found["lab1"]["message"].startswith("/var: 100 % full")
    assert found["lab1"]["hint"] == "inv recover.disk-space --path /var --hosts lab1"
    assert "api.service is failed (signal, killed by signal 9) since" in found["lab2"]["message"]
    assert found["lab2"]["hint"] == "inv recover.service-restart --unit api.service --hosts lab2"
    assert "/health no answer" in found["lab3"]["message"]
    assert found["lab3"]["hint"] == "inv recover.service-restart --unit api.service --hosts lab3"
    for target in found.values():
        code, planned = runs(*shlex.split(target["hint"])[1:], "--check")
        assert (code, planned["targets"][0]["outcome"]) == (0, "would_change"), target["hint"]


def test_a_stopped_service_is_down_and_what_changed_is_told(runs: Runs, mended: dict[str, Host]) -> None:
    host = mended["lab1"]
    host.say("sudo touch /etc/api.conf && sudo systemctl stop api")
    try:
        code, document = runs("check.all", "--hosts", "lab1", *RECENT)
    finally:
        host.say("sudo rm /etc/api.conf && sudo systemctl start api")
    (target,) = document["targets"]
    assert (code, target["verdict"]) == (1, "down")
    assert target["message"].startswith("api.service is stopped")
    told = [line for step in target["steps"] for kept in step["evidence"] for line in kept["lines"]]
    assert any(line.endswith("file /etc/api.conf") for line in told), told


def test_what_the_host_depends_on_is_tried_from_there(runs: Runs, mended: dict[str, Host]) -> None:
    wanted = "127.0.0.1:8000,127.0.0.1:9,nosuch.invalid:5432"
    code, document = runs("check.network", "--hosts", "lab1", "--dependencies", wanted)
    (target,) = document["targets"]
    assert (code, target["verdict"]) == (1, "degraded")
    assert target["message"] == "does not reach 127.0.0.1:9 (connection refused)"
    lines = [line for kept in target["steps"][0]["evidence"] for line in kept["lines"]]
    assert "does not reach nosuch.invalid:5432 (the name does not resolve)" in lines
    assert "127.0.0.1:8000 127.0.0.1 reached" in lines


def test_a_huge_hostile_log_is_read_at_its_end_only(runs: Runs, mended: dict[str, Host]) -> None:
    """A gigabyte (of holes), bytes that are no text, names that a shell would run, on a disk without a free byte."""
    host, log = mended["lab1"], "/run/app $(touch pwned)\u00e9.log"
    quoted = shlex.quote(log)
    line = r"2\377 ERROR user=bob@example.com password=hunter2 id 4711 \033[31m"
    host.say(f"sudo truncate -s 1G {quoted}; for n in 1 2 3; do printf '{line}\\n'; done | sudo tee -a {quoted} >/dev/null")
    host.run(*FAULTS["disk.full"].inject)
    began = time.monotonic()
    try:
        code, document = runs("check.logs", "--hosts", "lab1", "--path", log, "--degraded-from", "3")
    finally:
        host.say(f"sudo rm -f {quoted}")
    (target,) = document["targets"]
    assert (code, target["verdict"]) == (1, "degraded"), target
    assert "3 times" in target["message"]
    assert "hunter2" not in str(document)
    assert "bob@" not in str(document)
    assert time.monotonic() - began < LIMIT


def test_an_endpoint_is_verified_by_percentiles(runs: Runs, mended: dict[str, Host]) -> None:
    code, document = runs(*VERIFY, "--p99", "5s", "--p95", "5s", "--p50", "5s")
    assert code == 0, document
    assert "10 requests: p50" in document["targets"][0]["message"]
    code, document = runs(*VERIFY, "--p50", "0.001ms")
    assert (code, document["targets"][0]["verdict"]) == (1, "degraded")
    assert "p50" in document["targets"][0]["message"]


def test_a_soak_ends_well_or_at_the_first_restart(runs: Runs, mended: dict[str, Host]) -> None:
    process = runs.start("verify.soak", "--hosts", "lab1", "--during", "1m", "--every", "1s")
    assert eventually(lambda: runs.has_begun("step.pinned"))
    mended["lab1"].say("sudo systemctl restart api")
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "started anew meanwhile" in out
    code, document = runs("verify.soak", "--hosts", "lab1", "--during", "2s", "--every", "1s")
    assert (code, document["targets"][0]["verdict"]) == (0, "healthy"), document


def test_a_host_that_hangs_is_unknown_in_time(runs: Runs, lab: Lab, mended: dict[str, Host]) -> None:
    began = time.monotonic()
    with frozen(lab, "lab2"):
        code, document = runs("check.all", "--hosts", "lab", *RECENT)
        took = time.monotonic() - began
    assert verdicts(document) == {"lab1": "healthy", "lab2": "unknown", "lab3": "healthy"}, document
    assert (code, by_name(document)["lab2"]["outcome"]) == (4, "unreachable")
    assert took < LIMIT


def test_many_hosts_that_say_nothing_hide_nobody(runs: Runs, mended: dict[str, Host], tmp_path: Path) -> None:
    """60 hosts accept connections and never answer; the one behind them, whose service is stopped, is looked at in time."""
    with closing(socket.create_server(("127.0.0.1", 0), backlog=256)) as silent:
        port = silent.getsockname()[1]
        hosts = {f"mute{n}": {"ansible_host": "127.0.0.1", "ansible_port": port} for n in range(1, 61)}
        extra = tmp_path / "silent.json"
        extra.write_text(json.dumps({"lab": {"hosts": hosts}}))
        mended["lab1"].say("sudo systemctl stop api")
        began = time.monotonic()
        try:
            inventory = ("--inventory", f"{extra},{CHECKOUT / 'inventories'}")
            code, document = runs("check.all", "--hosts", "mute*,lab1", *RECENT, *inventory)
        finally:
            mended["lab1"].say("sudo systemctl start api")
    assert (code, time.monotonic() - began < LIMIT) == (1, True)
    assert [target["name"] for target in document["targets"]][-1] == "lab1"
    assert verdicts(document) == {**dict.fromkeys(hosts, "unknown"), "lab1": "down"}
    assert {by_name(document)[name]["outcome"] for name in hosts} == {"unreachable"}


@contextmanager
def frozen(lab: Lab, name: str) -> Iterator[None]:
    """Let a host fall silent: its kernel still accepts connections, and no process of it runs."""
    (engine,) = working_engines()[:1]
    (container,) = (one for one in find_containers(engine, lab.folder) if one.host == name)
    engine.ask("pause", container.id)
    try:
        yield
    finally:
        engine.ask("unpause", container.id)


def test_a_declared_script_is_run_as_it_was_declared_or_not_at_all(
    runs: Runs, mended: dict[str, Host], tmp_path: Path
) -> None:
    host, script = mended["lab1"], "/usr/local/bin/smoke test"
    text = "#!/bin/sh\nid -un; echo 'checkout: HTTP 500'; exit 2\n"
    place, quoted = shlex.quote(script), shlex.quote(text)
    host.say(f"printf %s {quoted} | sudo tee {place} >/dev/null; sudo chmod 755 {place}")
    declared = [{"path": script, "sha256": hashlib.sha256(text.encode()).hexdigest()}]
    extra = tmp_path / "zz-scripts.json"
    extra.write_text(json.dumps({"all": {"hosts": {"lab1": {"check_scripts": declared, "deploy_dir": "/srv/api"}}}}))
    inventory = ("--inventory", f"{CHECKOUT / 'inventories'},{extra}")
    host.say("sudo mkdir -p /srv/releases/42 && sudo ln -sfn /srv/releases/42 /srv/api")
    try:
        code, document = runs("check.all", "--hosts", "lab1", *RECENT, *inventory)
        host.say(f"echo '# changed' | sudo tee -a {place} >/dev/null")
        _, changed = runs("check.script", "--hosts", "lab1", *inventory)
    finally:
        host.say(f"sudo rm -rf {place} /srv/api /srv/releases")
    (target,), (other,) = document["targets"], changed["targets"]
    assert (code, target["verdict"]) == (1, "degraded"), target
    assert target["message"] == f"{script} failed with exit status 2: checkout: HTTP 500"
    steps = {step["operation"]: step for step in target["steps"]}
    assert f"{script}: nobody" in steps["script.assess"]["evidence"][0]["lines"]
    assert "/srv/api was changed within 60 min: " in steps["deploy.assess"]["message"]
    assert "linked by root to /srv/releases/42" in steps["deploy.assess"]["message"]
    assert (other["outcome"], other["verdict"]) == ("failed", "unknown")
    assert "not the declared one" in other["message"]
