"""The generated pages: one for each playbook and operation, each with what it has to say."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

import pytest

from crashcart.operations import SHIPPED, find_operation
from crashcart.operations.base import CloudOperation, Effect, HostOperation
from crashcart.playbooks.library import Library
from tests.documented import CHECKOUT
from website.cases import behaviour
from website.drills import CHECKING, NO_DRILL, NOT_DRILLED
from website.markdown import cell, prose, table
from website.playbooks import Reference
from website.policies import DATABASE_LOGIN, HOST_LOGIN, POLICY_MISSING
from website.records import arguments, records_in
from website.reference import generated_pages
from website.uses import operation_names, reads_only

PLAYBOOKS = [name for name in Library(None).entries if not name.startswith("drill.")]


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference()


@pytest.fixture(scope="module")
def pages() -> Mapping[str, str]:
    return generated_pages()


def sections(text: str) -> dict[str, str]:
    """The sections of a page that say something."""
    parts = (part.partition("\n") for part in text.split("\n## ")[1:])
    return {title: body.strip() for title, _, body in parts if body.strip()}


@pytest.mark.parametrize("name", PLAYBOOKS)
def test_a_playbook_s_page_is_complete(name: str, pages: Mapping[str, str], reference: Reference) -> None:
    text, playbook = pages[f"reference/playbooks/{name}.md"], reference.playbooks[name]
    acts = any(not find_operation(used).reads_only for used in operation_names(playbook))
    wanted = {
        "Parameters",
        "Steps",
        "Facts it reads",
        "Calls it makes",
        "What it refuses",
        "Drill",
        "Least-privilege policy",
    }
    assert sections(text).keys() >= (wanted | {"Undo", "How far it goes at a time"} if acts else wanted)
    for param in playbook.params:
        assert f"`--{param.replace('_', '-')}`" in text
    assert playbook.source in text
    assert NOT_DRILLED not in text
    assert POLICY_MISSING not in text


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_an_operation_s_page_is_complete(name: str, pages: Mapping[str, str]) -> None:
    text = pages[f"reference/operations/{name}.md"]
    assert sections(text).keys() >= {
        "What it observes",
        "Arguments",
        "What it does",
        "What it refuses",
        "Undo",
        "Calls",
        "Drill",
        "Least-privilege policy",
    }
    for call in getattr(find_operation(name), "calls", ()):
        assert f"`{call.action}`" in text


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_an_operation_s_policy_allows_its_calls_and_its_undo_alone(name: str, pages: Mapping[str, str]) -> None:
    operation, text = find_operation(name), sections(pages[f"reference/operations/{name}.md"])["Least-privilege policy"]
    if not isinstance(operation, CloudOperation):
        assert (HOST_LOGIN in text) is isinstance(operation, HostOperation)
        assert (DATABASE_LOGIN in text) is not isinstance(operation, HostOperation)
        return
    statements = json.loads(text.split("```")[1].removeprefix("json"))["Statement"]
    needed = (operation, *map(find_operation, operation.undone_by))
    calls = {call.action for one in needed for call in getattr(one, "calls", ())}
    assert {action for statement in statements for action in statement["Action"]} == calls
    assert re.search(r"\]\(\.\./\.\./aws/policies/[\w.-]+\.json\)", text)


def test_the_drills_of_an_operation_are_those_whose_playbooks_come_to_it(pages: Mapping[str, str]) -> None:
    text = {name: sections(pages[f"reference/operations/{name}.md"])["Drill"] for name in SHIPPED}
    drilled = {name: set(re.findall(r"\[`(drill\.[\w-]+)`\]", told)) for name, told in text.items()}
    assert drilled["systemd.restart"] == {"drill.service-restart", "drill.service-limits"}
    assert "| undo of `limits.set` |" in text["limits.restore"]
    assert "| condition of the undo of `elbv2.drain` |" in text["systemd.assess"]
    assert "| step of the check |" in text["disk.assess"]
    for name, found in drilled.items():
        assert bool(found) is not text[name].startswith("None: ")


@pytest.mark.parametrize("name", PLAYBOOKS)
def test_a_check_claims_no_drill_that_does_not_run_it(name: str, pages: Mapping[str, str], reference: Reference) -> None:
    text = sections(pages[f"reference/playbooks/{name}.md"])["Drill"]
    checked = {
        drill.name
        for drill in reference.drills.values()
        if any(variant.check.playbook == name for variant in drill.variants.values())
    }
    if reads_only(reference.playbooks[name]):
        assert text.startswith(CHECKING if checked else NO_DRILL)
        assert set(re.findall(r"\[`(drill\.[\w-]+)`\]", text)) == checked
    else:
        assert f"inv drill.{name.removeprefix('recover.')} --hosts lab" in text


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_what_refuses_says_so_in_its_docstring(name: str) -> None:
    found = behaviour(name)
    if found.refusals and found.actions:
        assert "\n    Refuses " in (type(found.operation).__doc__ or "")


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_a_cloud_operation_declares_its_calls(name: str) -> None:
    operation = find_operation(name)
    if isinstance(operation, CloudOperation):
        declared = {call.action.partition(":")[2] for call in operation.calls}
        assert {action.api.operation for action in behaviour(name).actions} <= declared


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_the_cases_of_what_acts_show_an_act(name: str) -> None:
    found = behaviour(name)
    assert found.effects == (Effect.READ,) if found.operation.reads_only else found.actions


def test_every_undo_is_an_operation_with_a_page(pages: Mapping[str, str]) -> None:
    undone = {name: undo for name in SHIPPED for undo in behaviour(name).undos}
    assert undone["limits.set"] == "limits.restore"
    for name, undo in undone.items():
        assert f"({undo}.md)" in pages[f"reference/operations/{name}.md"]


def test_a_table_keeps_bars_inside_its_cells() -> None:
    assert cell("a | `b | c`\nd") == "a \\| `b | c` d"
    assert table(("A",), []) == ""


def test_docstrings_become_prose() -> None:
    assert prose("One ``code`` <b>\n    line (S0-R2).\n\n    Two.") == "One `code` &lt;b> line.\n\nTwo."


def test_records_are_walked_once_each() -> None:
    names = [record.__name__ for record in records_in(find_operation("rds.failover").state)]
    assert names[0] == "Database"
    assert len(names) == len(set(names)) > 5


def test_arguments_have_types_and_defaults_as_people_write_them() -> None:
    text = arguments(find_operation("disk.reclaim").wish)
    assert "| `below` | `percent` | `80%` |" in text
    assert "| `max_age` | `duration` | `7 d` |" in text
    assert "| `log_dirs` | `list of path` | `/var/log` |" in text


def test_the_generator_is_no_part_of_the_package() -> None:
    assert not (CHECKOUT / "lib/crashcart/website").exists()
