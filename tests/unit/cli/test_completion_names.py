"""The names that completion reads: it passes over variables, and must find what loading the whole inventory finds."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crashcart.cli.completion_names import Names, read_names
from crashcart.inventory.files import is_body, read_files
from crashcart.inventory.notes import Notes
from crashcart.inventory.reader import read_document
from crashcart.inventory.tree import Tree
from crashcart.yamlfile import MAX_BYTES

GROUPS = """
all:
  vars: {ntp: [a, b], deep: {deeper: {deepest: 1}}}
  hosts: {lone: {x: 1}}
  children:
    shop:
      vars:
        port: 80
      children:
        web: {hosts: {"web-[01:40]": {rack: {row: 1}}, "web-[a:c].example.com:2222": }}
        db:
          hosts:
            db1:
              ansible_host: 10.0.0.1
              tags: [a, {b: c}]
            db2:
            db3: ~
            db4: {}
          vars:
            ansible_group_priority: 10
    hosts: {hosts: {vars: {hosts: {nobody: }}, children: {children: {nothing: }}}}
    vars: {hosts: web1, vars: {hosts: {nobody: }}}
"""
SHARED = """
web: &web
  hosts: &pair
    web1: &body {rack: 1, also: &more {hosts: {db9: }}}
    web2: *body
  vars: &vars {common: &common {a: 1}, names: &names {app1: , app2: }}
db:
  hosts: *pair
  vars: {<<: *vars, b: 2}
app:
  hosts: *names
  children: {within: *more}
mixed:
  hosts:
    <<: *names
    app3: {<<: [*common, *body], x: 1}
merged:
  <<: *web
  children: {below: {<<: {hosts: {below1: {x: 1}}}}}
keys: {hosts: {? &key key1 : {x: 1}, key2: {*key : 2}}}
"""


def names(path: Path) -> Names:
    return read_names(str(path), None, path.parent)[0]


def whole(path: Path) -> Names:
    """What is there when nothing is passed over."""
    tree = Tree()
    for document in read_files([path], {}, Notes()):
        read_document(document, tree)
    tree.finish()
    groups = {name: len(tree.members(name)) for name in sorted(tree.groups) if name != "ungrouped"}
    return Names(groups, tuple(tree.hosts))


@pytest.mark.parametrize("text", [GROUPS, SHARED], ids=["groups", "shared"])
def test_names_are_those_of_the_whole_inventory(tmp_path: Path, text: str) -> None:
    file = tmp_path / "hosts.yml"
    file.write_text(text)
    assert names(file) == whole(file)
    assert len(names(file).targets) > 6


def test_names_of_a_folder_and_of_json(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text(GROUPS)
    (tmp_path / "b.json").write_text(
        json.dumps({"web": {"hosts": {"json1": {"x": [1, {"y": 2}]}}, "vars": {"x": {"y": 1}}}})
    )
    (tmp_path / "c.yml").touch()
    assert names(tmp_path) == whole(tmp_path)
    assert "json1" in names(tmp_path).targets


def test_what_a_source_is_told_is_not_passed_over(tmp_path: Path) -> None:
    asked = []

    def cmdb(options: dict[str, Any]) -> dict[str, Any]:
        asked.append(options)
        return {"web": {"hosts": {"web1": {"rack": {"row": 1}}}, "vars": {"port": 80}}}

    (tmp_path / "hosts.yml").write_text("source: cmdb\ntags: {vars: shop, hosts: {web1: {a: 1}}}\n")
    (document,) = read_files([tmp_path], {"cmdb": cmdb}, Notes(), is_body)
    assert asked == [{"tags": {"vars": "shop", "hosts": {"web1": {"a": 1}}}}]
    assert document.value == {"web": {"hosts": {"web1": None}, "vars": None}}


NAMES = st.sampled_from(["web", "db", "hosts", "vars", "children", "a", "b"])
VALUES = st.recursive(
    st.none() | st.integers() | st.sampled_from(["", "x", "web"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
BODIES = st.none() | st.dictionaries(NAMES, VALUES, max_size=3)
PLAIN_GROUPS = st.fixed_dictionaries(
    {}, optional={"hosts": st.dictionaries(NAMES.map(lambda name: f"{name}1"), BODIES, max_size=3), "vars": BODIES}
)


@given(
    st.dictionaries(NAMES, PLAIN_GROUPS, max_size=3),
    st.dictionaries(NAMES.map(lambda name: f"{name}-top"), PLAIN_GROUPS, max_size=2),
)
@settings(max_examples=40)
def test_whatever_variables_hold_the_names_are_the_same(
    tmp_path_factory: pytest.TempPathFactory, below: dict[str, object], top: dict[str, object]
) -> None:
    file = tmp_path_factory.mktemp("names") / "hosts.json"
    file.write_text(json.dumps({"all": {"children": below}, **top}))
    assert names(file) == whole(file)


@pytest.mark.parametrize(
    "text",
    [
        "web: {hosts: {web1: {x: [}}}",
        "web: {hosts: {web1: {x: " + "[" * 101 + "]" * 101 + "}}}",
        "web: {vars: " + "{a: " * 100_000,
        "web: {hosts: {web1: {x: '\x01'}}}",
    ],
    ids=["open", "deep", "so deep that a recursion would crash", "control character"],
)
def test_what_is_not_yaml_has_no_names_and_is_watched(tmp_path: Path, text: str) -> None:
    file = tmp_path / "hosts.yml"
    file.write_text(text)
    found, watched = read_names(str(file), None, tmp_path)
    assert found == Names({"all": 0})
    assert file in watched


def test_a_file_that_is_too_big_or_cannot_be_read_has_no_names(tmp_path: Path) -> None:
    file = tmp_path / "hosts.yml"
    file.write_text("web: {hosts: {web1: }}\n" + "#" * MAX_BYTES)
    assert names(file) == Names({"all": 0})
    file.unlink()
    file.symlink_to(file)
    assert names(file) == Names({"all": 0})


def test_aliases_that_mean_billions_of_values_cost_nothing(tmp_path: Path) -> None:
    laughs = "    a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
        f"    {name}: &{name} [{','.join(10 * [f'*{previous}'])}]\n"
        for previous, name in zip("abcdefg", "bcdefgh", strict=True)
    )
    file = tmp_path / "hosts.yml"
    file.write_text(f"web:\n  hosts: {{web1: }}\n  vars:\n{laughs}")
    began = time.process_time()
    assert names(file).targets == ("web1",)
    file.write_text(f"web:\n  vars:\n{laughs}\n  hosts: *h\n")
    assert names(file).targets == ()
    assert time.process_time() - began < 1
