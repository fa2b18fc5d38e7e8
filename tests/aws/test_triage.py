"""``check.all`` over every kind of AWS resource at once, through the real ``inv``, against the emulator over HTTP."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crashcart.lab.aws.account import KEYS, PARTS, REGION, RESOURCES
from tests.aws.commandline import Commands
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
    assert [step["operation"] for step in found["lab-db"]["steps"] if step["outcome"] != "skipped"] == [
        "rds.assess",
        "rds.maintenance",
        "rds.storage",
        "health.assess",
    ]  # those of its kind alone
    assert len(emulator.requests("DescribeUpdateActions")) == 2
    assert [request["service"] for request in emulator.requests("DescribeEvents")].count("health") == 1  # for all of them


def aws_health(target: dict[str, Any]) -> str:
    return next(str(step["message"]) for step in target["steps"] if step["operation"] == "health.assess")


def test_aws_health_is_told_and_blocks_nothing(emulator: Emulator, instance: str, tmp_path: Path) -> None:
    emulator.fault("aws.health-issue", resource="RDS")
    emulator.fault("aws.health-issue", resource="ELASTICACHE", value="ours")
    try:
        code, found = check(emulator, tmp_path, instance)
        emulator.fault("aws.error", service="health", value="SubscriptionRequiredException")
        _, unknown = check(emulator, tmp_path, instance)
    finally:
        emulator.clear_faults()
    public, ours = found["lab-db"], found["lab-redis"]
    assert (code, public["verdict"], ours["verdict"]) == (1, "healthy", "degraded")
    assert "AWS has open issues in us-east-1: RDS in us-east-1 since" in aws_health(public)
    assert ours["message"].startswith("AWS has an open issue that concerns this account: ELASTICACHE")
    assert {target["verdict"] for name, target in unknown.items() if name != "web1"} == {"healthy"}
    assert "the account has no Business or Enterprise Support" in aws_health(unknown["lab-db"])


def test_many_5xx_and_a_service_update_are_found(emulator: Emulator, instance: str, tmp_path: Path) -> None:
    emulator.fault("aws.5xx", resource="lab-web")
    emulator.fault("aws.no-metrics", resource="lab-api")
    emulator.fault("aws.service-update", resource="lab-redis")
    try:
        _, found = check(emulator, tmp_path, instance)
    finally:
        emulator.clear_faults()
    failing, silent = found["lab-web"], found["lab-api"]
    assert (failing["verdict"], silent["verdict"], found["lab-redis"]["verdict"]) == ("degraded", "healthy", "healthy")
    assert failing["message"] == "5xx in 15 min: lab-web behind lab: 450 of 9000 requests (5.0 %)"
    assert "elasticache-lab-update (important severity" in str(found["lab-redis"]["steps"])


def test_storage_that_fills_is_found(
    emulator: Emulator, instance: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    emulator.fault("aws.storage-filling", resource="lab-db")
    emulator.fault("aws.storage-filling", resource="lab-aurora-2", value="2")
    emulator.fault("aws.storage-filling", resource="lab-db-single", value="200")
    inv = Commands(emulator, tmp_path, monkeypatch, capsys)
    inv.write({"rds_instance": {"lab-db": {}}})
    try:
        _, found = check(emulator, tmp_path, instance)
        alone = inv("check.rds", "--hosts", "lab-db")
        later = inv("check.rds", "--hosts", "lab-db", "--full-within", "3h", "--output", "json").document["targets"][0]
    finally:
        emulator.clear_faults()
    names = ("lab-db", "lab-aurora", "lab-db-single", "lab-db-replica")
    assert [found[name]["verdict"] for name in names] == ["degraded", "degraded", "healthy", "healthy"]
    filling, cluster = found["lab-db"], found["lab-aurora"]
    told = r"lab-db: 2\.\d GiB of 20\.0 GiB free \(1\d %\), -9\.6 GiB a day, full in [67] h"
    assert re.fullmatch(told, filling["message"]), filling
    assert filling["hint"].startswith("aws rds modify-db-instance --db-instance-identifier lab-db --allocated-storage")
    local = r"lab-aurora-2: [23]\.\d GiB of local storage free, -29\.5 GiB a day, full in "
    assert re.match(local, cluster["message"]), cluster
    assert (alone.code, bool(re.search(told, alone.out))) == (1, True), alone.all
    assert later["verdict"] == "healthy", later


def test_drift_from_the_last_known_good_is_listed_with_who_did_it(
    emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run's rules are kept beside the inventory; then somebody opens a port, and nobody closes it by himself."""
    ec2 = emulator.client("ec2")
    group = ec2.create_security_group(GroupName="drifting", Description="drifting")["GroupId"]
    made = ec2.run_instances(ImageId="ami-12c6146b", MinCount=1, MaxCount=1, SecurityGroupIds=[group])["Instances"][0]
    name = str(made["InstanceId"])
    emulator.advance(600)
    inv = Commands(emulator, tmp_path, monkeypatch, capsys)
    inv.write({"ec2_instance": {name: {}}})
    first = inv("check.drift", "--hosts", name)
    assert first.code == 0, first.all
    assert "nothing to compare them with" in first.out
    kept = inv("runs.known-good", first.run)
    (tmp_path / "zz-known-good.json").write_text(kept.out)
    monkeypatch.setenv("CRASHCART_INVENTORY", f"{inv.inventory},{tmp_path / 'zz-known-good.json'}")
    same = inv("check.instance", "--hosts", name)
    assert (same.code, f"{group} out all 0.0.0.0/0" in kept.out) == (0, True), same.all
    rule = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])
    emulator.forget_requests()
    drifted = inv("check.all", "--hosts", name, "--output", "json")
    (target,) = drifted.document["targets"]
    assert (drifted.code, target["verdict"]) == (1, "degraded")
    assert target["message"].startswith(
        f"1 rule differs from what was known to be good: + {group} in tcp 22 0.0.0.0/0; lab-user, "
    )
    assert f"AuthorizeSecurityGroupIngress {group}" in target["message"]
    assert emulator.writes() == []
    assert inv("runs.known-good", first.run, "--output", "yaml").code == 2


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


def test_pending_maintenance_of_a_healthy_database_is_told(
    emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    emulator.fault("aws.maintenance", resource="lab-aurora")
    inv = Commands(emulator, tmp_path, monkeypatch, capsys)
    inv.write({"rds_cluster": {"lab-aurora": {}}})
    try:
        checked = inv("check.all", "--hosts", "lab-aurora")
    finally:
        emulator.clear_faults()
    assert checked.code == 0, checked.all
    assert "planned      lab-aurora (healthy): pending maintenance: system-update" in checked.out.splitlines()


def test_an_instance_that_is_not_there_is_unknown(emulator: Emulator, tmp_path: Path) -> None:
    _, found = check(emulator, tmp_path, "i-0123456789abcdef0")
    gone = found["i-0123456789abcdef0"]
    assert (gone["outcome"], gone["verdict"]) == ("failed", "unknown"), gone
