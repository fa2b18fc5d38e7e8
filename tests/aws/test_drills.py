"""Every drill in the emulated AWS, as typed: noticed, recovered from with the right number of writes, put back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crashcart.drills.stamps import read_stamps
from crashcart.lab.aws.account import HOSTS_GROUP, RESOURCES
from crashcart.lab.aws.compute_seed import LabInstance
from crashcart.lab.aws.whereabouts import find, publish
from crashcart.lab.folder import open_folder
from crashcart.playbooks.library import Library
from tests.aws.commandline import Commands
from tests.emulator import PARTS, Emulator, running_emulator

CHECKOUT = Path(__file__).resolve().parents[2]
CLOUD = [
    *("drill.asg-restore", "drill.asg-scale", "drill.elasticache-failover", "drill.elasticache-reboot"),
    *("drill.rds-failover", "drill.target-deregister", "drill.target-register"),
]

UNDONE = {"drill.asg-scale": ["clean"], "drill.target-deregister": ["maintenance"], "drill.target-register": ["clean"]}
"""The faults whose recovery is taken back in the end."""


@pytest.fixture(scope="module")
def emulator_process() -> Iterator[Emulator]:
    with running_emulator() as emulator:
        yield emulator


@pytest.fixture
def commands(
    emulator_process: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Commands]:
    """A lab whose AWS is the test's emulator, with three hosts that are well."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("CRASHCART_LAB", "crashcart-test-aws")
    where = find(emulator_process.state)
    assert where
    open_folder().aws.mkdir(parents=True)
    publish(open_folder().aws, where)
    healthy = f"tcp://127.0.0.1:{where.port}"
    emulator_process.reset(*PARTS, hosts=[LabInstance(f"lab{number}", healthy) for number in (1, 2, 3)])
    yield prepared(Commands(emulator_process, tmp_path, monkeypatch, capsys), emulator_process)
    emulator_process.reset()


def prepared(commands: Commands, emulator: Emulator) -> Commands:
    """Write the lab's inventory; the target group of the hosts names its members."""
    instances = emulator.client("ec2").describe_instances(Filters=[{"Name": "tag-key", "Values": ["crashcart:host"]}])
    found = [one for part in instances["Reservations"] for one in part["Instances"]]
    members = {tag["Value"]: one["InstanceId"] for one in found for tag in one["Tags"] if tag["Key"] == "Name"}
    resources: dict[str, dict[str, Any]] = {kind: {name: {} for name in names} for kind, names in RESOURCES.items()}
    resources["target_group"][HOSTS_GROUP] = {"members": members}
    commands.write(resources, drill=True)
    return commands


def score(document: Any) -> dict[str, Any]:
    return {variant["variant"]: variant for variant in document["drill"]["variants"]}


@pytest.mark.parametrize("drill", CLOUD)
def test_every_fault_is_passed(commands: Commands, drill: str) -> None:
    said = commands(drill, "--hosts", "all", "--yes", "--output", "json")
    variants = score(said.document)
    assert {name: variant["problems"] for name, variant in variants.items() if variant["problems"]} == {}
    assert said.code == 0
    assert all(variant["before"] for variant in variants.values())
    changed = [variant for variant in variants.values() if variant["recovered_s"] is not None]
    assert changed
    assert {variant["second_run_changes"] for variant in changed} == {0}
    assert [name for name, variant in variants.items() if variant["undo"] == "verified"] == UNDONE.get(drill, [])
    assert list(read_stamps(commands.folder / "state")) == [f"recover.{drill.removeprefix('drill.')}"]


def test_a_lab_that_was_used_before_is_begun_anew(commands: Commands) -> None:
    """A failover of a moment ago, a raised group and a fault on the way would each spoil a drill."""
    used = commands("recover.rds-failover", "--hosts", "lab-aurora", "--force", "--yes", "--settle", "1s")
    raised = commands("recover.asg-scale", "--hosts", "lab-asg", "--at-least", "4", "--yes", "--settle", "1s")
    assert (used.code, raised.code) == (0, 0), used.all + raised.all
    commands.emulator.fault("aws.throttle", action="FailoverDBCluster", times=50)
    commands.emulator.fault("aws.throttle", action="SetDesiredCapacity", times=50)
    for drill, target in (("drill.rds-failover", "lab-aurora"), ("drill.asg-scale", "lab-asg")):
        said = commands(drill, "--hosts", target, "--yes", "--variant", "clean")
        assert said.code == 0, said.all
    assert commands.emulator.faults()["armed"] == []


def test_a_part_of_a_drill_is_on_the_page_and_earns_no_stamp(commands: Commands) -> None:
    said = commands("drill.target-register", "--hosts", "lab-hosts", "--yes", "--variant", "stopped,clean")
    assert said.code == 0, said.all
    badge = (commands.folder / "state/drills/badge.svg").read_text()
    assert re.search(r"drills: 2 of (\d+) passed, \d+ never rehearsed", badge)
    assert read_stamps(commands.folder / "state") == {}


def test_these_are_the_drills_without_hosts() -> None:
    library = Library(CHECKOUT / "playbooks")
    drills = [name for name in library.entries if name.startswith("drill.")]
    kinds = {name: library.playbook(f"recover.{name.removeprefix('drill.')}").kinds for name in drills}
    assert [name for name in drills if "linux" not in kinds[name]] == CLOUD


def test_only_the_labs_own_emulator_is_broken_on_purpose(commands: Commands) -> None:
    commands.write({"rds_cluster": {"lab-aurora": {"aws_endpoint_url": "http://127.0.0.1:1"}}}, drill=True)
    said = commands("drill.rds-failover", "--hosts", "all", "--yes")
    assert (said.code, commands.emulator.writes()) == (3, [])
    assert "which only the lab's emulated AWS allows" in said.all


def test_a_target_that_a_variant_needs_has_to_be_selected(commands: Commands) -> None:
    said = commands("drill.rds-failover", "--hosts", "lab-db", "--yes")
    assert said.code == 3
    assert "is played on lab-aurora, which is not selected" in said.all
