"""The guards on real hosts, through the real ``inv``: capacity, freeze, budget, protected groups, soak, two laptops."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from crashcart.facts import restarts
from crashcart.lab.lab import Lab
from crashcart.safety.lease import Lease, leased
from crashcart.transports.base import Command
from tests.lab.hosts import Host

pytestmark = pytest.mark.lab

CHECKOUT = Path(__file__).resolve().parents[2]
INV = Path(sys.executable).with_name("inv")

RESTART = ("recover.service-restart", "--settle", "1s", "--no-drain")


class Site:
    """``inv`` with an inventory of its own: the lab's hosts, with more variables."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self._lab, self._folder = lab, folder

    def __call__(self, *words: str, state: str = "state", **variables: Any) -> tuple[int, Any]:
        inventory = yaml.safe_load(Path(self._lab.folder.inventory).read_text())
        inventory["all"]["children"]["lab"]["vars"] |= variables
        path = self._folder / "hosts.yml"
        path.write_text(json.dumps(inventory))
        own = {"CRASHCART_STATE": str(self._folder / state), "CRASHCART_INVENTORY": str(path)}
        ended = subprocess.run(
            [INV, *words, "--output", "json"],
            cwd=CHECKOUT,
            env={**os.environ, **own},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert ended.stdout, ended.stderr
        return ended.returncode, json.loads(ended.stdout)

    def journal(self) -> list[dict[str, Any]]:
        path = max((self._folder / "state").glob("runs/[0-9]*/events.jsonl"))
        return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def site(lab: Lab, hosts: dict[str, Host], tmp_path: Path) -> Site:
    for host in hosts.values():
        host.say("sudo rm -rf /run/crashcart; sudo systemctl reset-failed api.service; sudo systemctl start api.service")
    return Site(lab, tmp_path)


def outcomes(document: Any) -> dict[str, str]:
    return {target["name"]: target["outcome"] for target in document["targets"]}


def message(document: Any, name: str) -> str:
    return next(str(target["message"]) for target in document["targets"] if target["name"] == name)


def stop(host: Host) -> None:
    host.say("sudo systemctl stop api.service")


def test_a_peer_that_is_down_counts_though_nobody_selected_it(site: Site, hosts: dict[str, Host]) -> None:
    stop(hosts["lab2"])
    code, document = site(*RESTART, "--hosts", "lab1", "--force")
    assert (code, outcomes(document)) == (3, {"lab1": "refused"})
    assert "lab2" in message(document, "lab1"), "it says who is down"
    assert outcomes(site(*RESTART, "--hosts", "lab2")[1]) == {"lab2": "changed"}, "repairing is never forbidden"
    assert outcomes(site(*RESTART, "--hosts", "lab1", "--force")[1]) == {"lab1": "changed"}


def test_a_fleet_that_is_down_is_repaired(site: Site, hosts: dict[str, Host]) -> None:
    for host in hosts.values():
        stop(host)
    code, document = site(*RESTART, "--hosts", "lab", "--serial", "100%")
    assert (code, set(outcomes(document).values())) == (0, {"changed"})


def test_a_batch_is_no_larger_than_capacity_allows(site: Site) -> None:
    """All three at once were asked for; one at a time is what the group can spare."""
    code, document = site(*RESTART, "--hosts", "lab", "--force", "--serial", "100%")
    assert (code, set(outcomes(document).values())) == (0, {"changed"})
    acts = [line for line in site.journal() if line["event"] in {"act.intended", "target.finished"}]
    assert [line["event"] for line in acts] == ["act.intended", "target.finished"] * 3


@pytest.mark.parametrize(
    ("freeze", "code"),
    [
        ([{"from": "2020-01-01T00:00Z", "until": "2100-01-01T00:00Z", "reason": "year end"}], 3),
        ([{"from": "2020-01-01T00:00Z", "until": "2021-01-01T00:00Z"}], 0),
        ([{"from": "yesterday", "until": "2100-01-01T00:00Z"}], 2),
    ],
    ids=["now", "over", "unreadable"],
)
def test_freeze(site: Site, freeze: Any, code: int) -> None:
    assert site(*RESTART, "--hosts", "lab1", "--force", freeze=freeze)[0] == code
    assert site(*RESTART, "--hosts", "lab1", freeze=freeze)[0] == (2 if code == 2 else 0), "a no-op is never frozen"


def test_break_glass_goes_through_a_freeze_and_is_reviewed(site: Site) -> None:
    freeze = [{"from": "2020-01-01T00:00Z", "until": "2100-01-01T00:00Z"}]
    assert site(*RESTART, "--hosts", "lab1", "--force", "--break-glass", freeze=freeze)[0] == 0
    assert len(site("runs.list", "--to-review")[1]["runs"]) == 1


def test_a_budget_counts_over_runs_and_by_the_hosts_own_journal(site: Site, hosts: dict[str, Host]) -> None:
    hosts["lab3"].say("sudo systemctl restart api.service")
    known = restarts.parse(hosts["lab3"].run(Command(restarts.SCRIPT, ("api.service", "3600", str(restarts.MOST))))).count
    budget = {"restart": f"{known + 2}/host/hour"}
    words = (*RESTART, "--hosts", "lab3", "--force")
    assert site(*words, budget=budget)[0] == 0
    assert site(*words, budget=budget)[0] == 0
    code, document = site(*words, budget=budget)
    assert code == 3
    assert f"{known + 2}/host/hour is used up" in message(document, "lab3")
    assert "--break-glass" in document["targets"][0]["hint"]
    code, document = site(*words, state="another-laptop", budget=budget)
    assert code == 3
    assert "the target itself knows of" in message(document, "lab3")


@pytest.mark.parametrize(
    ("words", "code"),
    [((), 3), (("--yes",), 3), (("--reason", "drill"), 3), (("--yes", "--reason", "drill"), 0)],
    ids=["nothing", "no-reason", "not-confirmed", "both"],
)
def test_a_protected_group_needs_a_reason_and_an_answer(site: Site, words: tuple[str, ...], code: int) -> None:
    assert site(*RESTART, "--hosts", "lab1", "--force", *words, protected=True)[0] == code


def test_two_laptops_exclude_each_other(site: Site, hosts: dict[str, Host]) -> None:
    """Another controller's lease is on the host: who, what and how to ask are said; a look needs no lease."""
    other = Lease("20300101-000000-abcdef", "alice", "laptop", "recover.disk-space", 1900000000, reason="INC-7")
    hosts["lab1"].run(leased(Command("true"), other))
    code, document = site(*RESTART, "--hosts", "lab1", "--force")
    assert (code, outcomes(document)) == (3, {"lab1": "refused"})
    assert all(word in message(document, "lab1") for word in ("alice", "laptop", "INC-7", "recover.disk-space"))
    assert site("check.service", "--hosts", "lab1")[0] == 0
    assert site(*RESTART, "--hosts", "lab1")[0] == 0
