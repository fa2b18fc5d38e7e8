"""The variable names that mean something to crashcart itself, whatever playbook runs."""

from __future__ import annotations

from crashcart.secrets import is_secret_name

OLD_NAMES = {
    "ansible_ssh_host": "ansible_host",
    "ansible_ssh_user": "ansible_user",
    "ansible_ssh_port": "ansible_port",
    "ansible_private_key_file": "ansible_ssh_private_key_file",
}
"""Older spellings that Ansible still reads, and the names that crashcart gives them when those are not set."""

_CONNECTION = frozenset(
    f"ansible_{name}"
    for name in (
        "host", "user", "port", "password", "connection", "ssh_private_key_file", "ssh_common_args", "ssh_extra_args",
        "ssh_pass",
    )
)  # fmt: skip
_SAFETY = frozenset({"kind", "protected", "drill", "ssh_host_key", "freeze", "budget", "lock", "audit"})
_NEEDLESS = "ansible_python_interpreter"


def is_foreign(name: str) -> bool:
    """Tell whether a variable means something to Ansible and nothing to crashcart."""
    if not name.startswith("ansible_") or name.startswith("ansible_become"):
        return False
    return name not in _CONNECTION and name not in OLD_NAMES and name != _NEEDLESS


def is_decisive(name: str) -> bool:
    """Tell whether a target is another one, or less protected, without this variable.

    A password is not decisive: where it is missing, it is asked for or the login fails.
    """
    return (name in _CONNECTION | _SAFETY or name.startswith("aws_")) and not is_secret_name(name)
