"""The shipped playbooks on real hosts, through the real ``inv``: run, run again, break in the middle, resume."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from crashcart.lab.lab import Lab
from tests.lab.hosts import Host, eventually

pytestmark = pytest.mark.lab

CHECKOUT = Path(__file__).resolve().parents[2]
INV = Path(sys.executable).with_name("inv")


class Runs:
    """Runs ``inv`` on the suite's lab, with a state folder of its own."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.environment = {**os.environ, "CRASHCART_STATE": str(state)}

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [INV, *words],
            cwd=CHECKOUT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *words: str) -> tuple[int, Any]:
        process = self.start(*words, "--output", "json")
        out, err = process.communicate(timeout=300)
        assert out, err
        return process.returncode, json.loads(out)

    def journal(self) -> list[dict[str, Any]]:
        """The events of the newest run, without a line that is being written."""
        paths = sorted(self.state.glob("runs/[0-9]*/events.jsonl"))
        lines = paths[-1].read_text().split("\n")[:-1] if paths else []
        return [json.loads(line) for line in lines]

    def has_begun(self, event: str) -> bool:
        return any(line["event"] == event for line in self.journal())


@pytest.fixture
def runs(lab: Lab, tmp_path: Path) -> Runs:
    return Runs(tmp_path / "state")


def outcomes(document: Any) -> dict[str, str]:
    return {target["name"]: target["outcome"] for target in document["targets"]}


def everywhere(outcome: str) -> dict[str, str]:
    return dict.fromkeys(("lab1", "lab2", "lab3"), outcome)


def invocation(host: Host) -> str:
    return host.say("systemctl show -p InvocationID --value api.service")


def starts(host: Host) -> int:
    """How often systemd has started the unit, by its own journal."""
    text = host.say("sudo journalctl -u api.service -o cat --no-pager | grep -c '^Started ' || true")
    return int(text)


def test_ping_says_who_we_are(runs: Runs) -> None:
    code, document = runs("inventory.ping", "--hosts", "lab")
    assert (code, outcomes(document)) == (0, everywhere("ok"))
    assert "as root" in document["targets"][0]["message"]


def test_a_healthy_service_is_left_alone(runs: Runs, hosts: dict[str, Host]) -> None:
    before = {name: invocation(host) for name, host in hosts.items()}
    code, document = runs("recover.service-restart", "--hosts", "lab")
    assert (code, outcomes(document)) == (0, everywhere("ok"))
    assert "active since" in document["targets"][0]["message"]
    assert {name: invocation(host) for name, host in hosts.items()} == before


def test_force_restarts_each_host_once_in_batches(runs: Runs, hosts: dict[str, Host]) -> None:
    before = {name: starts(host) for name, host in hosts.items()}
    code, document = runs("recover.service-restart", "--hosts", "lab", "--no-drain", "--force", "--settle", "1s")
    assert (code, outcomes(document)) == (0, everywhere("changed"))
    assert {name: starts(host) for name, host in hosts.items()} == {name: count + 1 for name, count in before.items()}
    batches = [line["targets"] for line in runs.journal() if line["event"] == "batch.started"]
    assert batches == [["lab1"], ["lab2"], ["lab3"]]


def test_since_is_the_idempotent_force(runs: Runs) -> None:
    since = subprocess.run(["date", "-u", "+%Y-%m-%dT%H:%M:%SZ"], capture_output=True, text=True, check=True).stdout.strip()
    words = ("recover.service-restart", "--hosts", "lab", "--no-drain", "--since", since, "--settle", "1s")
    assert outcomes(runs(*words)[1]) == everywhere("changed")
    assert outcomes(runs(*words)[1]) == everywhere("ok")


def test_check_mode_changes_nothing(runs: Runs, hosts: dict[str, Host]) -> None:
    before = {name: invocation(host) for name, host in hosts.items()}
    code, document = runs("recover.service-restart", "--hosts", "lab", "--force", "--check")
    assert (code, outcomes(document)) == (0, everywhere("would_change"))
    assert {name: invocation(host) for name, host in hosts.items()} == before


