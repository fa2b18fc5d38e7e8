"""The inventory that the lab writes, in Ansible's own YAML, so that Ansible itself could use it too."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

import msgspec
import yaml

from crashcart.lab.aws.account import HOSTS_GROUP, KEYS, REGION, RESOURCES
from crashcart.lab.folder import Folder

AWS_GROUP = "lab_aws"
_HEADER = "# Written by `inv lab.up` and `inv lab.down`; changes here are lost.\n"


class Account(msgspec.Struct, frozen=True):
    """The emulated AWS account: where it answers, and which instance each lab host is there."""

    url: str
    instances: dict[str, str] = {}

    @property
    def variables(self) -> dict[str, Any]:
        """How to reach it. Its credentials are nobody's, so that none of the user's ever go there."""
        keys = {"aws_access_key_id": KEYS[0], "aws_secret_access_key": KEYS[1]}
        return {"aws_endpoint_url": self.url, "aws_region": REGION, **keys}


def inventory_text(folder: Folder, address: str, ports: Mapping[str, int], account: Account | None = None) -> str:
    """Return the inventory of the hosts that run, by name and port, and of what the emulated AWS holds.

    With the lab down, the groups ``lab`` and ``lab_aws`` are there and empty.
    """
    hosts = {host: {"ansible_port": port} | _instance(account, host) for host, port in ports.items()}
    behind = {"target_group": HOSTS_GROUP, **account.variables} if account else {}
    lab = {"hosts": hosts, "vars": _variables(folder, address) | behind}
    groups = {"lab": lab, AWS_GROUP: _aws_group(account)}
    return _HEADER + yaml.safe_dump({"all": {"children": groups}}, sort_keys=False, width=1000)


def _instance(account: Account | None, host: str) -> dict[str, Any]:
    return {"instance_id": account.instances[host]} if account and host in account.instances else {}


def _members(account: Account | None, name: str) -> dict[str, Any]:
    """Name the lab hosts' instances where they are targets, for drills."""
    return {"members": account.instances} if account and name == HOSTS_GROUP else {}


def _aws_group(account: Account | None) -> dict[str, Any]:
    """The account's resources by kind."""
    kinds = {
        f"{AWS_GROUP}_{kind}": {
            "hosts": {name: _members(account, name) for name in names if account},
            "vars": {"kind": kind},
        }
        for kind, names in RESOURCES.items()
    }
    return {"children": kinds, "vars": {"drill": True} | (account.variables if account else {})}


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
