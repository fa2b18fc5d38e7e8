"""The production inventory of crashcart.example: it loads without a note, and every group is what its playbooks need."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from crashcart.inventory import load, select
from crashcart.inventory.aws_source import aws_inventory
from crashcart.inventory.model import Inventory
from crashcart.lab.aws.account import REGION
from crashcart.lab.aws.compute_seed import GROUP
from crashcart.playbooks.compile import Compiler
from crashcart.playbooks.library import Library
from crashcart.safety.approvals import needed_rule, parse_approval
from crashcart.safety.budget import budget_of
from crashcart.safety.consent import needed_consent
from crashcart.safety.freeze import windows_of
from crashcart.transports.aws_check import cloud_access, resource_of
from crashcart.transports.aws_places import place_of
from tests.aws.commandline import Commands, isolate, keys
from tests.emulator import Emulator, running_emulator

FOLDER = Path(__file__).resolve().parents[2] / "inventories"
EXAMPLE, HOSTS = FOLDER / "production.example.yml", FOLDER / "production-hosts.example.yml"

GROUPS = {
    "web": ("linux", 4),
    "workers": ("linux", 4),
    "clusters": ("rds_cluster", 2),
    "instances": ("rds_instance", 2),
    "backends": ("autoscaling_group", 3),
    "caches": ("elasticache_replication_group", 3),
    "balancers": ("target_group", 2),
}
PLAYBOOKS: dict[str, tuple[str, dict[str, str]]] = {
    "web": ("recover.service-restart", {}),
    "workers": ("recover.service-restart", {}),
    "clusters": ("recover.rds-failover", {}),
    "instances": ("recover.rds-failover", {}),
    "backends": ("recover.asg-scale", {"by": "+50%"}),
    "caches": ("recover.elasticache-failover", {}),
    "balancers": ("recover.target-deregister", {"member": "i-0a1b2c3d4e5f60001"}),
}


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The profiles that the inventory names."""
    isolate(monkeypatch, tmp_path)
    configuration = tmp_path / "config"
    configuration.write_text("[profile production-oncall]\nregion = eu-central-1\n[profile staging]\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(configuration))


@pytest.fixture(scope="module")
def inventory() -> Inventory:
    return load([EXAMPLE])


def test_it_loads_without_a_note(inventory: Inventory) -> None:
    assert inventory.notes == ()
    assert inventory.left_out == {}


@pytest.mark.parametrize("group", GROUPS)
def test_every_group_resolves(group: str, inventory: Inventory) -> None:
    kind, number = GROUPS[group]
    targets = select(inventory, group).targets
    assert ({target.kind for target in targets}, len(targets)) == ({kind}, number)
    assert {target.variable("protected") for target in targets} == {True}


@pytest.mark.usefixtures("account")
def test_every_aws_target_can_be_reached(inventory: Inventory) -> None:
    targets = [target for target in inventory.targets if target.kind != "linux"]
    accesses = {target.name: cloud_access(target) for target in targets}
    assert accesses["rates-eu-west"].region == "eu-west-1"
    roles = {name: access.role_arn for name, access in accesses.items() if not name.endswith("-staging")}
    assert set(roles.values()) == {"arn:aws:iam::111122223333:role/crashcart-recover"}
    assert {resource_of(target) for target in targets} >= {"prod-sessions-001", "checkout-asg-2Q8K1H5W9V3B"}
    places = {place_of(target, "lock") for target in select(inventory, "aws").targets}
    assert {place.name for place in places if place} == {"crashcart-locks"}


def test_what_guards_it_can_be_read(inventory: Inventory) -> None:
    production = select(inventory, "production").targets
    assert all(len(windows) == 2 for _, windows in windows_of(production))
    assert {allowance.kind for target in production for allowance in budget_of(target)} == {"restart", "failover"}
    databases = select(inventory, "databases").targets
    rule = needed_rule(parse_approval(target.variable("approval"), target.name) for target in databases)
    assert rule is not None
    assert rule.count == 1
    assert not any(target.variable("approval") for target in select(inventory, "caches").targets)


@pytest.mark.parametrize("group", PLAYBOOKS)
def test_its_playbooks_compile(group: str, inventory: Inventory) -> None:
    name, given = PLAYBOOKS[group]
    playbook = Library(None).playbook(name)
    plan = Compiler(playbook, given, inventory.left_out).plan(select(inventory, group), playbook.rollout)
    assert not any(target.skip for target in plan.targets)
    assert "protected" in " ".join(needed_consent(plan).reasons)


@pytest.mark.usefixtures("account")
def test_inv_shows_it(commands: Commands) -> None:
    said = commands("inventory.show", "--inventory", str(EXAMPLE), "--hosts", "production")
    assert said.code == 0, said.all
    assert "note" not in said.err
    assert all(name in said.out for name in ("orders-db", "web-04.crashcart.example", "checkout", "rates-eu-west"))


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Commands:
    return Commands(Emulator(tmp_path, "http://127.0.0.1:1"), tmp_path, monkeypatch, capsys)


@pytest.mark.usefixtures("account")
def test_the_hosts_of_a_scaling_group_join_the_fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the file says, but in the emulator's region, with its credentials, and whatever tags its group has."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def emulated(options: Mapping[str, Any] | None = None) -> dict[str, Any]:
        given = {key: value for key, value in (options or {}).items() if key not in {"aws_profile", "aws_role_arn", "tags"}}
        return aws_inventory({**given, "regions": [REGION], "aws_endpoint_url": emulator.url, **keys()})

    with running_emulator() as emulator:
        emulator.reset("compute")
        emulator.advance(30)
        found = load([EXAMPLE, HOSTS], sources={"aws": emulated})
        assert found.notes == ()
        members = select(found, f"fleet_{GROUP}").targets
        assert (len(members), {one.kind for one in members}) == (2, {"linux"})
        assert {one.variable("unit") for one in members} == {"api.service"}
        assert all(
            one.variable("protected") is True and str(one.variable("ansible_host")).startswith("10.") for one in members
        )
        assert emulator.writes() == []