@pytest.mark.parametrize("unit", ["no-such-thing", "masked"])
def test_a_unit_that_cannot_be_restarted_is_refused(runs: Runs, hosts: dict[str, Host], unit: str) -> None:
    hosts["lab1"].say("sudo ln -sf /dev/null /etc/systemd/system/masked.service; sudo systemctl daemon-reload")
    code, document = runs("recover.service-restart", "--hosts", "lab1", "--unit", unit, "--health-url", "")
    assert (code, outcomes(document)) == (3, {"lab1": "refused"}), document
    assert unit in document["targets"][0]["message"]


def test_killed_in_the_middle_and_resumed_each_host_restarts_once(runs: Runs, hosts: dict[str, Host]) -> None:
    before = {name: starts(host) for name, host in hosts.items()}
    process = runs.start("recover.service-restart", "--hosts", "lab", "--no-drain", "--force", "--settle", "1s")
    eventually(lambda: runs.has_begun("act.intended"))
    process.kill()
    process.communicate()
    assert runs("runs.verify", "last")[0] == 5
    code, document = runs("runs.resume", "last")
    assert (code, outcomes(document)) == (0, everywhere("changed"))
    assert {name: starts(host) for name, host in hosts.items()} == {name: count + 1 for name, count in before.items()}
    assert runs("runs.verify", "last")[0] == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_runs_end_with_a_whole_journal(runs: Runs, number: signal.Signals) -> None:
    process = runs.start("recover.service-restart", "--hosts", "lab", "--no-drain", "--force", "--settle", "1m")
    eventually(lambda: runs.has_begun("act.intended"))
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert runs("runs.verify", "last")[0] == 0
    assert runs.journal()[-1]["status"] == "interrupted"


def test_resuming_a_finished_run_changes_nothing(runs: Runs, hosts: dict[str, Host]) -> None:
    runs("recover.service-restart", "--hosts", "lab1", "--no-drain", "--force", "--settle", "1s")
    before = invocation(hosts["lab1"])
    assert runs("runs.resume", "last")[0] == 0
    assert invocation(hosts["lab1"]) == before


def test_a_host_behind_a_jump_host(runs: Runs, lab: Lab, hosts: dict[str, Host], tmp_path: Path) -> None:
    """Through lab1 to what lab1 calls 127.0.0.1:22; nothing listens there on this side."""
    login = hosts["lab1"].variables
    known = tmp_path / "known_hosts"
    outer = f"[127.0.0.1]:{login['ansible_port']} "
    keys = [line for line in Path(lab.folder.known_hosts).read_text().splitlines() if line.startswith(outer)]
    known.write_text("".join(f"{line}\n127.0.0.1 {line.removeprefix(outer)}\n" for line in keys))
    jump = f"-o UserKnownHostsFile={known} -o ProxyJump={login['ansible_user']}@127.0.0.1:{login['ansible_port']}"
    variables = {**login, "ansible_port": 22, "ansible_ssh_common_args": jump}
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(json.dumps({"all": {"hosts": {"inner": variables}}}))
    code, document = runs("inventory.ping", "--hosts", "inner", "--inventory", str(inventory))
    assert (code, outcomes(document)) == (0, {"inner": "ok"}), document


@pytest.mark.parametrize("drill", ["drill.service-restart", "drill.disk-space", "drill.service-limits"])
def test_drills_pass(runs: Runs, drill: str) -> None:
    code, document = runs(drill, "--hosts", "lab")
    problems = {variant["variant"]: variant["problems"] for variant in document["drill"]["variants"]}
    assert code == 0, problems
    assert all(variant["passed"] for variant in document["drill"]["variants"])


def test_every_recovery_has_a_drill_of_the_same_name() -> None:
    recoveries = {path.stem for path in (CHECKOUT / "playbooks/recover").glob("*.yml")}
    assert recoveries <= {path.stem for path in (CHECKOUT / "playbooks/drill").glob("*.yml")}
