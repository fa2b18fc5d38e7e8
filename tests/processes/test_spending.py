"""The ledger: no budget is spent twice, by whomever, and what cannot be read is never taken for free."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crashcart.clock import FakeClock, SystemClock
from crashcart.errors import Refused
from crashcart.journal.spending import KEPT, MANY, PATIENCE, Allowance, Ledger

HOURLY = Allowance("restart", 3, 3600.0, "3/host/hour")
START = datetime(2030, 1, 1, 3, 0, 0, tzinfo=UTC)
SPAWN = multiprocessing.get_context("spawn")
ROUNDS = 200


class Settable(FakeClock):
    """A clock that a test puts forward and back."""

    def pass_by(self, **span: float) -> None:
        self._passed += timedelta(**span).total_seconds()


@pytest.fixture
def clock() -> Settable:
    return Settable(START)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "spending.jsonl"


@pytest.fixture
def ledger(path: Path, clock: Settable) -> Ledger:
    return Ledger(path, clock)


def spend(ledger: Ledger, run: str, *, target: str = "web1", key: str = "k", others: int = 0, kind: str = "restart") -> str:
    return ledger.spend(kind, target, run, f"actor-{run}", [HOURLY], key=key, others=others)


def race(path: Path, number: int, start: Barrier, out: Connection) -> None:
    ledger, won = Ledger(path, SystemClock()), list[bool]()
    for turn in range(ROUNDS):
        start.wait()
        answer = ledger.spend("restart", f"web{turn}", f"r{number}", "a", [Allowance("restart", 2, 3600.0, "x")], key="k")
        won.append(not answer)
    out.send(won)


def grab(path: Path, number: int, start: Barrier, out: Connection) -> None:
    ledger = Ledger(path, SystemClock())
    start.wait()
    allowances = [Allowance("restart", 7, 3600.0, "x")]
    out.send([not ledger.spend("restart", "web1", f"r{number}", "a", allowances, key=str(turn)) for turn in range(5)])


def in_processes(count: int, work: object, path: Path) -> Iterator[list[bool]]:
    """Let real processes do the same work at the same time, and return what each of them got."""
    start, pipes = SPAWN.Barrier(count), [SPAWN.Pipe(duplex=False) for _ in range(count)]
    workers = [
        SPAWN.Process(target=work, args=(path, number, start, out))  # type: ignore[arg-type]
        for number, (_, out) in enumerate(pipes)
    ]
    for worker in workers:
        worker.start()
    for worker, (answers, _) in zip(workers, pipes, strict=True):
        yield answers.recv()
        worker.join()
        assert worker.exitcode == 0


def test_of_two_processes_that_race_for_the_last_unit_exactly_one_wins(path: Path) -> None:
    ledger = Ledger(path, SystemClock())
    for turn in range(ROUNDS):
        assert not ledger.spend("restart", f"web{turn}", "before", "a", [Allowance("restart", 2, 3600.0, "x")], key="k")
    one, other = in_processes(2, race, path)
    assert all(first != second for first, second in zip(one, other, strict=True))
    assert len(one) == ROUNDS


def test_many_processes_together_spend_no_more_than_there_is(path: Path) -> None:
    won = [answer for answers in in_processes(4, grab, path) for answer in answers]
    assert won.count(True) == 7
    assert len(path.read_bytes().splitlines()) == 7


def test_what_is_used_up_says_who_and_when_and_until_when(ledger: Ledger, clock: Settable) -> None:
    for run in "abc":
        assert spend(ledger, run) == ""
        clock.pass_by(minutes=10)
    assert spend(ledger, "d") == (
        "the budget restart: 3/host/hour is used up; actor-c at 2030-01-01 03:20:00 UTC (run c), "
        "actor-b at 2030-01-01 03:10:00 UTC (run b), actor-a at 2030-01-01 03:00:00 UTC (run a); "
        "the next one is allowed at 2030-01-01 04:00:00 UTC"
    )
    clock.pass_by(minutes=29, seconds=59)
    assert spend(ledger, "d")
    clock.pass_by(seconds=1)
    assert spend(ledger, "d") == ""
    assert "allowed at 2030-01-01 04:10:00" in spend(ledger, "e")


def test_a_budget_is_of_one_target_and_one_kind(ledger: Ledger) -> None:
    for run in "abc":
        assert spend(ledger, run) == ""
    assert spend(ledger, "d")
    assert spend(ledger, "d", target="web2") == ""
    assert ledger.spend("failover", "web1", "d", "x", [Allowance("failover", 1, 60.0, "1/host/minute")], key="k") == ""


def test_what_has_no_budget_leaves_no_trace(ledger: Ledger, path: Path) -> None:
    assert spend(ledger, "a", kind="failover") == ""
    assert not path.exists()


def test_an_act_that_is_sent_again_is_spent_once(ledger: Ledger) -> None:
    for _ in range(10):
        assert spend(ledger, "a", key="first") == ""
    assert spend(ledger, "a", key="second") == ""
    assert spend(ledger, "b") == ""
    assert spend(ledger, "c")
    assert spend(ledger, "a", key="first", others=99) == ""


def test_of_several_allowances_the_tightest_counts(ledger: Ledger, clock: Settable) -> None:
    both = [HOURLY, Allowance("restart", 4, 86400.0, "4/host/day")]
    for number in range(4):
        assert ledger.spend("restart", "web1", "a", "x", both, key=str(number)) == ""
        clock.pass_by(minutes=30)
    assert "4/host/day is used up" in ledger.spend("restart", "web1", "a", "x", both, key="5")


def test_what_the_target_itself_knows_of_counts(ledger: Ledger) -> None:
    assert spend(ledger, "a", others=2) == ""
    why = spend(ledger, "b", others=3)
    assert "actor-a at" in why
    assert "the target itself knows of 3; the next one is allowed at 2030-01-01 04:00:00 UTC at the latest" in why


def test_the_larger_count_wins_and_not_the_sum(ledger: Ledger) -> None:
    assert spend(ledger, "a") == ""
    assert spend(ledger, "b", others=1) == ""
    assert spend(ledger, "c", others=2) == ""


def test_nothing_is_allowed_where_the_budget_is_nought(ledger: Ledger) -> None:
    why = ledger.spend("failover", "db", "a", "x", [Allowance("failover", 0, 60.0, "0/target/minute")], key="k")
    assert why == "the budget failover: 0/target/minute is used up; none is allowed at all"


def test_a_clock_that_is_put_back_frees_nothing(ledger: Ledger, clock: Settable) -> None:
    for run in "abc":
        assert spend(ledger, run) == ""
    clock.pass_by(days=-300)
    assert "allowed at 2030-01-01 04:00:00" in spend(ledger, "d")


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 4)), max_size=12))
@settings(max_examples=40, deadline=None)
def test_no_hour_ever_holds_more_than_is_allowed(
    tmp_path_factory: pytest.TempPathFactory, acts: list[tuple[int, int]]
) -> None:
    clock, granted = Settable(START), list[datetime]()
    ledger = Ledger(tmp_path_factory.mktemp("state") / "spending.jsonl", clock)
    for number, (minutes, others) in enumerate(acts):
        clock.pass_by(minutes=minutes)
        recent = [moment for moment in granted if moment > clock.now() - timedelta(hours=1)]
        allowed = spend(ledger, f"r{number}", others=others) == ""
        assert allowed == (max(len(recent), others) < HOURLY.count)
        granted += [clock.now()] * allowed


def test_a_line_that_was_torn_anywhere_is_cut_off(ledger: Ledger, path: Path) -> None:
    for run in "abc":
        spend(ledger, run)
    whole = path.read_bytes()
    second = whole.rstrip(b"\n").rfind(b"\n") + 1
    for length in range(second, len(whole)):
        path.write_bytes(whole[:length])
        assert spend(ledger, "d") == ""
        assert spend(ledger, "e")
        assert path.read_bytes().startswith(whole[:second])
        assert len(path.read_bytes().splitlines()) == 3


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (b"garbage\n", "line 1: "),
        (b"\n", "line 1: "),
        (b'{"time":"2030-01-01T00:00:00","kind":"r","target":"t","run":"r","actor":"a","key":"k"}\n', "line 1: a time"),
        (b'{"time":"2030-01-01T00:00:00Z","kind":"r","target":"t","run":"r","actor":"a"}\n', "line 1: Object missing"),
        (b"\0\0\0\n", "line 1: "),
    ],
)
def test_what_cannot_be_read_refuses(ledger: Ledger, path: Path, lines: bytes, why: str) -> None:
    path.parent.mkdir()
    path.write_bytes(lines)
    with pytest.raises(Refused, match="cannot tell what is spent") as caught:
        spend(ledger, "a")
    assert why in caught.value.message
    assert caught.value.hint.endswith(f"mv {path} {path}.broken")
    assert path.read_bytes() == lines


def test_a_change_in_the_middle_refuses(ledger: Ledger, path: Path) -> None:
    for run in "ab":
        spend(ledger, run)
    path.write_bytes(path.read_bytes().replace(b'"run":"a"', b'"run":a'))
    with pytest.raises(Refused, match="line 1"):
        spend(ledger, "c")


def test_neither_a_folder_nor_a_link_nor_a_pipe_is_a_ledger(ledger: Ledger, path: Path, tmp_path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(Refused, match="cannot keep budgets"):
        spend(ledger, "a")
    path.rmdir()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Refused, match="cannot keep budgets"):
        spend(ledger, "a")
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(Refused, match="no ledger of ours"):
        spend(ledger, "a")


def test_a_state_folder_that_is_none_refuses(clock: Settable, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Refused, match=r"Not a directory|File exists") as caught:
        spend(Ledger(tmp_path / "file" / "spending.jsonl", clock), "a")
    assert "CRASHCART_STATE" in caught.value.hint


def test_a_lock_that_is_never_given_back_refuses_in_time(ledger: Ledger, path: Path, clock: Settable) -> None:
    spend(ledger, "a")
    before = clock.monotonic()
    with path.with_suffix(".lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(Refused, match="held the lock of"):
            spend(ledger, "b")
    assert PATIENCE < clock.monotonic() - before < PATIENCE + 1
    assert spend(ledger, "b") == ""


def test_only_the_owner_may_read_it(ledger: Ledger, path: Path) -> None:
    spend(ledger, "a")
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_no_descriptor_is_left_open(ledger: Ledger) -> None:
    spend(ledger, "a")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for run in "bcdef":
        spend(ledger, run)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_old_lines_are_left_out_once_there_are_many(ledger: Ledger, path: Path, clock: Settable) -> None:
    spend(ledger, "a")
    path.write_bytes(path.read_bytes() * (MANY - 1))
    clock.pass_by(days=8, seconds=1)
    spend(ledger, "b")
    assert len(path.read_bytes().splitlines()) == MANY  # not yet many enough
    path.write_bytes(path.read_bytes() + path.read_bytes().splitlines(keepends=True)[0] + b'{"torn')
    spend(ledger, "c")
    assert [b'"run":"b"' in line for line in path.read_bytes().splitlines()] == [True, False]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert spend(ledger, "d") == ""
    assert spend(ledger, "e")


def test_nothing_that_may_still_count_is_left_out() -> None:
    assert timedelta(weeks=1) < KEPT
