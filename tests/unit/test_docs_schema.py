"""docs/playbook.schema.json: what the code makes; takes every shipped playbook, and notices what the loader notices."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import jsonschema
import msgspec
import pytest
import yaml

from crashcart.operations import SHIPPED
from crashcart.playbooks.jsonschema import playbook_schema, schema_text
from tests.documented import CHECKOUT, files

FILE = CHECKOUT / "docs/playbook.schema.json"
PLAYBOOKS = sorted((CHECKOUT / "playbooks").glob("*/*.yml"))

PLAYBOOK = """
summary: text
kinds: [linux]
params: {path: {type: path, help: text, default: /}}
rollout: {batches: [1, 25%], max_failures: 10%}
steps:
  - disk.reclaim: {path: "{{ path }}", below: 80}
    retry: {attempts: 3, deadline: 5m}
    undo: {when: {disk.assess: {}}}
"""

Change = Callable[[Any], object]


@cache
def validator() -> Any:
    return jsonschema.Draft202012Validator(playbook_schema())


def test_the_file_is_current() -> None:
    assert FILE.read_text() == schema_text(), "python -m crashcart.playbooks.jsonschema > docs/playbook.schema.json"


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(msgspec.json.decode(FILE.read_bytes()))


def test_it_knows_every_operation() -> None:
    assert set(playbook_schema()["$defs"]["step"]["properties"]) >= set(SHIPPED)


@pytest.mark.parametrize("path", PLAYBOOKS, ids=lambda path: f"{path.parent.name}.{path.stem}")
def test_every_shipped_playbook_validates(path: Any) -> None:
    validator().validate(yaml.safe_load(path.read_text()))


@pytest.mark.parametrize("page", ["playbooks.md", "first-runbook.md"])
def test_the_examples_of_the_documentation_validate(page: str) -> None:
    given = files(CHECKOUT / "docs" / page)
    assert given
    for text in given.values():
        validator().validate(yaml.safe_load(text))


def test_an_operation_of_somebody_else_is_taken() -> None:
    playbook = yaml.safe_load(PLAYBOOK)
    playbook["steps"].append({"acme.fix": {"anything": 1}})
    validator().validate(playbook)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda one: one.pop("summary"),
        lambda one: one.update(sumary="text"),
        lambda one: one.update(on_failure="ignore"),
        lambda one: one["params"]["path"].update(type="pth"),
        lambda one: one["params"]["path"].pop("help"),
        lambda one: one["rollout"].update(batch=1),
        lambda one: one["steps"].clear(),
        lambda one: one["steps"][0].update({"disk.assess": {}}),
        lambda one: one["steps"][0].update(wen="x"),
        lambda one: one["steps"][0]["disk.reclaim"].update(pth="/"),
        lambda one: one["steps"][0]["disk.reclaim"].update(below=True),
        lambda one: one["steps"].append({"disk.relcaim": {}}),
        lambda one: one["steps"][0]["undo"].update(when={}),
        lambda one: one["steps"][0]["retry"].update(attempts="many"),
    ],
)
def test_a_slip_is_noticed(spoil: Change) -> None:
    playbook = yaml.safe_load(PLAYBOOK)
    validator().validate(playbook)
    spoil(playbook)
    with pytest.raises(jsonschema.ValidationError):
        validator().validate(playbook)
