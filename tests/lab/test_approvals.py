"""A plan is written, signed by two others with their own keys, and run; through the real ``inv`` on a real host."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from crashcart.lab.lab import Lab
from tests.lab.hosts import Host

pytestmark = pytest.mark.lab

CHECKOUT = Path(__file__).resolve().parents[2]
INV = Path(sys.executable).with_name("inv")
Inv = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def inv(lab: Lab, hosts: dict[str, Host], tmp_path: Path) -> Inv:
    """``inv`` with an inventory in which lab1 needs two approvals, and three persons who have keys."""
    hosts["lab1"].say("sudo rm -rf /run/crashcart")
    inventory = yaml.safe_load(Path(lab.folder.inventory).read_text())
    inventory["all"]["children"]["lab"]["hosts"]["lab1"]["approval"] = {"count": 2}
    (tmp_path / "hosts.yml").write_text(json.dumps(inventory))
    signers = tmp_path / "allowed_signers"
    for name in ("root", "bob", "carol"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", tmp_path / name], check=True)
        with signers.open("a") as file:
            file.write(f"{name} {(tmp_path / f'{name}.pub').read_text()}")
    signers.chmod(0o600)
    own = {"CRASHCART_STATE": str(tmp_path / "state"), "CRASHCART_INVENTORY": str(tmp_path / "hosts.yml")}
    environment = {**os.environ, **own, "CRASHCART_SIGNERS": str(signers)}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [INV, *words],
            cwd=CHECKOUT,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    return run


RESTART = ("recover.service-restart", "--hosts", "lab1", "--force", "--settle", "1s", "--no-drain")


def test_two_others_approve_and_then_it_runs_once(inv: Inv, tmp_path: Path) -> None:
    plan = str(tmp_path / "plan.json")
    unapproved = inv(*RESTART)
    assert unapproved.returncode == 3
    assert "approval of 2 others" in unapproved.stderr
    assert inv(*RESTART, "--plan", plan).returncode == 0
    assert inv("runs.approve", plan, "--key", str(tmp_path / "root"), "--yes").returncode == 3, "the author does not count"
    assert inv("runs.approve", plan, "--key", str(tmp_path / "bob"), "--yes").returncode == 0
    one_missing = inv(*RESTART, "--approved", plan)
    assert one_missing.returncode == 3
    assert "carol" in one_missing.stderr, "it says who may still approve"
    assert inv("runs.approve", plan, "--key", str(tmp_path / "carol"), "--yes").returncode == 0
    approved = inv(*RESTART, "--approved", plan)
    assert approved.returncode == 0, approved.stdout + approved.stderr
    again = inv(*RESTART, "--approved", plan)
    assert again.returncode == 3
    assert "not what was approved" in again.stdout, "the world is another one now"


def test_an_edited_plan_is_not_run(inv: Inv, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    inv(*RESTART, "--plan", str(plan))
    for name in ("bob", "carol"):
        inv("runs.approve", str(plan), "--key", str(tmp_path / name), "--yes")
    plan.write_text(plan.read_text().replace("api.service", "ssh.service"))
    edited = inv(*RESTART, "--approved", str(plan))
    assert edited.returncode == 3
    assert "0 of 2 approvals" in edited.stderr


def test_break_glass_goes_without_approval_and_is_reviewed(inv: Inv) -> None:
    assert inv(*RESTART, "--break-glass").returncode == 0
    (run,) = json.loads(inv("runs.list", "--to-review", "--output", "json").stdout)["runs"]
    assert inv("runs.sign-off", run["id"]).returncode == 3, "one's own run needs a note"
    assert inv("runs.sign-off", run["id"], "--note", "looked at with carol").returncode == 0
    assert inv("runs.list", "--to-review").stdout.strip() == "no runs to review"
