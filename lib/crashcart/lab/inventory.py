"""The inventory that the lab writes, in Ansible's own YAML, so that Ansible itself could use it too."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

import yaml

from crashcart.lab.folder import Folder

_HEADER = "# Written by `inv lab.up` and `inv lab.down`; changes here are lost.\n"


def inventory_text(folder: Folder, address: str, ports: Mapping[str, int]) -> str:
    """Return the inventory of the hosts that run, by name and port. With the lab down, group ``lab`` is there and empty."""
    hosts = {host: {"ansible_port": port} for host, port in ports.items()}
    lab = {"hosts": hosts, "vars": _variables(folder, address)}
    return _HEADER + yaml.safe_dump({"all": {"children": {"lab": lab}}}, sort_keys=False, width=1000)


def _variables(folder: Folder, address: str) -> dict[str, Any]:
    return {
        "ansible_host": address,
        "ansible_user": "ops",
        "ansible_ssh_private_key_file": str(folder.client_key),
        "ansible_ssh_common_args": f"-o {shlex.quote(_known_hosts_option(str(folder.known_hosts)))}",
        "drill": True,
        "health_url": "http://127.0.0.1:8000/health",
        "unit": "api.service",
        "tmp_owner": "api",
    }


def _known_hosts_option(path: str) -> str:
    """Quote for ssh itself, which would read a path with a space as two files."""
    return f'UserKnownHostsFile="{path}"' if " " in path else f"UserKnownHostsFile={path}"
