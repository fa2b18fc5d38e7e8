"""The audit: whatever is done to a journal, ``runs.verify`` says so and names the line; what a crash leaves is recovered."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crashcart.clock import FakeClock
from crashcart.engine.run import Past
from crashcart.journal.folder import RunFolder, find_run
from crashcart.journal.index import INDEX
from crashcart.journal.lines import ORIGIN, digest
from crashcart.journal.recall import PastRun, Verification, verify
from tests.unit.engine.simulated import LAMP, World

EXAMPLES = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("crashcart.operations.SHIPPED", LAMP)
    folder = tmp_path / "runs"
    folder.mkdir()
    return folder


@pytest.fixture
def journal(runs: Path) -> Path:
    """The journal of a finished run, with one finished before it and one after it."""
    World(runs, a="off").run()
    World(runs, a="off", b="on").run()
    World(runs, a="off").run()
    return find_run(runs, "run1")


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


class Copy:
    """A journal and its index, which each example spoils as it likes, beginning from what they were."""

    def __init__(self, journal: Path) -> None:
        self.journal, self.index = journal, journal.parent.parent / INDEX
        self.lines, self.index_lines = lines_of(self.journal), lines_of(self.index)

    def spoil(self, lines: list[bytes] | None = None, index: list[bytes] | None = None) -> Verification:
        """Put other lines in the place of the journal's, or of the index's, and verify the journal."""
        self.journal.write_bytes(b"".join(self.lines if lines is None else lines))
        self.index.write_bytes(b"".join(self.index_lines if index is None else index))
        return verify(self.journal)


@pytest.fixture
def copy(journal: Path) -> Copy:
    return Copy(journal)


def assert_names_line(found: Verification, path: Path, *numbers: int) -> None:
    assert found.exit_code == 1, found.message
    assert any(f"{path}:{number}:" in found.message for number in numbers), found.message


@st.composite
def changed_bytes(draw: st.DrawFn, lines: list[bytes]) -> tuple[int, list[bytes]]:
    """Lines of which one byte is another one, and the number of that line from 1."""
    number = draw(st.integers(0, len(lines) - 1))
    line = bytearray(lines[number])
    place = draw(st.integers(0, len(line) - 1))
    line[place] = (line[place] + draw(st.integers(1, 255))) % 256
    return number + 1, [*lines[:number], bytes(line), *lines[number + 1 :]]


@EXAMPLES
@given(data=st.data())
def test_any_changed_byte_is_noticed_and_its_line_named(copy: Copy, data: st.DataObject) -> None:
    """The line that does not fit is the changed one, or the one after it, which names another hash."""
    number, lines = data.draw(changed_bytes(copy.lines))
    assert_names_line(copy.spoil(lines), copy.journal, number, number + 1)


@EXAMPLES
@given(data=st.data())
def test_removed_lines_are_noticed_wherever_they_were(copy: Copy, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(copy.lines) - 1))
    last = data.draw(st.integers(first, len(copy.lines) - 1))
    found = copy.spoil(copy.lines[:first] + copy.lines[last + 1 :])
    assert_names_line(found, copy.journal, first + 1)


@EXAMPLES
@given(data=st.data())
def test_lines_in_another_order_are_noticed(copy: Copy, data: st.DataObject) -> None:
    one, other = data.draw(st.lists(st.integers(0, len(copy.lines) - 1), min_size=2, max_size=2, unique=True))
    lines = list(copy.lines)
    lines.insert(other, lines.pop(one))
    assert_names_line(copy.spoil(lines), copy.journal, min(one, other) + 1)


@EXAMPLES
@given(data=st.data())
def test_a_line_that_is_there_twice_is_noticed(copy: Copy, data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(copy.lines) - 1))
    place = data.draw(st.integers(0, len(copy.lines)))
    found = copy.spoil([*copy.lines[:place], copy.lines[number], *copy.lines[place:]])
    assert_names_line(found, copy.journal, place + 1, place + 2)


@EXAMPLES
@given(data=st.data())
def test_a_line_that_is_cut_short_is_noticed(copy: Copy, data: st.DataObject) -> None:
    """With its newline kept: no crash leaves such a line."""
    number = data.draw(st.integers(0, len(copy.lines) - 1))
    end = data.draw(st.integers(0, len(copy.lines[number]) - 2))
    found = copy.spoil([*copy.lines[:number], copy.lines[number][:end] + b"\n", *copy.lines[number + 1 :]])
    assert_names_line(found, copy.journal, number + 1)


@EXAMPLES
@given(data=st.data())
def test_a_finished_journal_that_lost_its_end_is_altered_and_not_merely_unfinished(copy: Copy, data: st.DataObject) -> None:
    """The index knows how it ended, so an end that was cut off does not pass for a crash."""
    whole = b"".join(copy.lines)
    kept = whole[: data.draw(st.integers(0, len(whole) - 1))]
    assert_names_line(copy.spoil([kept]), copy.journal, kept.count(b"\n") + 1)


def test_a_chain_that_was_made_anew_is_noticed_by_the_index(copy: Copy) -> None:
    """Somebody changes a line and computes every hash after it anew: only the index, and the printed hash, tell."""
    previous, forged = ORIGIN, []
    for line in copy.lines:
        raw = json.dumps(json.loads(line) | {"prev": previous}).replace('"tester"', '"nobody"').encode()
        previous = digest(raw)
        forged.append(raw + b"\n")
    assert_names_line(copy.spoil(forged), copy.journal, len(copy.lines))


def test_a_journal_that_was_put_in_the_place_of_another_is_noticed(copy: Copy) -> None:
    other = find_run(copy.index.parent, "run0")
    assert verify(other).exit_code == 0
    assert copy.spoil(lines_of(other)).exit_code == 1


def test_every_byte_of_a_torn_last_line_is_recovered_and_the_run_goes_on(runs: Path) -> None:
    """The controller died while it wrote, at each byte in turn: unfinished, then resumed, then intact."""
    world = World(runs, a="off", b="on")
    world.run()
    journal = find_run(runs, "last")
    *whole, last = lines_of(journal)
    (runs / INDEX).unlink()  # a run that died before its end is not in it
    for end in range(len(last)):
        journal.write_bytes(b"".join([*whole, last[:end]]))
        found = verify(journal)
        assert (found.exit_code, found.message.partition(":")[0]) == (5, "unfinished")
        assert len(PastRun.read(journal).lines) == len(whole)
    assert resumed(world, journal) == ["changed", "ok"]
    assert verify(journal).exit_code == 0
    assert world.lamps["a"].switched == 1


@pytest.mark.parametrize("cut", [1, 7, 40])
def test_a_run_goes_on_from_any_torn_line(runs: Path, cut: int) -> None:
    world = World(runs, a="off", b="off")
    world.run()
    journal = find_run(runs, "last")
    whole = lines_of(journal)
    for number in range(2, len(whole)):
        (runs / INDEX).unlink(missing_ok=True)
        journal.write_bytes(b"".join(whole[:number]) + whole[number][:cut])
        assert verify(journal).exit_code == 5
        resumed(world, journal)
        assert verify(journal).exit_code == 0, f"torn in line {number + 1}"
    assert {lamp.switched for lamp in world.lamps.values()} == {1}


def resumed(world: World, journal: Path) -> list[str]:
    record = RunFolder.reopen(journal, world.clock)
    past = PastRun.read(journal)
    results = world.make(past.started, record, Past(past.recall(), past.begun())).execute().results
    record.close()
    return [result.outcome.value for result in results]


@EXAMPLES
@given(data=st.data())
def test_any_changed_byte_of_the_index_is_noticed_and_its_line_named(copy: Copy, data: st.DataObject) -> None:
    """All but the last line, which no other follows: it is compared with the journal that it is about."""
    *before, last = copy.index_lines
    number, lines = data.draw(changed_bytes(before))
    assert_names_line(copy.spoil(index=[*lines, last]), copy.index, number, number + 1)


@pytest.mark.parametrize("number", [0, 1])
def test_a_removed_line_of_the_index_is_noticed(copy: Copy, number: int) -> None:
    found = copy.spoil(index=copy.index_lines[:number] + copy.index_lines[number + 1 :])
    assert_names_line(found, copy.index, number + 1)


def test_lines_of_the_index_in_another_order_are_noticed(copy: Copy) -> None:
    first, second, third = copy.index_lines
    assert_names_line(copy.spoil(index=[second, first, third]), copy.index, 1)


def test_an_end_of_the_index_that_was_cut_off_leaves_its_runs_unproved(copy: Copy) -> None:
    """The chain cannot tell; but a finished run that the index lacks is not called intact."""
    found = copy.spoil(index=copy.index_lines[:1])
    assert found.exit_code == 5
    assert str(copy.index) in found.message


def test_a_journal_without_an_index_beside_it_says_that_nothing_was_compared(journal: Path, tmp_path: Path) -> None:
    """One that was copied elsewhere, from a CI job say: its chain is checked, and the hash is there to compare."""
    alone = tmp_path / "artifact/crashcart/events.jsonl"
    alone.parent.mkdir(parents=True)
    alone.write_bytes(journal.read_bytes())
    found = verify(alone)
    assert found.exit_code == 0
    assert PastRun.read(journal).lines[-1].hash in found.message
    assert "no index" in found.message


@pytest.mark.parametrize("change", [lambda data: data + b"x", lambda data: data[:-1], lambda _: b""])
def test_evidence_that_was_changed_is_noticed(runs: Path, change: Callable[[bytes], bytes]) -> None:
    World(runs, a="off").run()
    journal = find_run(runs, "last")
    (kept,) = (path for path in journal.parent.glob("evidence/*/*") if path.is_file())
    assert verify(journal).exit_code == 0
    kept.write_bytes(change(kept.read_bytes()))
    found = verify(journal)
    assert found.exit_code == 1
    assert kept.name in found.message


def test_evidence_that_was_removed_is_noticed(runs: Path) -> None:
    World(runs, a="off").run()
    journal = find_run(runs, "last")
    (kept,) = (path for path in journal.parent.glob("evidence/*/*") if path.is_file())
    kept.unlink()
    assert verify(journal).exit_code == 1


def test_an_interrupted_run_that_went_on_and_was_killed_is_unfinished_not_altered(runs: Path) -> None:
    """The index has the hash of its first end, which is now a line in the middle."""
    world = World(runs, a="off")
    world.run()
    journal = find_run(runs, "last")
    record = RunFolder.reopen(journal, FakeClock())
    past = PastRun.read(journal)
    for line in past.lines[1:3]:
        record.notice(line.event)
    record.close()
    assert verify(journal).exit_code == 5
