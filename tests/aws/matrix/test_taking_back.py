"""What is owed after a recovery that could not take back its own act, and what a later run makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.aws.matrix.recoveries import RECOVERIES
from tests.aws.matrix.rig import Rig, at_the_answer

CACHE, RAISED, SCALED = RECOVERIES["cache"], RECOVERIES["asg-raise"], RECOVERIES["asg-scale"]
REBOOT = ("recover.elasticache-reboot", "--hosts", "lab-redis", "--output", "json", "--yes")
REPLICA = ("--cluster", "lab-redis-003", "--node-ids", "0001", "--settle", "1s")


def leave_it_owed(rig: Rig) -> None:
    """Fail over while ElastiCache does not finish: both settings stay off."""
    rig.begin(CACHE.part, CACHE.arrange)
    rig.emulator.fault("aws.failover-stuck", resource=CACHE.target)
    said = rig.run(*CACHE.command(rig, "--deadline", "60s"))
    assert said.outcome in {"unknown", "failed"}, said.message
    assert CACHE.look(rig)["Multi-AZ"] == "disabled"


def test_the_next_run_puts_the_settings_back_first(rig: Rig) -> None:
    leave_it_owed(rig)
    rig.emulator.clear_faults()
    rig.advance(60)
    rig.emulator.forget_requests()
    said = rig.run(*REBOOT, *REPLICA)
    assert (said.code, rig.effective()) == (0, ["ModifyReplicationGroup", "RebootCacheCluster"]), said.message
    assert CACHE.look(rig)["Multi-AZ"] == "enabled"


def test_an_owed_undo_that_must_wait_does_not_use_up_the_next_runs_time(rig: Rig) -> None:
    leave_it_owed(rig)
    rig.emulator.forget_requests()
    said = rig.run(*REBOOT, *REPLICA, "--deadline", "5m")
    assert rig.effective() == ["RebootCacheCluster"], said.message
    assert said.code == 1, "the settings are still off, and that is no success"


def test_the_hint_of_an_undo_that_refuses_names_no_flag_that_undo_has_not(rig: Rig) -> None:
    rig.begin(RAISED.part, RAISED.arrange)
    assert rig.run(*RAISED.command(rig)).code == 0
    rig.scene("asg.member-lost", RAISED.target)
    said = rig.run("runs.undo", "last", "--yes", "--output", "json")
    assert (said.code, said.outcome) == (3, "refused"), said.message
    hint = said.document["targets"][0]["hint"]
    assert hint.startswith("inv check.asg --hosts lab-asg"), hint
    assert "--force" not in hint


GROW = """
summary: More instances for as long as a job takes
kinds: [autoscaling_group]
steps:
  - asg.scale: {at_least: 4, settle: 1s}
"""


def test_who_asks_for_capacity_is_not_taken_some_away_first(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A playbook that takes its raise back died in the middle; now capacity is needed, and what it owes has to wait."""
    (tmp_path / "playbooks/recover").mkdir(parents=True)
    (tmp_path / "playbooks/recover/grow.yml").write_text(GROW)
    (tmp_path / "tasks.py").touch()
    rig.begin(SCALED.part, SCALED.arrange)
    with monkeypatch.context() as patch:
        patch.chdir(tmp_path)
        assert rig.killed(at_the_answer, "recover.grow", "--hosts", SCALED.target, "--yes")
    rig.advance(120)
    rig.emulator.forget_requests()
    said = rig.run(*SCALED.command(rig))
    assert (said.outcome, rig.effective()) == ("ok", []), said.message
    runs = rig.run("runs.list", "--output", "json").document["runs"]
    (died,) = [run["id"] for run in runs if run["status"] == "unfinished"]
    undone = rig.run("runs.undo", died, "--yes", "--output", "json")
    assert (undone.outcome, SCALED.look(rig)["desired"]) == ("changed", 2), undone.message
