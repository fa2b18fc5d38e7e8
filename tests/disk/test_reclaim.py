"""``disk.reclaim`` on a real full file system: order, thresholds, cost, and the second run that changes nothing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from crashcart.operations.base import Action
from crashcart.operations.disk_acts import DELETE
from crashcart.results import Outcome, Verdict
from tests.disk.driving import Record, drive, make, reclaim, survey
from tests.disk.volume import PYTHON, Volume, mounted

MIB = 1 << 20
VAR = {"path": "/var"}


def fill_with_logs(volume: Volume, count: int = 10) -> None:
    for number in range(count):
        volume.put(f"/var/log/app/app.log.{number}.gz", 3 * MIB, age=30)
    volume.fill()


def test_full_disk_is_relieved_and_a_second_run_changes_nothing(volume: Volume) -> None:
    fill_with_logs(volume)
    assert volume.df() == 100
    record = Record()
    result = reclaim(volume, VAR, record)
    assert result.outcome is Outcome.CHANGED
    assert record.acts == ["delete 10 rotated logs older than 7 d in /var/log, 30.0 MiB"]
    assert f"100 % -> {volume.df()} % full" in result.message
    assert "freed 30.0 MiB and 10 inodes: rotated logs" in result.message
    assert volume.df() < 80
    assert [change.what for change in result.changes] == ["/var bytes", "/var inodes"]
    assert len(result.evidence[0].lines) == 11

    before = len(volume.commands)
    second = reclaim(volume, VAR)
    assert (second.outcome, second.changes, second.attempts) == (Outcome.OK, (), 0)
    assert second.message == f"/var is {volume.df()} % full, {volume.df(inodes=True)} % of inodes; nothing to free"
    assert len(volume.commands) == before + 1, "a no-op is one exec"


def test_a_change_costs_one_look_at_candidates_and_one_act(volume: Volume) -> None:
    """And a cheap look just before the act, which each batch takes."""
    fill_with_logs(volume)
    reclaim(volume, VAR)
    plain, candidates, again, act = volume.commands
    assert plain == again
    assert len(plain.script) < 1000 < len(candidates.script)
    assert act.script == DELETE


def test_not_an_inode_is_free(volume: Volume) -> None:
    for number in range(600):
        volume.put(f"/var/log/app/app.log.{number}", 1, age=30)
    volume.fill_inodes()
    assert volume.df(inodes=True) == 100
    result = reclaim(volume, {**VAR, "inodes_below": 90})
    assert result.outcome is Outcome.CHANGED
    assert volume.df(inodes=True) < 90
    assert not volume.exists("/var/log/app/app.log.599")
    assert volume.exists("/var/lib/many/0")


def test_percentages_are_those_of_df(volume: Volume) -> None:
    volume.fill(leave=7 * MIB)
    result = reclaim(volume, {**VAR, "below": 100})
    assert result.message.startswith(f"/var is {volume.df()} % full, {volume.df(inodes=True)} % of inodes")


def test_stages_go_by_harm_and_stop_at_the_target(volume: Volume) -> None:
    volume.put("/var/cache/apt/archives/old_1_amd64.deb", 20 * MIB)
    volume.put("/var/cache/apt/archives/partial/new_2_amd64.deb", 8 * MIB)
    volume.put("/var/cache/apt/archives/lock", 0)
    volume.put("/var/log/app.log.1", 4 * MIB, age=30)
    volume.fill()
    record = Record()
    assert reclaim(volume, VAR, record).outcome is Outcome.CHANGED
    assert record.acts == ["delete 2 cached packages in /var/cache/apt/archives, 28.0 MiB"]
    assert volume.exists("/var/log/app.log.1")
    assert volume.exists("/var/cache/apt/archives/lock")


def test_several_stages_one_act_each(volume: Volume) -> None:
    volume.put("/var/cache/apt/archives/old_1_amd64.deb", 2 * MIB)
    volume.put("/var/log/app.log.1", 20 * MIB, age=30)
    volume.fill()
    record = Record()
    result = reclaim(volume, VAR, record)
    assert [summary.split(" in ")[0] for summary in record.acts] == [
        "delete 1 cached package",
        "delete 1 rotated log older than 7 d",
    ]
    assert (result.outcome, result.attempts, len(volume.commands)) == (Outcome.CHANGED, 2, 6)
    assert "cached packages, rotated logs" in result.message


def test_package_manager_at_work_keeps_its_cache(volume: Volume) -> None:
    volume.put("/var/cache/apt/archives/old_1_amd64.deb", 40 * MIB)
    volume.put("/var/lib/dpkg/lock-frontend", 0)
    volume.fill()
    lock = (
        "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.lockf(f, fcntl.LOCK_EX); print('ready', flush=True); input()"
    )
    with volume.running(PYTHON, lock, "/var/lib/dpkg/lock-frontend", sys.executable):
        result = reclaim(volume, VAR)
        assert result.outcome is Outcome.FAILED
        assert "packages: a package manager is at work" in result.evidence[-1].lines
        assert volume.exists("/var/cache/apt/archives/old_1_amd64.deb")
    assert reclaim(volume, VAR).outcome is Outcome.CHANGED


def test_lock_taken_between_look_and_act_keeps_the_cache(volume: Volume) -> None:
    volume.put("/var/cache/apt/archives/old_1_amd64.deb", 40 * MIB)
    volume.fill()
    record = Record()
    reconciler = make(record, VAR)
    action = survey(reconciler, volume)
    assert isinstance(action, Action)
    volume.inside("sh", "-c", "mkdir -p /var/lib/pacman && : >/var/lib/pacman/db.lck")
    assert volume.run(action.command).status == 75
    assert volume.exists("/var/cache/apt/archives/old_1_amd64.deb")


def test_target_out_of_reach_fails_with_the_ten_largest(volume: Volume) -> None:
    for number in range(12):
        volume.put(f"/var/lib/data/{number}", (2 + number % 3) * MIB + number * 4096)
    volume.fill()
    result = reclaim(volume, VAR)
    assert result.outcome is Outcome.FAILED
    assert result.message.startswith(
        "/var is 100 % full, 1 % of inodes, not below 80 %; nothing that may be deleted; largest files: "
    )
    assert "/var/lib/filler" in result.message
    assert "--tmp-owner" in result.message
    largest = next(evidence for evidence in result.evidence if evidence.name == "largest files")
    sizes = [float(line.split()[0]) for line in largest.lines]
    assert len(sizes) == 10
    assert sizes == sorted(sizes, reverse=True)
    assert not result.changes


def test_directories_with_the_most_files_are_named_when_inodes_are_short(volume: Volume) -> None:
    volume.fill_inodes("/var/lib/sessions")
    result = reclaim(volume, VAR)
    assert result.outcome is Outcome.FAILED
    assert "not below 80 % of inodes" in result.message
    assert "in /var/lib/sessions" in result.message


def test_check_mode_changes_nothing(volume: Volume) -> None:
    fill_with_logs(volume)
    before = volume.tree("/var")
    wanted = survey(make(Record(), VAR), volume)
    assert isinstance(wanted, Action)
    assert "delete 10 rotated logs" in wanted.summary
    assert volume.tree("/var") == before


def test_what_cannot_be_deleted_is_reported_and_the_rest_goes_on(volume: Volume) -> None:
    fill_with_logs(volume, 8)
    volume.inside("chattr", "+i", "/var/log/app/app.log.3.gz")
    result = reclaim(volume, VAR)
    assert result.outcome is Outcome.CHANGED
    assert "could not delete" in result.message
    assert "app.log.3.gz" in result.message
    assert "Operation not permitted" in result.message
    assert not volume.exists("/var/log/app/app.log.4.gz")
    assert volume.exists("/var/log/app/app.log.3.gz")


def test_immutable_files_do_not_keep_the_next_stage_from_its_turn(volume: Volume) -> None:
    volume.put("/var/cache/apt/archives/a.deb", MIB)
    volume.put("/var/log/app.log.1", 30 * MIB, age=30)
    volume.inside("chattr", "+i", "/var/cache/apt/archives/a.deb")
    volume.fill()
    result = reclaim(volume, VAR)
    assert (result.outcome, result.attempts) == (Outcome.CHANGED, 3)
    assert volume.exists("/var/cache/apt/archives/a.deb")


def test_nothing_but_immutable_files_fails(volume: Volume) -> None:
    volume.put("/var/log/app.log.1", 30 * MIB, age=30)
    volume.inside("chattr", "+i", "/var/log/app.log.1")
    volume.fill()
    result = reclaim(volume, VAR)
    assert (result.outcome, result.attempts) == (Outcome.FAILED, 2)
    assert "1 file could not be deleted: /var/log/app.log.1" in result.message


def test_large_sets_go_in_bounded_groups(volume: Volume) -> None:
    volume.inside(
        "sh", "-c", "mkdir -p /var/log/a && cd /var/log/a && seq -f 'x.log.%.0f' 3000 | xargs touch -d '30 days ago'"
    )
    record = Record()
    result = reclaim(volume, {**VAR, "inodes_below": 5}, record)
    assert result.outcome is Outcome.CHANGED
    assert [summary.split()[1] for summary in record.acts] == ["2500", "500"]
    assert all(sum(map(len, command.args)) < 64 * 1024 for command in volume.commands)


def test_a_path_that_does_not_exist_is_refused(volume: Volume) -> None:
    result = reclaim(volume, {"path": "/var/nowhere"})
    assert (result.outcome, result.message) == (Outcome.REFUSED, "/var/nowhere does not exist on this host")
    volume.put("/var/plain", 1)
    assert reclaim(volume, {"path": "/var/plain"}).outcome is Outcome.REFUSED


def test_a_directory_stands_for_its_file_system(volume: Volume) -> None:
    fill_with_logs(volume)
    volume.inside("mkdir", "/var/deep")
    result = reclaim(volume, {"path": "/var/deep"})
    assert result.outcome is Outcome.CHANGED
    assert result.message.startswith("/var/deep (file system /var): 100 %")


def test_candidates_elsewhere_do_not_count(volume: Volume) -> None:
    fill_with_logs(volume)
    volume.inside("sh", "-c", "head -c 1048576 /dev/zero >/srv/full; true")
    before = volume.tree("/var/log")
    result = reclaim(volume, {"path": "/srv"})
    assert result.outcome is Outcome.FAILED
    assert any(line == "logs: /var/log: it is on another file system" for line in result.evidence[-1].lines)
    assert volume.tree("/var/log") == before


def test_read_only_file_system_fails_at_once(volume: Volume) -> None:
    fill_with_logs(volume)
    volume.inside("mount", "-o", "remount,ro", "/var")
    result = reclaim(volume, VAR)
    assert result.outcome is Outcome.FAILED
    assert "cannot be written" in result.message
    assert len(volume.commands) == 1
    assessed = drive(make(Record(), VAR, "disk.assess"), volume)
    assert (assessed.outcome, assessed.verdict) == (Outcome.FAILED, Verdict.DOWN)


@pytest.mark.parametrize(
    ("leave", "outcome", "verdict"),
    [
        (40 * MIB, Outcome.OK, Verdict.HEALTHY),
        (6 * MIB, Outcome.FAILED, Verdict.DEGRADED),
        (0, Outcome.FAILED, Verdict.DOWN),
    ],
)
def test_assess_tells_how_full_it_is_in_one_exec(volume: Volume, leave: int, outcome: Outcome, verdict: Verdict) -> None:
    volume.fill(leave=leave)
    result = drive(make(Record(), VAR, "disk.assess"), volume)
    assert (result.outcome, result.verdict) == (outcome, verdict)
    assert f"{volume.df()} %" in result.message
    assert len(volume.commands) == 1


def test_file_system_without_a_count_of_inodes(volume: Volume) -> None:
    """As btrfs: f_files is 0. tmpfs with nr_inodes=0 counts none either."""
    volume.inside("sh", "-c", "mkdir /var/t && mount -t tmpfs -o size=1m,nr_inodes=0 none /var/t")
    result = reclaim(volume, {"path": "/var/t"})
    assert (result.outcome, result.message) == (Outcome.OK, "/var/t is 0 % full; nothing to free")


def test_two_file_systems_do_not_mix(tmp_path: Path, volume: Volume) -> None:
    with mounted(tmp_path / "other.img", size=16 << 20, inodes=512) as other:
        other.put("/var/log/x.log.1", MIB, age=30)
        fill_with_logs(volume)
        assert reclaim(volume, VAR).outcome is Outcome.CHANGED
        assert other.exists("/var/log/x.log.1")
