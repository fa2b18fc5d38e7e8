from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crashcart.errors import BadInput
from crashcart.secrets import Secret
from crashcart.targets import Target
from crashcart.transports.ssh import SshConnector, check_target
from crashcart.transports.sshargs import InventorySettings, inventory_settings

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"


def settings(**variables: Any) -> InventorySettings:
    return inventory_settings(Target("web1", variables=variables))


def options(**variables: Any) -> list[str]:
    return [f"{option.name}={option.value}" for option in settings(**variables).options]


def test_nothing_said() -> None:
    assert settings() == InventorySettings("web1")


def test_variables(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.touch()
    found = options(ansible_port=2222, ansible_user="ops", ansible_ssh_private_key_file=str(key))
    assert found == ["Port=2222", f"IdentityFile={key}", "User=ops"]
    assert settings(ansible_host="10.0.0.1").host == "10.0.0.1"


@pytest.mark.parametrize("variable", ["ansible_ssh_common_args", "ansible_ssh_extra_args"])
@pytest.mark.parametrize(
    ("args", "found"),
    [
        ("-o ProxyJump=a,b", ["ProxyJump=a,b"]),
        ("-J ops@bastion:2222", ["ProxyJump=ops@bastion:2222"]),
        ("-Jbastion -p 2222 -l ops", ["ProxyJump=bastion", "Port=2222", "User=ops"]),
        ('-o ProxyCommand="ssh -W %h:%p -q bastion"', ["ProxyCommand=ssh -W %h:%p -q bastion"]),
        ("-o 'ProxyCommand ssh -W %h:%p bastion'", ["ProxyCommand=ssh -W %h:%p bastion"]),
        ("-o UserKnownHostsFile='/a /b'", ["UserKnownHostsFile=/a /b"]),
        ("-oPort=5 -C -q -o ControlMaster=auto", ["Port=5"]),
        ("-o ConnectTimeout=3", ["ConnectTimeout=3"]),
    ],
)
def test_arguments(variable: str, args: str, found: list[str]) -> None:
    assert options(**{variable: args}) == found
    assert settings(**{variable: args}).ignored == ()


def test_variables_come_before_arguments() -> None:
    found = options(ansible_port=1, ansible_ssh_common_args="-p 2", ansible_ssh_extra_args="-p 3")
    assert found == ["Port=1", "Port=2", "Port=3"]


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ("-o StrictHostKeyChecking=no", "StrictHostKeyChecking=no is not honoured, host keys are always verified"),
        ("-o StrictHostKeyChecking=accept-new", "StrictHostKeyChecking=accept-new is not honoured"),
        ("-o Fancy=yes", "-o Fancy is not known to crashcart and is ignored"),
        ("-A", "-A is not known to crashcart and is ignored"),
        ("-o ForwardAgent=yes", "-o ForwardAgent is not known"),
    ],
)
def test_what_is_not_honoured_is_said(args: str, sentence: str) -> None:
    (said,) = settings(ansible_ssh_common_args=args).ignored
    assert said.startswith(f"ansible_ssh_common_args: {sentence}")


def test_it_is_said_once_for_a_thousand_targets() -> None:
    connector = SshConnector(config_files=())
    for number in range(1000):
        connector(Target(f"web{number}", variables={"ansible_ssh_common_args": "-A -o StrictHostKeyChecking=no"}))
    assert len(connector.notes) == 2


def test_harmless_options_are_passed_over() -> None:
    args = "-o StrictHostKeyChecking=yes -o ControlPersist=60s -o ForwardAgent=no -vvv -4"
    assert settings(ansible_ssh_common_args=args).ignored == ()


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"ansible_port": "abc"}, "ansible_port: 'abc' is no port"),
        ({"ansible_port": 0}, "ansible_port: '0' is no port"),
        ({"ansible_port": 65536}, "ansible_port: '65536' is no port"),
        ({"ansible_port": "²"}, "is no port"),
        ({"ansible_port": True}, "ansible_port is True, not a text"),
        ({"ansible_port": [22]}, r"ansible_port is \[22\], not a text"),
        ({"ansible_ssh_common_args": "-p 99999"}, "ansible_ssh_common_args: '99999' is no port"),
        ({"ansible_ssh_private_key_file": "/no/such/key"}, "there is no key file /no/such/key"),
        ({"ansible_ssh_private_key_file": "/"}, "there is no key file"),
        ({"ansible_ssh_extra_args": "-i ~/no-such-key"}, "ansible_ssh_extra_args: there is no key file ~/no-such-key"),
        ({"ansible_ssh_common_args": "-o 'ProxyJump=x"}, "ansible_ssh_common_args cannot be read"),
        ({"ansible_ssh_common_args": "-Z"}, "ansible_ssh_common_args cannot be read"),
        ({"ansible_ssh_common_args": "bastion"}, "has the stray word 'bastion'"),
        ({"ansible_ssh_common_args": "-o ConnectTimeout=soon"}, "no number of seconds"),
        ({"ansible_user": "ops\nProxyCommand evil"}, "control character"),
        ({"ssh_host_key": "nonsense"}, "ssh_host_key"),
        ({"ssh_host_key": 5}, "ssh_host_key is not a text"),
        ({"ssh_host_key": KEY.replace("ed25519 ", "rsa ")}, "not of the type"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_contacted(variables: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message) as caught:
        check_target(Target("web1", variables=variables))
    assert caught.value.message.startswith("web1: ")


@pytest.mark.parametrize("value", [KEY, [KEY], f"{KEY} root@web1\n", f"{KEY}\n{KEY}"])
def test_pinned_keys(value: object) -> None:
    assert all(key.startswith(KEY) for key in settings(ssh_host_key=value).pinned_keys)


def test_secrets_stay_secret() -> None:
    found = settings(ansible_ssh_pass="hunter2", ansible_become_password=Secret("hunter3"))  # noqa: S106 - no secret
    assert found.password == Secret("hunter2")
    assert found.become_password == Secret("hunter3")
    assert "hunter" not in repr(found)
