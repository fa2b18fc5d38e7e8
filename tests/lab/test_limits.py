"""Limits on real hosts, by real processes: set once, kept when verified, taken back by us or, where we died, by the host."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from crashcart.lab.faults import FAULTS
from crashcart.lab.lab import Lab
from tests.lab.hosts import Host, eventually
from tests.lab.test_playbooks import Runs, everywhere, invocation, outcomes

pytestmark = pytest.mark.lab

RESTORE = FAULTS["service.squeezed"].restore
CONTROL = "/run/systemd/system.control/api.service.d"
AS_BEFORE = "128 infinity drop_in=False armed=False"
RAISED = ("recover.service-limits", "--hosts", "lab1", "--memory-max", "200M", "--settle", "1s")
UNWELL = ("--health-url", "http://127.0.0.1:8000/no-such-page")


class Limits:
    """What systemd on one host says of the practice service."""

    def __init__(self, host: Host) -> None:
        self.host = host

    def show(self, setting: str) -> str:
        return self.host.say(f"systemctl show --value -p {setting} api.service")

    @property
    def memory(self) -> int:
        """MemoryMax in MiB."""
        return int(self.show("MemoryMax")) // 1024**2

    @property
    def is_armed(self) -> bool:
        return self.host.ssh("systemctl is-active crashcart-undo-api.timer").stdout.strip() == b"active"

    @property
    def has_drop_in(self) -> bool:
        return self.host.ssh(f"test -e {CONTROL}").returncode == 0

    @property
    def is_as_before(self) -> bool:
        """Whether nothing of a change is left, and nothing is about to happen."""
        return self.shape == AS_BEFORE

    @property
    def shape(self) -> str:
        """The limits, whether a drop-in holds them, and whether a timer is about to change them."""
        return f"{self.memory} {self.show('CPUQuotaPerSecUSec')} drop_in={self.has_drop_in} armed={self.is_armed}"


@pytest.fixture
def runs(lab: Lab, tmp_path: Path) -> Runs:
    return Runs(tmp_path / "state")


@pytest.fixture
def limits(hosts: dict[str, Host]) -> Iterator[Limits]:
    """lab1, before and afterwards as its image made it."""
    for host in hosts.values():
        host.say("sudo rm -rf /run/crashcart")
        host.run(*RESTORE)
    limits = Limits(hosts["lab1"])
    assert limits.shape == AS_BEFORE
    yield limits
    for host in hosts.values():
        host.run(*RESTORE)
    assert limits.shape == AS_BEFORE


def kill_once_acted(runs: Runs, limits: Limits, *words: str) -> None:
    """Start a recovery, and kill it once the limit is in force; a service that hangs meanwhile holds up its verification."""
    limits.host.say("sudo systemctl kill --kill-who=main --signal=USR1 api.service")
    process = runs.start(*RAISED, *words)
    try:
        assert eventually(lambda: runs.has_begun("act.result"))
    finally:
        process.kill()
        process.communicate()
    limits.host.say("sudo systemctl restart api.service")


def test_two_limits_at_once_without_a_restart_and_only_once(runs: Runs, limits: Limits, hosts: dict[str, Host]) -> None:
    before = {name: invocation(host) for name, host in hosts.items()}
    words = ("recover.service-limits", "--hosts", "lab", "--memory-max", "200M", "--cpu-quota", "150%")
    assert outcomes(runs(*words)[1]) == everywhere("changed")
    assert (limits.memory, limits.show("CPUQuotaPerSecUSec")) == (200, "1.500000s")
    assert not limits.is_armed
    code, document = runs(*words)
    assert (code, outcomes(document)) == (0, everywhere("ok"))
    assert "already, nothing to change" in document["targets"][0]["message"]
    assert {name: invocation(host) for name, host in hosts.items()} == before
    assert runs("runs.verify", "last")[0] == 0


def test_a_kept_limit_is_taken_back_by_command_and_leaves_no_drop_in(runs: Runs, limits: Limits) -> None:
    assert runs(*RAISED)[0] == 0
    assert limits.has_drop_in
    code, document = runs("runs.undo", "last")
    assert (code, outcomes(document)) == (0, {"lab1": "changed"})
    assert limits.shape == AS_BEFORE
    limits.host.say("sudo systemctl daemon-reload")
    assert limits.shape == AS_BEFORE


def test_check_mode_sets_nothing(runs: Runs, limits: Limits) -> None:
    code, document = runs(*RAISED, "--check")
    assert (code, outcomes(document)) == (0, {"lab1": "would_change"})
    assert limits.shape == AS_BEFORE


def test_a_verification_that_fails_takes_it_back(runs: Runs, limits: Limits) -> None:
    code, document = runs(*RAISED, *UNWELL)
    assert code == 1
    steps = {step["name"]: step["outcome"] for step in document["targets"][0]["steps"]}
    assert steps["undo limits.set"] == "changed", steps
    assert limits.shape == AS_BEFORE


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_takes_it_back(runs: Runs, limits: Limits, number: signal.Signals) -> None:
    limits.host.say("sudo systemctl kill --kill-who=main --signal=USR1 api.service")  # it hangs: the verification waits
    process = runs.start(*RAISED)
    assert eventually(lambda: runs.has_begun("act.result"))
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert limits.shape == AS_BEFORE


def test_after_kill_9_the_host_takes_it_back_by_itself(runs: Runs, limits: Limits) -> None:
    kill_once_acted(runs, limits, "--undo-after", "2s", "--cpu-quota", "50%")
    limits.host.say("sudo systemctl daemon-reload")  # which garbles a $ in the arguments of a transient unit
    assert eventually(lambda: limits.is_as_before)
    assert limits.host.say("systemctl list-units --all --no-legend 'crashcart-undo-*'") == ""


def test_after_kill_9_resume_in_time_keeps_it(runs: Runs, limits: Limits) -> None:
    kill_once_acted(runs, limits, "--undo-after", "1m")
    assert (limits.memory, limits.is_armed) == (200, True)
    code, document = runs("runs.resume", "last")
    assert (code, outcomes(document)) == (0, {"lab1": "changed"}), document
    assert (limits.memory, limits.is_armed) == (200, False)


def test_after_kill_9_resume_too_late_says_that_the_host_took_it_back(runs: Runs, limits: Limits) -> None:
    kill_once_acted(runs, limits, "--undo-after", "1s")
    assert eventually(lambda: limits.is_as_before)
    code, document = runs("runs.resume", "last")
    assert outcomes(document) == {"lab1": "failed"}, document
    assert code == 1
    assert limits.shape == AS_BEFORE


def test_after_kill_9_another_laptop_takes_it_over_and_still_knows_the_former_limit(
    runs: Runs, limits: Limits, tmp_path: Path
) -> None:
    kill_once_acted(runs, limits, "--undo-after", "1m")
    limits.host.say("sudo rm -rf /run/crashcart")  # the dead run's lease, as if it had expired
    other = Runs(tmp_path / "other")
    assert outcomes(other(*RAISED)[1]) == {"lab1": "changed"}
    assert (limits.memory, limits.is_armed) == (200, False)
    assert other("runs.undo", "last")[0] == 0
    assert limits.shape == AS_BEFORE


def test_the_host_leaves_alone_what_somebody_changed_since(runs: Runs, limits: Limits) -> None:
    kill_once_acted(runs, limits, "--undo-after", "2s")
    limits.host.say("sudo systemctl set-property --runtime api.service MemoryMax=300M")
    assert eventually(lambda: not limits.is_armed)
    assert eventually(
        lambda: "nothing is put back" in limits.host.say("sudo journalctl -u crashcart-undo-api.service -o cat")
    )
    assert limits.memory == 300


def test_the_host_does_not_kill_what_uses_more_by_now(runs: Runs, limits: Limits) -> None:
    """Put at 11 MiB first, then raised, then grown beyond: putting 11 MiB back would kill it."""
    limits.host.run(*FAULTS["service.squeezed"].inject)
    kill_once_acted(runs, limits, "--undo-after", "6s")
    limits.host.say(
        "sudo systemctl set-property --runtime api.service CPUQuota=90%"
    )  # another setting is none of its business
    # More threads of a hung service use more memory than it was squeezed to.
    limits.host.say("sudo systemctl kill --kill-who=main --signal=USR1 api.service")
    grow = "for i in $(seq 100); do curl -s --max-time 20 http://127.0.0.1:8000/health >/dev/null 2>&1 & done"
    limits.host.ssh(grow)
    undo = "systemctl show --value -p ActiveState,Result crashcart-undo-api.service | paste -sd ' '"
    assert eventually(lambda: limits.host.say(undo) == "exit-code failed"), limits.host.say(undo)
    assert limits.memory == 200
    told = limits.host.say("sudo journalctl -u crashcart-undo-api.service -o cat -n 20")
    assert re.search(r"uses \d+ bytes, MemoryMax=\d+ would kill it: not put back", told), told
    limits.host.say("sudo systemctl reset-failed crashcart-undo-api.service")


def test_it_works_with_a_full_disk(runs: Runs, limits: Limits) -> None:
    limits.host.run(*FAULTS["disk.full"].inject)
    try:
        code, document = runs(*RAISED, "--health-url", "")
        assert (code, outcomes(document)) == (0, {"lab1": "changed"}), document
        assert limits.memory == 200
    finally:
        limits.host.run(*FAULTS["disk.full"].restore)


@pytest.mark.parametrize("unit", ["api.service; reboot", "$(reboot)", "-a", "../api", "a b", "api.socket", "x" * 300])
def test_hostile_unit_names_are_bad_input(runs: Runs, limits: Limits, unit: str) -> None:
    code, document = runs(*RAISED, f"--unit={unit}")
    assert (code, document["targets"]) == (2, []), document


@pytest.mark.parametrize("unit", ["no-such-thing", r"a\x2db@:c", "masked"])
def test_units_that_cannot_be_loaded_are_refused(runs: Runs, limits: Limits, unit: str) -> None:
    limits.host.say("sudo ln -sf /dev/null /etc/systemd/system/masked.service; sudo systemctl daemon-reload")
    code, document = runs(*RAISED, f"--unit={unit}")
    assert (code, outcomes(document)) == (3, {"lab1": "refused"}), document


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--memory-max", "900G"), "more than the host has"),
        (("--memory-max", "2M"), "would kill it"),
        (("--cpu-quota", "900000%"), "more than the host has"),
    ],
)
def test_what_the_host_cannot_give_is_refused(runs: Runs, limits: Limits, words: tuple[str, str], says: str) -> None:
    code, document = runs("recover.service-limits", "--hosts", "lab1", *words)
    assert (code, outcomes(document)) == (3, {"lab1": "refused"}), document
    assert says in document["targets"][0]["message"]


def test_a_unit_of_a_template_has_a_timer_without_a_slice_of_its_own(runs: Runs, limits: Limits) -> None:
    limits.host.say("sudo systemd-run --quiet --unit='job@a:b.service' sleep 300")
    try:
        words = ("--unit", "job@a:b.service", "--health-url", "", "--memory-max", "64M", "--undo-after", "1m")
        assert outcomes(runs("recover.service-limits", "--hosts", "lab1", *words, "--settle", "0")[1]) == {"lab1": "changed"}
        assert limits.host.say("systemctl show --value -p MemoryMax 'job@a:b.service'") == str(64 * 1024**2)
        assert runs("runs.undo", "last")[0] == 0
        assert limits.host.say("systemctl show --value -p MemoryMax 'job@a:b.service'") == "infinity"
    finally:
        limits.host.say("sudo systemctl stop 'job@a:b.service'")


def test_a_crashed_service_is_refused_and_brought_back_with_restart(runs: Runs, limits: Limits) -> None:
    limits.host.run(*FAULTS["service.crash"].inject)
    code, document = runs(*RAISED)
    assert (code, outcomes(document)) == (3, {"lab1": "refused"}), document
    assert "--restart" in document["targets"][0]["hint"]
    code, document = runs(*RAISED, "--restart")
    assert (code, outcomes(document)) == (0, {"lab1": "changed"}), document
    assert (limits.memory, limits.is_armed, limits.host.health()) == (200, False, "ok 200")


def test_the_fault_is_noticed_and_the_drill_passes(runs: Runs, limits: Limits) -> None:
    code, document = runs("drill.service-limits", "--hosts", "lab")
    (variant,) = document["drill"]["variants"]
    assert (code, variant["problems"]) == (0, [])
