"""The lab's inventory names what the emulator holds, and keeps the hosts' group for hosts."""

from __future__ import annotations

from pathlib import Path

import pytest

from crashcart.errors import Refused
from crashcart.inventory import load, select
from crashcart.lab.aws.account import KEYS, RESOURCES
from crashcart.lab.folder import Folder
from crashcart.lab.inventory import Account, inventory_text
from crashcart.transports.aws_check import cloud_access

URL = "http://127.0.0.1:5000"
ACCOUNT = Account(URL, {"lab1": "i-0123456789abcdef0"})


def written(folder: Path, account: Account | None) -> Path:
    path = folder / "inventory.yml"
    path.write_text(inventory_text(Folder("lab", folder), "127.0.0.1", {"lab1": 4001}, account))
    return path


def test_resources_are_targets_of_their_kinds_with_nobodys_credentials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAREAL")
    inventory = load([written(tmp_path, ACCOUNT)])
    targets = select(inventory, "lab_aws").targets
    found = {kind: tuple(one.name for one in targets if one.kind == kind) for kind in RESOURCES}
    assert found == RESOURCES
    for target in targets:
        access = cloud_access(target)
        assert (access.endpoint_url, access.region, access.access_key_id) == (URL, "us-east-1", KEYS[0])
        assert target.variable("drill") is True
        assert not target.variable("protected")


def test_the_group_lab_has_hosts_only(tmp_path: Path) -> None:
    inventory = load([written(tmp_path, ACCOUNT)])
    assert [(one.name, one.kind) for one in select(inventory, "lab").targets] == [("lab1", "linux")]
    assert [one.name for one in select(inventory, "lab_aws_rds_cluster").targets] == ["lab-aurora"]


def test_with_the_emulator_down_its_groups_are_there_and_empty(tmp_path: Path) -> None:
    with pytest.raises(Refused):
        select(load([written(tmp_path, None)]), "lab_aws")


def test_a_host_knows_its_instance_and_its_load_balancer(tmp_path: Path) -> None:
    (host,) = select(load([written(tmp_path, ACCOUNT)]), "lab").targets
    assert (host.variable("instance_id"), host.variable("target_group")) == ("i-0123456789abcdef0", "lab-hosts")
    (alone,) = select(load([written(tmp_path, None)]), "lab").targets
    assert alone.variable("target_group") is None
