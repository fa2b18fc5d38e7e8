from __future__ import annotations

from pathlib import Path
from shlex import split

import yaml

from crashcart.lab.folder import Folder
from crashcart.lab.inventory import inventory_text

FOLDER = Folder("lab", Path("/data/crashcart/lab"))


def test_hosts_have_their_port_and_share_the_rest() -> None:
    lab = yaml.safe_load(inventory_text(FOLDER, "127.0.0.1", {"lab1": 4001, "lab2": 4002}))["all"]["children"]["lab"]
    assert lab["hosts"] == {"lab1": {"ansible_port": 4001}, "lab2": {"ansible_port": 4002}}
    assert lab["vars"] == {
        "ansible_host": "127.0.0.1",
        "ansible_user": "ops",
        "ansible_ssh_private_key_file": "/data/crashcart/lab/id_ed25519",
        "ansible_ssh_common_args": "-o UserKnownHostsFile=/data/crashcart/lab/known_hosts",
        "drill": True,
        "health_url": "http://127.0.0.1:8000/health",
        "unit": "api.service",
        "tmp_owner": "api",
    }


def test_with_the_lab_down_the_group_is_there_and_empty() -> None:
    assert yaml.safe_load(inventory_text(FOLDER, "127.0.0.1", {}))["all"]["children"]["lab"]["hosts"] == {}


def test_a_folder_with_a_space_stays_one_file_for_the_shell_and_for_ssh() -> None:
    lab = yaml.safe_load(inventory_text(Folder("lab", Path("/my data/lab")), "127.0.0.1", {}))["all"]["children"]["lab"]
    assert split(lab["vars"]["ansible_ssh_common_args"]) == ["-o", 'UserKnownHostsFile="/my data/lab/known_hosts"']
