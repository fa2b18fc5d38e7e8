"""The practice fleet itself, on real containers."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from crashcart.errors import LabError
from crashcart.lab.containers import find_containers
from crashcart.lab.engine import Engine, working_engines
from crashcart.lab.lab import Lab
from tests.lab.hosts import Host, eventually, hosts_of

pytestmark = pytest.mark.lab


@pytest.fixture
def engine(lab: Lab) -> Engine:
    return next(one for one in working_engines() if find_containers(one, lab.folder))


def ids(engine: Engine, lab: Lab) -> dict[str, str]:
    return {one.host: one.id for one in find_containers(engine, lab.folder)}


def attached(device: str) -> bool:
    return Path(f"/sys/block/{Path(device).name}/loop/backing_file").exists()


def test_up_again_is_fast_and_leaves_the_hosts_alone(lab: Lab, engine: Engine) -> None:
    before, began = ids(engine, lab), time.monotonic()
    status = lab.up(3)
    assert time.monotonic() - began < 10
    assert status.up
    assert ids(engine, lab) == before


def test_fewer_hosts_than_there_are_removes_none(lab: Lab) -> None:
    assert [host.name for host in lab.up(1).hosts] == ["lab1", "lab2", "lab3"]


def test_hosts_run_real_systemd_and_a_persistent_journal(hosts: dict[str, Host]) -> None:
    for name, host in hosts.items():
        assert host.say("hostname") == name
        assert host.say("cat /proc/1/comm") == "systemd"
        assert host.say("systemctl is-system-running --wait || systemctl --failed --no-legend") == "running"
        assert "listening" in host.say("sudo journalctl --directory=/var/log/journal --unit=api.service --no-pager")


def test_var_is_a_small_file_system_of_its_own(hosts: dict[str, Host], lab: Lab) -> None:
    notes = "\n".join(lab.status().notes)
    for host in hosts.values():
        seen = host.say("findmnt -no FSTYPE /var; df --output=size,itotal --block-size=1M /var | tail -n 1")
        kind, size, inodes = seen.split()
        assert kind == "ext4" or (kind == "tmpfs" and f"{host.name}: /var is a tmpfs" in notes)
        assert 200 <= int(size) <= 256
        assert int(inodes) == 16384
        assert host.say("ls /var/lib/dpkg/status /var/cache/apt") != ""


def test_a_full_disk_is_full_and_turns_the_service_unhealthy(hosts: dict[str, Host]) -> None:
    host = hosts["lab2"]
    assert host.health() == "ok 200"
    fill = host.ssh("sudo dd if=/dev/zero of=/var/filler bs=64k; sudo dd if=/dev/zero of=/var/filler.2 bs=4k")
    try:
        assert b"No space left on device" in fill.stderr
        assert host.say("df --output=avail /var | tail -n 1") == "0"
        assert host.health() == "cannot write /var/lib/api: No space left on device 503"
    finally:
        host.say("sudo rm -f /var/filler /var/filler.2")
    assert host.health() == "ok 200"


def test_ops_may_become_root_without_a_password(hosts: dict[str, Host]) -> None:
    assert hosts["lab1"].say("id -un; sudo -n id -un").split() == ["ops", "root"]


def test_only_the_written_host_key_is_accepted(hosts: dict[str, Host], tmp_path: Path) -> None:
    nobody = tmp_path / "known_hosts"
    nobody.touch()
    refused = hosts["lab1"].ssh("true", "-o", f"UserKnownHostsFile={nobody}")
    assert refused.returncode == 255
    assert b"Host key verification failed" in refused.stderr


def test_passwords_and_root_are_not_let_in(hosts: dict[str, Host]) -> None:
    host = hosts["lab1"]
    root = Host("lab1", host.variables | {"ansible_user": "root"})
    assert b"Permission denied (publickey)" in root.ssh("true").stderr


def test_two_labs_live_side_by_side_and_one_goes_without_a_trace(
    lab: Lab, other_lab: Lab, engine: Engine, hosts: dict[str, Host]
) -> None:
    first = ids(engine, lab)
    assert other_lab.up(1).up
    other = hosts_of(other_lab)["lab1"]
    assert other.say("cat /etc/machine-id") != hosts["lab1"].say("cat /etc/machine-id")
    device = other.say("findmnt -no SOURCE /var")
    assert other_lab.down().hosts == ()
    assert find_containers(engine, other_lab.folder) == []
    assert device == "tmpfs" or eventually(lambda: not attached(device))
    assert str(other_lab.folder.path) not in Path("/proc/self/mounts").read_text()
    assert hosts_of(other_lab) == {}
    assert ids(engine, lab) == first
    assert lab.status().up


def test_a_killed_up_is_repaired_by_the_next(other_lab: Lab, engine: Engine) -> None:
    code = f"from crashcart.lab.lab import Lab; Lab.open({other_lab.folder.name!r}).up(3)"
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        assert eventually(lambda: find_containers(engine, other_lab.folder), within=30)
        process.send_signal(signal.SIGKILL)
    status = other_lab.up(3)
    assert status.up
    assert [host.name for host in status.hosts] == ["lab1", "lab2", "lab3"]
    assert all(host.health() == "ok 200" for host in hosts_of(other_lab).values())


def test_two_ups_at_once_make_one_lab(other_lab: Lab, engine: Engine) -> None:
    told: list[str] = []
    with ThreadPoolExecutor(2) as pool:
        ups = [pool.submit(Lab.open(other_lab.folder.name).up, 1, told.append) for _ in range(2)]
        assert all(up.result().up for up in ups)
    assert len(find_containers(engine, other_lab.folder)) == 1
    assert sum("waiting" in line for line in told) == 1


def test_a_host_that_died_is_made_anew_and_the_others_stay(other_lab: Lab, engine: Engine) -> None:
    other_lab.up(2)
    before, port = ids(engine, other_lab), hosts_of(other_lab)["lab1"].variables["ansible_port"]
    engine.ask("kill", before["lab1"])
    assert eventually(lambda: not other_lab.status().hosts[0].running)
    told: list[str] = []
    assert other_lab.up(2, told.append).up
    assert "lab1 is removed: it is half made or was stopped" in told
    after = ids(engine, other_lab)
    assert after["lab1"] != before["lab1"]
    assert after["lab2"] == before["lab2"]
    assert hosts_of(other_lab)["lab1"].variables["ansible_port"] == port


def test_reset_takes_hosts_back_to_their_first_state_with_the_same_address_and_key(other_lab: Lab) -> None:
    other_lab.up(1)
    known = other_lab.folder.known_hosts.read_text()
    hosts_of(other_lab)["lab1"].say("sudo touch /var/stray && sudo systemctl stop api")
    assert other_lab.reset().up
    assert other_lab.folder.known_hosts.read_text() == known
    host = hosts_of(other_lab)["lab1"]
    assert host.say("ls /var") == host.say("ls --ignore=stray /var")
    assert host.health() == "ok 200"


def test_reset_of_a_lab_that_is_down_says_so(other_lab: Lab) -> None:
    with pytest.raises(LabError, match=r"is down\n  hint: inv lab.up"):
        other_lab.reset()


@pytest.fixture
def misbehave(hosts: dict[str, Host]) -> Callable[[str], Host]:
    def send(signal_name: str) -> Host:
        hosts["lab3"].say(f"sudo systemctl kill --kill-who=main --signal={signal_name} api")
        return hosts["lab3"]

    return send


def test_the_service_comes_back_by_itself_after_an_ordinary_crash(misbehave: Callable[[str], Host]) -> None:
    host = misbehave("ABRT")
    assert eventually(lambda: host.health() == "ok 200")
    assert int(host.say("systemctl show --value --property=NRestarts api")) >= 1
    host.say("sudo systemctl reset-failed api")
