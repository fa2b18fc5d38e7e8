from __future__ import annotations

import getpass
import time
from pathlib import Path
from typing import Any

import pytest

from crashcart.errors import BadInput
from crashcart.targets import Target
from crashcart.transports.endpoint import Endpoint
from crashcart.transports.ssh import SshConnector


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    return tmp_path


def resolve(config: str, name: str = "web1", **variables: Any) -> Endpoint:
    file = Path("~/.ssh/config").expanduser()
    file.write_text(config)
    return SshConnector(config_files=[file]).resolve(Target(name, variables=variables))


def test_nothing_said(home: Path) -> None:
    endpoint = SshConnector(config_files=[home / "none"]).resolve(Target("web1"))
    assert (endpoint.host, endpoint.port, endpoint.user) == ("web1", 22, getpass.getuser())
    assert endpoint.known_hosts[0] == home / ".ssh/known_hosts"
    assert endpoint.known_hosts[2] == Path("/etc/ssh/ssh_known_hosts")
    assert not endpoint.exclusive
    assert endpoint.connect_timeout == 5


def test_the_first_value_wins() -> None:
    endpoint = resolve("Host web1\n Port 1\n User one\nHost web*\n Port 2\n User two\nHost *\n HostName %h.lab\n")
    assert (endpoint.host, endpoint.port, endpoint.user) == ("web1.lab", 1, "one")


def test_the_inventory_wins(home: Path) -> None:
    (home / "key").touch()
    endpoint = resolve(
        "Port 1\nUser one\nIdentityFile ~/other\n", ansible_port=2, ansible_user="two", ansible_ssh_private_key_file="~/key"
    )
    assert (endpoint.port, endpoint.user, endpoint.key_files) == (2, "two", (home / "key",))
    assert endpoint.exclusive


def test_ansible_host_is_what_is_looked_up() -> None:
    assert resolve("Host web1\n Port 1\nHost 10.0.0.1\n Port 2\n", ansible_host="10.0.0.1").port == 2


def test_identity_files_of_ssh_config_leave_the_agent_in(home: Path) -> None:
    endpoint = resolve("Host web1\n IdentityFile ~/one\nHost *\n IdentityFile %d/two\n IdentityFile none\n")
    assert endpoint.key_files == (home / "one", home / "two")
    assert not endpoint.exclusive
    assert resolve("IdentitiesOnly yes\n").exclusive


def test_tokens_see_the_inventory() -> None:
    endpoint = resolve("ProxyCommand nc -x %r %h %p\n", ansible_port=2222, ansible_user="ops", ansible_host="db")
    assert endpoint.proxy_command == "nc -x ops db 2222"


def test_match_sees_the_inventory() -> None:
    assert resolve("Match user ops\n Port 5\n", ansible_user="ops").port == 5


@pytest.mark.parametrize(
    ("config", "jump", "command"),
    [
        ("ProxyCommand x\nProxyJump j\n", "", "x"),
        ("ProxyJump j\nProxyCommand x\n", "j", ""),
        ("ProxyJump none\nProxyCommand x\n", "", ""),
        ("ProxyCommand none\nProxyJump j\n", "", ""),
    ],
)
def test_of_the_ways_the_first_one_counts(config: str, jump: str, command: str) -> None:
    endpoint = resolve(config)
    assert (endpoint.jump.host if endpoint.jump else "", endpoint.proxy_command) == (jump, command)


def test_a_jump_host_is_resolved_as_any_host() -> None:
    config = "Host b\n HostName 10.0.0.2\n User bastion\n ProxyJump c\nHost web1\n ProxyJump ops@[::1]:2222,b\n"
    last = resolve(config).jump
    assert last is not None
    assert last.login == "bastion@10.0.0.2:22"
    assert last.jump is not None
    assert last.jump.login == "ops@[::1]:2222"
    assert last.jump.jump is None


def test_a_jump_host_for_all_does_not_jump_through_itself() -> None:
    jump = resolve("Host *\n ProxyJump bastion\n").jump
    assert jump is not None
    assert jump.jump is None
    assert resolve("Host *\n ProxyJump bastion\n", "bastion").jump is None


def test_a_jump_host_without_settings_takes_those_of_the_target(home: Path) -> None:
    (home / "key").touch()
    args = "-J bastion -o UserKnownHostsFile=/known"
    jump = resolve("", ansible_ssh_common_args=args, ansible_ssh_private_key_file="~/key").jump
    assert jump is not None
    assert jump.key_files == (home / "key",)
    assert not jump.exclusive
    assert jump.known_hosts[0] == Path("/known")


def test_includes(home: Path) -> None:
    (home / ".ssh/conf.d").mkdir()
    (home / ".ssh/conf.d/a").write_text("Host web1\n User a\nHost other\n")
    (home / ".ssh/conf.d/b").write_text("Include ~/.ssh/more\n")
    (home / ".ssh/more").write_text("Host web1\n HostKeyAlias fleet\n")
    endpoint = resolve("Include conf.d/* missing\nPort 7\n")
    assert (endpoint.user, endpoint.host_key_alias, endpoint.port) == ("a", "fleet", 7)


def test_an_include_within_a_block_leaves_the_block_open(home: Path) -> None:
    (home / ".ssh/more").write_text("User more\n")
    config = "Host web1\n Include more\n Port 7\n"
    assert (resolve(config).user, resolve(config).port) == ("more", 7)
    assert resolve(config, "web2").port == 22


def test_an_include_of_itself_ends() -> None:
    with pytest.raises(BadInput, match="includes itself"):
        resolve("Include config\n")


@pytest.mark.parametrize(
    "config", ["Port many\n", "ConnectTimeout soon\n", "ProxyJump a@b@c:d:e\n", "Match user\n", "Host 'web*\n"]
)
def test_what_cannot_be_used(config: str) -> None:
    with pytest.raises(BadInput, match=r"web1|ProxyJump"):
        resolve(config)


def test_known_hosts_files(home: Path) -> None:
    endpoint = resolve('UserKnownHostsFile ~/a "/b c"\nGlobalKnownHostsFile none\n')
    assert endpoint.known_hosts == (home / "a", Path("/b c"))


def test_a_shorter_connect_timeout_is_honoured_a_longer_one_is_not() -> None:
    assert resolve("ConnectTimeout 2\n").connect_timeout == 2
    assert resolve("ConnectTimeout 60\n").connect_timeout == 5


def test_a_thousand_blocks_are_not_walked_for_a_thousand_hosts(home: Path) -> None:
    """Quadratic matching took minutes; no machine is so slow that a linear one takes ten seconds."""
    file = home / ".ssh/config"
    file.write_text("".join(f"Host web{n}\n HostName 10.0.{n // 250}.{n % 250}\n User u\n" for n in range(1000)))
    started = time.monotonic()
    connector = SshConnector(config_files=[file])
    for number in range(1000):
        assert connector.resolve(Target(f"web{number}")).user == "u"
    assert time.monotonic() - started < 10
