"""The record of a run: chained, torn lines, verified, resumed."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from crashcart.clock import FakeClock
from crashcart.engine.run import Past
from crashcart.errors import BadInput, JournalError, Refused
from crashcart.events import RunStarted
from crashcart.journal.claims import target_key
from crashcart.journal.folder import RunFolder, find_run, new_run_id
from crashcart.journal.recall import PastRun, verify
from crashcart.plan import Options, Plan, Rollout, TargetPlan
from crashcart.secrets import Secret
from crashcart.targets import Target
from crashcart.transports.base import CommandResult
from tests.unit.engine.simulated import LAMP, Lamp, World


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("crashcart.operations.SHIPPED", LAMP)
    folder = tmp_path / "runs"
    folder.mkdir()
    return folder


@pytest.fixture
def journal(runs: Path) -> Path:
    World(runs, a="off", b="on").run()
    return find_run(runs, "last")


def started(run: str = "r1", **variables: object) -> RunStarted:
    return RunStarted(run, "me", Plan("p", "s", "all", (TargetPlan(Target("h", variables=dict(variables))),)), Options())


def test_intact_and_finished(journal: Path) -> None:
    found = verify(journal)
    assert found.exit_code == 0, found.message


def test_the_folder_is_for_its_owner_only(journal: Path) -> None:
    assert stat.S_IMODE(journal.stat().st_mode) == 0o600
    assert stat.S_IMODE(journal.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("where", [0, 3, -1])
def test_any_changed_line_is_named(journal: Path, where: int) -> None:
    lines = journal.read_bytes().splitlines(keepends=True)
    lines[where] = lines[where].replace(b'"time":"20', b'"time":"19')
    journal.write_bytes(b"".join(lines))
    found = verify(journal)
    assert found.exit_code == 1, found.message
    assert "altered" in found.message


@pytest.mark.parametrize("where", [1, 4])
def test_a_removed_line_is_noticed(journal: Path, where: int) -> None:
    lines = journal.read_bytes().splitlines(keepends=True)
    del lines[where]
    journal.write_bytes(b"".join(lines))
    found = verify(journal)
    assert found.exit_code == 1
    assert f":{where + 1}:" in found.message


def test_reordered_lines_are_noticed(journal: Path) -> None:
    lines = journal.read_bytes().splitlines(keepends=True)
    lines[2], lines[3] = lines[3], lines[2]
    journal.write_bytes(b"".join(lines))
    assert verify(journal).exit_code == 1


def test_no_journal_no_act(runs: Path) -> None:
    blocked = runs / "file"
    blocked.write_text("in the way")
    with pytest.raises(JournalError, match="cannot write the journal"):
        RunFolder.create(blocked, started(), FakeClock())


def test_a_run_id_is_used_once(runs: Path) -> None:
    RunFolder.create(runs, started(), FakeClock()).close()
    with pytest.raises(JournalError):
        RunFolder.create(runs, started(), FakeClock())
    assert [path.name for path in runs.iterdir()] == ["r1"]


def test_secrets_are_masked(runs: Path) -> None:
    folder = RunFolder.create(runs, started(ansible_password=Secret("hunter2"), nested={"token": Secret("s3")}), FakeClock())
    folder.close()
    text = folder.journal.read_text()
    assert "hunter2" not in text
    assert "s3" not in text
    assert text.count('"***"') == 2


def test_evidence_stays_in_its_folder_whatever_the_names(runs: Path) -> None:
    folder = RunFolder.create(runs, started(), FakeClock())
    kept = folder.keep("../../etc/arn:aws:rds/x", "../step\n1", b"data")
    assert (folder.path / kept.file).resolve().is_relative_to(folder.path.resolve())
    assert (folder.path / kept.file).read_bytes() == b"data"
    folder.close()


def test_a_running_run_is_not_resumed(runs: Path) -> None:
    folder = RunFolder.create(runs, started(), FakeClock())
    with pytest.raises(Refused, match="still going on"):
        RunFolder.reopen(folder.journal, FakeClock())
    folder.close()


def test_a_torn_line_is_cut_off_on_resume(runs: Path) -> None:
    folder = RunFolder.create(runs, started(), FakeClock())
    folder.close()
    with folder.journal.open("ab") as file:
        file.write(b'{"time":"20')
    again = RunFolder.reopen(folder.journal, FakeClock())
    again.close()
    assert len(list(PastRun.read(folder.journal).lines)) == 1


def test_finding_runs(runs: Path, journal: Path) -> None:
    assert find_run(runs, journal.parent.name) == journal
    assert find_run(runs, str(journal)) == journal
    assert find_run(runs, str(journal.parent)) == journal
    with pytest.raises(BadInput, match="there is no run 'runX'"):
        find_run(runs, "runX")


def test_a_removed_run_is_seen_in_the_index(journal: Path) -> None:
    lines = journal.read_bytes().splitlines()
    last = json.loads(lines[-1])
    assert last["event"] == "run.finished"
    index = (journal.parent.parent / "index.jsonl").read_text()
    assert journal.parent.name in index


def test_run_ids_sort_by_time() -> None:
    """To the millisecond: of two runs within one second, ``last`` is the later one."""
    starts = [datetime(2030, 1, 1, 0, 0, second, ms * 1000, UTC) for second in (0, 1) for ms in (0, 1, 15, 16, 255, 999)]
    ids = [new_run_id(FakeClock(start)) for start in starts]
    assert ids[0].startswith("20300101-000000-000")
    assert ids == sorted(ids)


class Killed(BaseException):
    """Stands for kill -9: nothing catches it."""


class KilledAfter(RunFolder):
    """A record that is killed right after its n-th event."""

    remaining = 0

    def notice(self, event: object) -> None:
        super().notice(event)  # type: ignore[arg-type]
        type(self).remaining -= 1
        if type(self).remaining == 0:
            raise Killed


def crash_after(world: World, events: int, monkeypatch: pytest.MonkeyPatch, plan: Plan | None = None) -> bool:
    """Run until so many events are written, then stop dead. Tells whether it was stopped."""
    monkeypatch.setattr("tests.unit.engine.simulated.RunFolder", KilledAfter)
    KilledAfter.remaining = events
    try:
        world.run(plan)
    except Killed:
        return True
    finally:
        monkeypatch.undo()
        monkeypatch.setattr("crashcart.operations.SHIPPED", LAMP)
    return False


def resume(world: World, journal: Path) -> list[str]:
    record = RunFolder.reopen(journal, world.clock)
    past = PastRun.read(journal)
    results = world.make(past.started, record, Past(past.recall(), past.begun())).execute().results
    record.close()
    return [result.outcome.value for result in results]


def test_crash_sweep_each_act_happens_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop at every event in turn, resume, and demand: the world converged, and no lamp was switched twice."""
    monkeypatch.setattr("crashcart.operations.SHIPPED", LAMP)
    points = 0
    for events in range(2, 100):
        runs = tmp_path / f"runs{events}"
        runs.mkdir()
        world = World(runs, a="off", b="off", c="on")
        if not crash_after(world, events, monkeypatch):
            break
        points += 1
        outcomes = resume(world, find_run(runs, "last"))
        assert outcomes[2] == "ok"
        assert {lamp.state for lamp in world.lamps.values()} == {"on"}
        assert [world.lamps[name].switched for name in "abc"] == [1, 1, 0], f"killed after event {events}"
        assert verify(find_run(runs, "last")).exit_code == 0
    assert points > 15
    print(f"{points} crash points")


