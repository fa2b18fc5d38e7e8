"""Inventory files and folders: structure, sources, and what is not an inventory."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from crashcart.errors import BadInput, LabError
from crashcart.inventory import load
from crashcart.inventory.files import Source
from tests.unit.inventory.conftest import Load, write_files

EXAMPLE = Path(__file__).parents[3] / "inventories" / "production.example.yml"


@pytest.mark.parametrize(
    ("text", "place", "message", "hint"),
    [
        ("all:\n  host:\n    a:\n", "2:3", "unknown key 'host' in group 'all'", "did you mean hosts"),
        ("web:\n  childen: {db: }\n", "2:3", "unknown key 'childen' in group 'web'", "did you mean children"),
        ("web:\n  zzz: {db: }\n", "2:3", "unknown key 'zzz'", "a group has hosts, vars, children"),
        ("all:\n  hosts: [a, b]\n", "2:3", "expected a mapping, got a list", "end each name with a colon"),
        ("all:\n  hosts:\n    a\n    b\n", "2:3", "expected a mapping, got text", "end each name with a colon"),
        ("all: {hosts: {a: b}}", "1:15", "host 'a': expected a mapping, got text", ""),
        ("all: {vars: [a]}", "1:7", "the vars of 'all': expected a mapping", ""),
        ("all: {hosts: {1: }}", "1:15", "the host name 1 is not a text", 'quote it: "1"'),
        ("on: {hosts: {a: }}", "1:1", "the group name True is not a text", "quote it"),
        ('all: {hosts: {"a\\nb": }}', "1:15", "cannot name a host", ""),
        ('all: {hosts: {"": }}', "1:15", "cannot name a host", ""),
        ('all: {hosts: {"web[3:1]": }}', "1:15", "runs backwards", "web[01:10]"),
        ("a: b", "1:1", "group 'a': expected a mapping, got text", ""),
        ("a: b: c", "1:5", "mapping values are not allowed", ""),
        ("- a", "1:1", "an inventory is a mapping of groups, this is a list", ""),
        ("plugin: aws_ec2", "1:1", "'plugin' is not a group", "ansible-inventory --list --yaml"),
        ('{"_meta": {}}', "1:2", "'_meta' is not a group", "ansible-inventory --list --yaml"),
        ("a: {children: {b: }}\nb: {children: {a: }}", "2:16", "groups contain each other: a > b > a", "take one"),
        ("a: {children: {a: }}", "1:16", "groups contain each other: a > a", ""),
        ("a: {children: {all: }}", "1:16", "groups contain each other: all > a > all", ""),
        ("a: {vars: {ansible_group_priority: x}}", "1:12", "a whole number, not 'x'", ""),
        ("a: {hosts: {h: }, vars: {kind: linx}}", "1:26", "unknown kind 'linx'", "did you mean linux"),
        ("a: {hosts: {h: {x: 1}}, vars: {kind: linx}}", "1:32", "unknown kind 'linx'", ""),
        ("a: {hosts: {h: {kind: pod}}}", "1:17", "unknown kind 'pod'", "known are linux, rds_cluster"),
        ("a: {hosts: {h: {kind: '{{ x }}'}}}", "1:17", "unknown kind '{{ x }}'", ""),
        ("source: lap", "1:1", "unknown inventory source 'lap'", "did you mean lab"),
        ("source: lab\nweb: {}", "2:1", "takes no options, so 'web' is unknown", ""),
    ],
)
def test_mistakes(tmp_path: Path, text: str, place: str, message: str, hint: str) -> None:
    path = tmp_path / "hosts.yml"
    path.write_text(text)
    with pytest.raises(BadInput) as caught:
        load([path], sources={"lab": lambda: path})
    assert caught.value.message.startswith(f"{path}:{place}: ")
    assert message in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("hosts", "web1\nweb2\n"),
        ("hosts", "web1 ansible_host=10.0.0.1 x='a: b'\n[web]\nweb1\n"),
        ("hosts.ini", "[web]\nweb1\n"),
        ("hosts.yml", "[web]\nweb1\n"),
        ("hosts.yml", "[web]\n"),
    ],
)
def test_ini_is_not_read(tmp_path: Path, name: str, text: str) -> None:
    write_files(tmp_path, {name: text})
    with pytest.raises(BadInput, match="looks like an INI file") as caught:
        load([tmp_path / name])
    command, target = caught.value.hint.split(" > ")
    assert command == f"convert it once: ansible-inventory --list --yaml -i {tmp_path / name}"
    assert not Path(target).exists()


def test_yaml_needs_no_suffix(tmp_path: Path) -> None:
    write_files(tmp_path, {"hosts": "web: {hosts: {web1: }}"})
    assert [target.name for target in load([tmp_path / "hosts"]).targets] == ["web1"]


def test_programs_are_not_run(tmp_path: Path) -> None:
    write_files(tmp_path, {"ec2.py": "#!/bin/false", "script.yml": "#!/bin/false", "odd.yml": "web: {hosts: {web1: }}"})
    for path in tmp_path.iterdir():
        path.chmod(0o755)
    for name in ("ec2.py", "script.yml"):
        with pytest.raises(BadInput, match="executable inventories are not run"):
            load([tmp_path / name])
    assert load([tmp_path / "odd.yml"]).targets


def test_an_encrypted_inventory(tmp_path: Path) -> None:
    write_files(tmp_path, {"hosts.yml": "$ANSIBLE_VAULT;1.1;AES256\n6162\n"})
    with pytest.raises(BadInput, match="the inventory is encrypted") as caught:
        load([tmp_path / "hosts.yml"])
    assert "ansible-vault decrypt" in caught.value.hint


def test_what_is_not_read_in_a_folder_is_noted(tmp_path: Path) -> None:
    files = {
        "a.yml": "web: {hosts: {web1: }}",
        "b.yml": "",
        "c.yml": "plugin: aws_ec2",
        "hosts": "web9",
        "d.example.yml": "x: [",
    }
    write_files(tmp_path, files)
    inventory = load([tmp_path])
    assert [target.name for target in inventory.targets] == ["web1"]
    assert [note.removeprefix(f"{tmp_path}/").split(":")[0] for note in inventory.notes] == [
        "b.yml is empty",
        "c.yml is not read",
        "hosts is not read",
    ]


def test_a_folder_that_contains_itself(tmp_path: Path) -> None:
    write_files(tmp_path, {"a.yml": "web: {hosts: {web1: }}"})
    (tmp_path / "again").symlink_to(tmp_path)
    assert load([tmp_path]).notes == ()


@pytest.mark.parametrize("files", [{}, {"hosts": "web1"}, {"a.example.yml": "web: {}"}])
def test_a_folder_without_inventory(tmp_path: Path, files: Mapping[str, str]) -> None:
    write_files(tmp_path, files)
    with pytest.raises(BadInput, match="holds no YAML inventory") as caught:
        load([tmp_path])
    assert "source: lab" in caught.value.hint


def test_missing_and_none(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="there is no inventory"):
        load([tmp_path / "missing.yml"])
    with pytest.raises(BadInput, match="no inventory was given"):
        load([])


def test_a_folder_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(BadInput, match="cannot be read: Permission denied"):
        load([tmp_path])


def from_source(tmp_path: Path, source: Source) -> list[str]:
    (tmp_path / "lab.yml").write_text("source: lab\n")
    inventory = load([tmp_path / "lab.yml"], sources={"lab": source})
    return list(inventory.group("lab").members)


def test_a_source_may_be_a_file(tmp_path: Path) -> None:
    write_files(tmp_path, {"state/inventory.yml": "lab: {hosts: {lab-1: {x: '{{ inventory_dir }}'}}}"})
    assert from_source(tmp_path, lambda: tmp_path / "state" / "inventory.yml") == ["lab-1"]


def test_a_source_may_be_an_inventory(tmp_path: Path) -> None:
    assert from_source(tmp_path, lambda: {"lab": {"hosts": {"lab-1": {"ansible_port": 22}}}}) == ["lab-1"]


def test_a_source_without_inventory_is_an_empty_group(tmp_path: Path) -> None:
    assert from_source(tmp_path, lambda: tmp_path / "missing.yml") == []


def test_a_source_may_fail(tmp_path: Path) -> None:
    def broken() -> Path:
        raise RuntimeError("no network")

    def own() -> Path:
        raise LabError("the lab is broken")

    def odd() -> Mapping[str, Any]:
        return {"lab": {"hosts": {"x": object()}}}

    with pytest.raises(BadInput, match="inventory source 'lab' failed: RuntimeError: no network"):
        from_source(tmp_path, broken)
    with pytest.raises(LabError, match="the lab is broken"):
        from_source(tmp_path, own)
    with pytest.raises(BadInput, match="inventory source 'lab' failed: TypeError"):
        from_source(tmp_path, odd)


def test_sources_of_other_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("cmdb", "tests.unit.inventory.test_loading:cmdb", "crashcart.inventory_sources")
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [point] if group == point.group else [])
    (tmp_path / "cmdb.yml").write_text("source: cmdb\n")
    assert [target.name for target in load([tmp_path / "cmdb.yml"]).targets] == ["from-cmdb"]


def cmdb() -> Mapping[str, Any]:
    return {"all": {"hosts": {"from-cmdb": None}}}


def test_vars_beside_a_source_apply_to_it(tmp_path: Path) -> None:
    write_files(tmp_path, {"lab.yml": "source: lab", "group_vars/lab.yml": "level: practice"})
    inventory = load([tmp_path], sources={"lab": lambda: {"lab": {"hosts": {"lab-1": None}}}})
    assert inventory.targets[0].variables == {"level": "practice"}


def test_groups_know_their_relations(load_text: Load) -> None:
    inventory = load_text("eu: {children: {web: {hosts: {a: }}, db: }}\nprod: {children: {web: }}")
    assert inventory.group("web").parents == ("eu", "prod")
    assert inventory.group("eu").children == ("web", "db")
    assert [target.name for target in inventory.members("prod")] == ["a"]
    with pytest.raises(BadInput, match="no group 'wev'") as caught:
        inventory.group("wev")
    assert caught.value.hint == "did you mean web?"


def test_kinds_can_be_added(tmp_path: Path) -> None:
    write_files(tmp_path, {"hosts.yml": "a: {hosts: {h: {kind: pod}, i: }}"})
    inventory = load([tmp_path / "hosts.yml"], kinds={"linux", "pod"})
    assert [target.kind for target in inventory.targets] == ["pod", "linux"]


def test_the_example_loads_without_a_note() -> None:
    inventory = load([EXAMPLE])
    assert inventory.notes == ()
    assert {target.kind for target in inventory.targets} == {
        "linux",
        "rds_cluster",
        "rds_instance",
        "autoscaling_group",
        "elasticache_replication_group",
        "target_group",
    }
    assert all(target.variable("protected") is True for target in inventory.members("production"))
