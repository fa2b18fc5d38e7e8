"""The generated pages: one for each playbook and operation, each with what it has to say."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from crashcart.operations import SHIPPED, find_operation
from crashcart.operations.base import CloudOperation, Effect
from crashcart.playbooks.library import Library
from tests.documented import CHECKOUT
from website.cases import Behaviour
from website.markdown import cell, prose, table
from website.playbooks import NOT_DRILLED, POLICY_MISSING, Reference, operation_names
from website.records import arguments, records_in
from website.reference import generated_pages

PLAYBOOKS = [name for name in Library(None).entries if not name.startswith("drill.")]


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference()


@pytest.fixture(scope="module")
def pages() -> Mapping[str, str]:
    return generated_pages()


def sections(text: str) -> set[str]:
    return {line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")}


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
    assert sections(text) >= (wanted | {"Undo", "How far it goes at a time"} if acts else wanted)
    for param in playbook.params:
        assert f"`--{param.replace('_', '-')}`" in text
    assert playbook.source in text
    assert NOT_DRILLED not in text
    assert POLICY_MISSING not in text


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_an_operation_s_page_is_complete(name: str, pages: Mapping[str, str]) -> None:
    text = pages[f"reference/operations/{name}.md"]
    assert sections(text) >= {"What it observes", "Arguments", "What it does", "What it refuses", "Calls"}
    for call in getattr(find_operation(name), "calls", ()):
        assert f"`{call.action}`" in text


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_what_refuses_says_so_in_its_docstring(name: str) -> None:
    behaviour = Behaviour(name)
    if behaviour.refusals and behaviour.actions:
        assert "\n    Refuses " in (type(behaviour.operation).__doc__ or "")


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_a_cloud_operation_declares_its_calls(name: str) -> None:
    operation = find_operation(name)
    if isinstance(operation, CloudOperation):
        declared = {call.action.partition(":")[2] for call in operation.calls}
        assert {action.api.operation for action in Behaviour(name).actions} <= declared


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_the_cases_of_what_acts_show_an_act(name: str) -> None:
    behaviour = Behaviour(name)
    assert behaviour.effects == (Effect.READ,) if behaviour.operation.reads_only else behaviour.actions


def test_every_undo_is_an_operation_with_a_page(pages: Mapping[str, str]) -> None:
    undone = {name: undo for name in SHIPPED for undo in Behaviour(name).undos}
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
