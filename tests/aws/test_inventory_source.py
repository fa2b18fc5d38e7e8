"""The inventory source ``aws``, against moto's real server."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import boto3
import pytest

from crashcart.clock import FakeClock
from crashcart.errors import BadInput
from crashcart.inventory import Inventory, load
from crashcart.inventory.aws_source import AwsSource, _read_options, aws_inventory

REGION = "eu-central-1"
KEYS = {"aws_access_key_id": "A", "aws_secret_access_key": "s"}


@pytest.fixture(autouse=True)
def own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_") or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    emulator = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    emulator.start()
    host, port = emulator.get_host_and_port()
    urlopen(Request(f"http://{host}:{port}/moto-api/reset", method="POST")).close()
    seed(f"http://{host}:{port}")
    yield f"http://{host}:{port}"
    emulator.stop()


def seed(url: str) -> None:
    def client(name: str, region: str = REGION) -> Any:
        return boto3.client(name, endpoint_url=url, region_name=region, **KEYS)

    shop = [{"Key": "team", "Value": "shop"}]
    login = {"MasterUsername": "u", "MasterUserPassword": "p" * 9}
    for region, name, tags in [(REGION, "orders", shop), (REGION, "billing", []), ("us-east-1", "orders", shop)]:
        client("rds", region).create_db_cluster(DBClusterIdentifier=name, Engine="aurora-mysql", Tags=tags, **login)
    instance = {"DBInstanceClass": "db.r5.large", "Tags": shop}
    client("rds").create_db_instance(
        DBInstanceIdentifier="orders-1", DBClusterIdentifier="orders", Engine="aurora-mysql", **instance
    )
    client("rds").create_db_instance(
        DBInstanceIdentifier="ledger", Engine="postgres", AllocatedStorage=5, **instance, **login
    )
    client("elasticache").create_replication_group(
        ReplicationGroupId="sessions", ReplicationGroupDescription="x", Engine="redis", Tags=shop
    )
    vpc = client("ec2").describe_vpcs()["Vpcs"][0]["VpcId"]
    balancer = client("elbv2")
    for name, tags in [("api-https", shop), ("other", [{"Key": "team", "Value": "other"}])]:
        balancer.create_target_group(Name=name, Protocol="HTTP", Port=80, VpcId=vpc, Tags=tags)
    scale(client("autoscaling"), shop)


def scale(autoscaling: Any, tags: list[dict[str, str]]) -> None:
    autoscaling.create_launch_configuration(LaunchConfigurationName="lc", ImageId="ami-12c6146b", InstanceType="t2.micro")
    for name in ("api backend", "api[1:3]"):
        autoscaling.create_auto_scaling_group(
            AutoScalingGroupName=name,
            LaunchConfigurationName="lc",
            MinSize=1,
            MaxSize=3,
            DesiredCapacity=2 if " " in name else 1,
            AvailabilityZones=[f"{REGION}a"],
            Tags=[{**tag, "PropagateAtLaunch": False} for tag in tags],
        )


def options(url: str, **more: Any) -> dict[str, Any]:
    return {"regions": [REGION], "tags": {"team": "shop"}, "aws_endpoint_url": url, **KEYS, **more}


def loaded(tmp_path: Path, found: dict[str, Any]) -> Inventory:
    (tmp_path / "aws.yml").write_text("source: aws\n")
    return load([tmp_path / "aws.yml"], sources={"aws": lambda: found})


def test_what_has_the_tags_is_found_by_kind(url: str, tmp_path: Path) -> None:
    inventory = loaded(tmp_path, aws_inventory(options(url, group="shop")))
    groups = {name: group.members for name, group in inventory.groups.items()}
    assert groups["shop_rds_cluster"] == ("orders",)
    assert groups["shop_rds_instance"] == ("ledger",)
    assert groups["shop_autoscaling_group"] == ("api-backend", "api-1-3-")
    assert groups["shop_elasticache_replication_group"] == ("sessions",)
    assert groups["shop_target_group"] == ("api-https",)
    targets = {target.name: target for target in inventory.members("shop")}
    assert {name: target.kind for name, target in targets.items()}["ledger"] == "rds_instance"
    assert targets["api-backend"].variable("aws_id") == "api backend"
    assert targets["api-https"].variable("aws_id").startswith(f"arn:aws:elasticloadbalancing:{REGION}:")
    assert targets["orders"].variable("aws_id") is None
    assert targets["orders"].variable("aws_region") == REGION
    assert targets["orders"].variable("aws_endpoint_url") == url
    assert str(targets["orders"].variable("aws_secret_access_key")) == "***"


def test_without_tags_everything_is_found(url: str, tmp_path: Path) -> None:
    inventory = loaded(tmp_path, aws_inventory(options(url, tags={}, kinds=["rds_cluster", "target_group"])))
    assert set(inventory.group("aws").members) == {"orders", "billing", "api-https", "other"}
    any_team = loaded(tmp_path, aws_inventory(options(url, tags={"team": None}, kinds=["target_group"])))
    assert set(any_team.group("aws").members) == {"api-https", "other"}


def test_hosts_of_scaling_groups_can_be_logged_in_to(url: str, tmp_path: Path) -> None:
    inventory = loaded(tmp_path, aws_inventory(options(url, kinds=[], hosts="private")))
    assert len(inventory.members("aws_api-backend")) == 2
    assert len(inventory.members("aws_linux")) == 3
    host = inventory.members("aws_api-backend")[0]
    assert host.kind == "linux"
    assert host.variable("ansible_host").startswith(("10.", "172."))
    assert host.variable("aws_id") == host.name


def test_names_that_are_not_unique_say_kind_and_region(url: str, tmp_path: Path) -> None:
    found = aws_inventory(options(url, regions=[REGION, "us-east-1"], kinds=["rds_cluster"]))
    inventory = loaded(tmp_path, found)
    names = {"orders.rds_cluster.eu-central-1", "orders.rds_cluster.us-east-1"}
    assert set(inventory.group("aws").members) == names
    assert {target.variable("aws_id") for target in inventory.members("aws")} == {"orders"}


def test_the_cache_answers_for_its_time_and_no_longer(url: str, tmp_path: Path) -> None:
    kinds = ["rds_cluster"]
    with socket.create_server(("127.0.0.1", 0)) as gone:
        nobody = f"http://127.0.0.1:{gone.getsockname()[1]}"
    here, there = (_read_options(options(where, kinds=kinds, cache="60s")) for where in (url, nobody))
    folder = tmp_path / "kept"
    AwsSource(here, folder=folder, clock=at(0)).inventory()
    (kept,) = folder.iterdir()
    assert kept.stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    # The same question asked where nobody answers: only what is kept can have said it.
    source = AwsSource(there, folder=folder, clock=at(59))
    kept.rename(source._cache._path)
    assert "orders" in str(source.inventory())
    for late in (at(60), at(-1)):
        with pytest.raises(BadInput, match="nothing listens on"):
            AwsSource(there, folder=folder, clock=late).inventory()


@pytest.mark.parametrize("damage", ["", "{", '{"asked": 0}', None])
def test_a_cache_that_cannot_be_trusted_is_not_read(url: str, tmp_path: Path, damage: str | None) -> None:
    source = AwsSource(_read_options(options(url, kinds=["rds_cluster"])), folder=tmp_path / "kept", clock=at(0))
    expected = source.inventory()
    (kept,) = (tmp_path / "kept").iterdir()
    if damage is None:
        kept.write_text(kept.read_text().replace("orders", "evil"))
        kept.chmod(0o666)
    else:
        kept.write_text(damage)
    assert source.inventory() == expected


def test_a_cache_that_cannot_be_written_costs_only_time(url: str, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("a file, no folder")
    source = AwsSource(_read_options(options(url, kinds=["rds_cluster"])), folder=tmp_path / "kept")
    assert "orders" in str(source.inventory())


BAD = [
    ({"regions": ["Frankfurt"]}, "aws_region 'Frankfurt' is not a region"),
    ({"region": "eu-central-1"}, "unknown key 'region'"),
    ({"kinds": ["rds_clusters"]}, "unknown kind 'rds_clusters'"),
    ({"hosts": "elastic"}, "Invalid enum value 'elastic'"),
    ({"cache": "soon"}, "expected a duration"),
    ({"aws_endpoint_url": "localhost"}, "is not an http or https URL"),
]


@pytest.mark.parametrize(("wrong", "message"), BAD)
def test_wrong_options_are_bad_input(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message) as raised:
        aws_inventory(options("http://127.0.0.1:1", **wrong))
    assert raised.value.message.startswith("inventory source aws: ")
    assert raised.value.hint


def test_regions_must_be_said() -> None:
    with pytest.raises(BadInput, match="regions"):
        aws_inventory()


def test_the_deadline_ends_the_asking(url: str, tmp_path: Path) -> None:
    class Racing(FakeClock):
        """Four seconds pass from one look to the next."""

        def monotonic(self) -> float:
            self._passed += 4.0
            return super().monotonic()

    with pytest.raises(BadInput, match="AWS has not said everything within 10 s"):
        AwsSource(_read_options(options(url)), folder=tmp_path / "kept", clock=Racing()).inventory()
    assert not (tmp_path / "kept").exists()


def at(seconds: float) -> FakeClock:
    return FakeClock(datetime.fromtimestamp(1_900_000_000 + seconds, UTC))
