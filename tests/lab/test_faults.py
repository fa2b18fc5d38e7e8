"""Every fault, on a real host: it does what it says, twice in a row, and is taken back without a trace."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from crashcart.lab.faults import CANARY, FAULTS
from tests.lab.hosts import STATE, Host, eventually

pytestmark = pytest.mark.lab

FULL = "cannot write /var/lib/api: No space left on device 503"
# What a careful recovery would delete: old rotated logs by type, name and age, without leaving the file system, and
# cached packages. It is no recovery; it only proves that the fault leaves one something to do.
CAREFUL = """sudo find /var/log/app -xdev -type f -name '*.log.*' -mtime +7 -delete
sudo find /var/cache/apt/archives -xdev -type f -name '*.deb' -delete"""


@pytest.fixture
def host(hosts: dict[str, Host]) -> Iterator[Host]:
    """A host in its steady state, and back in it afterwards whatever the test did."""
    host = hosts["lab1"]
    before, state = restored(host), host.say(STATE)
    yield host
    assert restored(host) ^ before == set()
    assert (host.say(STATE), host.health()) == (state, "ok 200")


def restored(host: Host) -> set[str]:
    """Take every fault out and return the names of all files."""
    for fault in ("disk.full", "service.crash"):  # the disk first: on a full one no service becomes healthy
        host.run(*FAULTS[fault].restore)
    return set(host.say("sudo find /var /tmp /etc -xdev -not -path '/var/log/journal/*'").splitlines())


def inject_twice(host: Host, name: str) -> None:
    host.run(*FAULTS[name].inject)
    host.run(*FAULTS[name].inject)


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        ("service.crash", "signal failed"),
        ("service.start-limit", "start-limit-hit failed"),
    ],
)
def test_service_faults_end_in_the_state_they_promise(host: Host, fault: str, state: str) -> None:
    inject_twice(host, fault)
    assert host.say(STATE) == state
    assert host.health() == "000"


def test_a_crashed_service_is_cured_by_a_restart(host: Host) -> None:
    inject_twice(host, "service.crash")
    host.say("sudo systemctl restart api")
    assert host.health() == "ok 200"


def test_a_hung_service_is_active_and_cured_by_a_restart(host: Host) -> None:
    inject_twice(host, "service.hang")
    assert host.say(STATE) == "success active"
    assert host.health() == "000"
    host.say("sudo systemctl restart api")
    assert host.health() == "ok 200"


def test_a_leaking_service_is_killed_for_memory(host: Host) -> None:
    host.run(*FAULTS["service.leak"].inject)
    assert host.say(STATE) in {"signal failed", "oom-kill failed"}
    assert not Path("oom").exists()  # podman's monitor leaves one where it was started


def test_the_start_limit_yields_to_reset_failed_only(host: Host) -> None:
    inject_twice(host, "service.start-limit")
    assert host.ssh("sudo systemctl start api").returncode != 0
    host.say("sudo systemctl reset-failed api && sudo systemctl start api")
    assert host.health() == "ok 200"


def test_disk_full_leaves_no_byte_and_can_be_relieved(host: Host) -> None:
    inject_twice(host, "disk.full")
    assert host.say("df --output=avail /var | tail -n 1") == "0"
    assert host.health() == FULL
    canary = host.run(CANARY)
    host.say(CAREFUL)
    assert host.used() < 80
    assert host.health() == "ok 200"
    assert host.run(CANARY) == canary


def test_disk_inodes_leaves_no_inode_but_bytes(host: Host) -> None:
    inject_twice(host, "disk.inodes")
    assert host.say("df --output=iavail /var | tail -n 1") == "0"
    assert host.used() < 80
    assert host.health() == FULL
    host.say(CAREFUL)
    assert host.used("ipcent") < 80
    assert host.health() == "ok 200"


def test_disk_open_deleted_has_nothing_to_delete_and_yields_to_a_restart_of_the_holder(host: Host) -> None:
    inject_twice(host, "disk.open-deleted")
    host.say(CAREFUL)
    assert host.used() == 100
    holder = "drill-log-shipper.service"
    pid = host.say(f"systemctl show --value --property=MainPID {holder}")
    assert "(deleted)" in host.say(f"sudo ls -l /proc/{pid}/fd")
    host.say(f"sudo systemctl restart {holder}")
    assert host.used() < 80
    assert eventually(lambda: host.health() == "ok 200")


def test_hostile_names_are_there_and_can_be_relieved(host: Host) -> None:
    inject_twice(host, "disk.hostile-names")
    assert host.health() == FULL
    names = host.ssh("sudo find /var/log/app -type f -print0").stdout
    for part in (b"new\nline", b'"quoted"', b"  spaces  ", b"/-rf", b"$(touch", b"\xff\xfe", b"\\backslash"):
        assert part in names
    links = host.say("sudo find /var/log/app /tmp /var/tmp -type l -printf '%l\\n'").split()
    assert {"/", "/etc/passwd", "/var/lib/canary"} <= set(links)
    canary = host.run(CANARY)
    host.say(CAREFUL)
    assert host.used() < 80
    assert host.run(CANARY) == canary


HARM = (
    "truncate -s 0 /var/log/app/hard.log.11.gz",  # through the hard link
    "rm /var/log/app/canary",
    "rm -r /var/lib/canary/nested",
    "rm /var/log/audit/audit.log.1",
    "rm /var/tmp/drill-agent.sock",
    "rm /var/log/app/young.log.1",
    "touch /etc/canary/app.conf",
    "chmod 0600 /var/log/auth.log.1.gz",
)


def test_the_canary_notices_any_harm(host: Host) -> None:
    host.run(*FAULTS["disk.hostile-names"].inject)
    canary = host.run(CANARY)
    assert host.run(CANARY) == canary
    for harm in HARM:
        host.say(f"sudo {harm}")
        before, canary = canary, host.run(CANARY)
        assert canary != before, harm


def test_a_fault_does_not_touch_what_no_drill_made(host: Host) -> None:
    host.say("sudo mkdir /etc/canary && sudo touch /etc/canary/mine")
    try:
        refused = host.ssh("sudo sh -c " + _quoted(FAULTS["disk.full"].inject[0].script))
        assert refused.returncode != 0
        assert b"/etc/canary is there already" in refused.stderr
        host.run(*FAULTS["disk.full"].restore)
        assert host.say("ls /etc/canary") == "mine"
    finally:
        host.say("sudo rm -r /etc/canary")


@pytest.mark.parametrize("fault", ["service.crash", "disk.full"])  # one of each kind: a kind shares its restore
def test_restore_without_a_fault_changes_nothing(host: Host, fault: str) -> None:
    invocation = host.say("systemctl show --value --property=InvocationID api")
    host.run(*FAULTS[fault].restore)
    assert host.say("systemctl show --value --property=InvocationID api") == invocation


def _quoted(script: str) -> str:
    return "'" + script.replace("'", "'\\''") + "'"
