"""``check.all`` over every kind of AWS resource at once, through the real ``inv``, against the emulator over HTTP."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crashcart.lab.aws.account import KEYS, PARTS, REGION, RESOURCES
from tests.emulator import Emulator, running_emulator

CHECKOUT = Path(__file__).resolve().parents[2]
INV = Path(sys.executable).with_name("inv")


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with running_emulator() as running:
        running.reset(*PARTS)
        yield running


@pytest.fixture(scope="module")
def instance(emulator: Emulator) -> str:
    """An instance whose status checks have passed."""
    found = emulator.client("ec2").run_instances(ImageId="ami-12c6146b", MinCount=1, MaxCount=1)["Instances"]
    emulator.advance(600)
    return str(found[0]["InstanceId"])


def check(emulator: Emulator, folder: Path, instance: str, *words: str) -> tuple[int, dict[str, Any]]:
    """Run ``check.all`` over one resource of each kind, and a host where nothing listens; return targets by name."""
    kinds = {name: {"kind": kind} for kind, names in RESOURCES.items() for name in names if name != "lab-hosts"}
    reached = {"aws_endpoint_url": emulator.url, "aws_region": REGION, "drill": True}
    keys = {"aws_access_key_id": KEYS[0], "aws_secret_access_key": KEYS[1]}
    host = {"ansible_host": "127.0.0.1", "ansible_port": 1}
    groups = {
        "cloud": {"hosts": kinds | {instance: {"kind": "ec2_instance"}}, "vars": reached | keys},
        "web": {"hosts": {"web1": host}},
    }
    inventory = folder / "hosts.yml"
    inventory.write_text(json.dumps({"all": {"children": groups}}))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    done = subprocess.run(
        [INV, "check.all", "--hosts", "cloud,web", "--inventory", inventory, "--output", "json", *words],
        cwd=CHECKOUT,
        env={**environment, "CRASHCART_STATE": str(folder / "state"), "HOME": str(folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    document = json.loads(done.stdout)
    return done.returncode, {target["name"]: target for target in document["targets"]}


def test_every_kind_is_looked_at_and_nothing_is_written(emulator: Emulator, instance: str, tmp_path: Path) -> None:
    emulator.forget_requests()
    code, found = check(emulator, tmp_path, instance)
    verdicts = {name: target["verdict"] for name, target in found.items()}
    assert verdicts == {**dict.fromkeys(found, "healthy"), "web1": "unknown"}, found
    assert (code, found["web1"]["outcome"]) == (4, "unreachable")  # a host that cannot be asked is not down
    assert emulator.writes() == []
    assert [step["operation"] for step in found["lab-db"]["steps"]] == [
        "rds.assess",
        "rds.maintenance",
    ]  # those of its kind alone


def test_each_fault_has_its_fact_and_its_command(emulator: Emulator, instance: str, tmp_path: Path) -> None:
    emulator.condition("ec2.impaired", instance)
    emulator.condition("rds.maintenance", "lab-db", "system-update")
    emulator.fault("aws.denied", service="elasticache", action=".*", times=50)
    try:
        code, found = check(emulator, tmp_path, instance)
    finally:
        emulator.clear_faults()
    impaired, denied = found[instance], found["lab-redis"]
    assert code == 1
    assert impaired["verdict"] == "down"
    assert "the instance status check fails since" in impaired["message"]
    assert impaired["hint"] == f"aws ec2 reboot-instances --instance-ids {instance}"
    assert (denied["outcome"], denied["verdict"]) == ("failed", "unknown"), denied  # not told is not down
    assert found["lab-db"]["verdict"] == "healthy"
    planned = found["lab-db"]["steps"][1]
    assert "pending maintenance: system-update" in planned["message"]


def test_an_instance_that_is_not_there_is_unknown(emulator: Emulator, tmp_path: Path) -> None:
    _, found = check(emulator, tmp_path, "i-0123456789abcdef0")
    gone = found["i-0123456789abcdef0"]
    assert (gone["outcome"], gone["verdict"]) == ("failed", "unknown"), gone