def burn_out(lamp: Lamp) -> CommandResult | None:
    """The switch works and the lamp breaks at once: the step fails after its act, so the act has to be taken back."""
    lamp.switch()
    lamp.state = "broken"
    return CommandResult(0)


def test_crash_sweep_what_has_to_be_taken_back_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop at every event of a run that fails and goes back, resume: switched once, put out once, nothing owed."""
    monkeypatch.setattr("crashcart.operations.SHIPPED", LAMP)
    points = 0
    for events in range(2, 100):
        runs = tmp_path / f"runs{events}"
        runs.mkdir()
        world = World(runs, a="off", b="off")
        for lamp in world.lamps.values():
            lamp.on_switch.append(burn_out)
        plan = world.plan(Rollout(max_failures="100%"), undoable=True)
        if not crash_after(world, events, monkeypatch, plan):
            break
        points += 1
        journal = find_run(runs, "last")
        finished = PastRun.read(journal).finished
        outcomes = ["failed", "failed"] if finished else resume(world, journal)
        assert outcomes == ["failed", "failed"], f"killed after event {events}"
        assert [(lamp.switched, lamp.put_out_times, lamp.state) for lamp in world.lamps.values()] == [(1, 1, "off")] * 2
        past = PastRun.read(journal)
        assert past.owed("a") == past.owed("b") == ()
        assert [world.marks.owed(target_key(Target(name)), name) for name in "ab"] == [(), ()]
        assert verify(journal).exit_code == 0
    assert points > 20
    print(f"{points} crash points")
