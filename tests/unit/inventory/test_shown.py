"""The JSON of ``inventory.show``."""

from __future__ import annotations

import json

from crashcart.inventory import select, show
from tests.unit.inventory.conftest import Load

TEXT = """
web:
  vars: {ansible_user: ops, ansible_ssh_private_key_file: /keys/id, api_token: s3cret}
  hosts:
    web1: {ansible_host: 10.0.0.1, ansible_port: "2222"}
    web2: {db: {password: s3cret, name: app}, ansible_shell_type: sh}
aws:
  vars: {aws_endpoint_url: "http://127.0.0.1:5000"}
  hosts: {cl-1: {kind: rds_cluster}}
hollow:
"""


def test_all(load_text: Load) -> None:
    inventory = load_text(TEXT)
    shown = show(inventory)
    assert shown["schema"] == 1
    assert shown["groups"] == {"all": ["web1", "web2", "cl-1"], "web": ["web1", "web2"], "aws": ["cl-1"], "hollow": []}
    assert shown["notes"] == list(inventory.notes)
    assert shown["targets"][0] == {
        "name": "web1",
        "kind": "linux",
        "groups": ["web"],
        "address": "10.0.0.1",
        "port": 2222,
        "user": "ops",
        "key_file": "/keys/id",
        "endpoint": None,
        "variables": {
            "ansible_user": "ops",
            "ansible_ssh_private_key_file": "/keys/id",
            "api_token": "***",
            "ansible_host": "10.0.0.1",
            "ansible_port": "2222",
        },
    }
    assert (shown["targets"][1]["address"], shown["targets"][1]["port"]) == ("web2", None)
    assert (shown["targets"][2]["address"], shown["targets"][2]["endpoint"]) == (None, "http://127.0.0.1:5000")


def test_secrets_are_masked(load_text: Load) -> None:
    text = json.dumps(show(load_text(TEXT)))
    assert "s3cret" not in text
    assert '"db": {"password": "***", "name": "app"}' in text


def test_a_selection(load_text: Load) -> None:
    inventory = load_text(TEXT)
    shown = show(inventory, select(inventory, "web[1]"))
    assert [target["name"] for target in shown["targets"]] == ["web2"]
    assert shown["groups"] == {"all": ["web2"], "web": ["web2"]}
