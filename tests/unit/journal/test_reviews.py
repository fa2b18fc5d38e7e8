"""Sign-offs of break-glass runs: who, of what, and that nobody can change them unseen."""

from __future__ import annotations

import multiprocessing
import stat
from pathlib import Path

import pytest
from invoke import Collection

from crashcart.cli.approvals import sign_off_task
from crashcart.cli.house import House
from crashcart.cli.taming import Tamed
from crashcart.clock import FakeClock, SystemClock
from crashcart.errors import BadInput, JournalError, Refused
from crashcart.events import RunFinished, RunResumed, RunStarted
from crashcart.journal.folder import RunFolder
from crashcart.journal.lines import Altered
from crashcart.journal.recall import PastRun
from crashcart.journal.reviews import REVIEWS, SignOff, sign_off, signed_off, to_review
from crashcart.plan import Options, Plan, TargetPlan
from crashcart.results import Mode
from crashcart.targets import Target

GLASS = Options(break_glass=True, reason="db down", incident="INC-7")
CLOCK = FakeClock()
END = RunFinished("changed", 0, "", {}, 1.0)


class Past:
    """A state folder with runs of alice's."""

    def __init__(self, state: Path) -> None:
        self.state, self.runs = state, state / "runs"
        self.runs.mkdir()

    def run(self, name: str, options: Options = GLASS, *, ends: bool = True, read_only: bool = False) -> PastRun:
        plan = Plan("recover.x", "X", "prod", (TargetPlan(Target("h")),), read_only=read_only)
        folder = RunFolder.create(self.runs, RunStarted(name, "alice", plan, options), CLOCK)
        if ends:
            folder.notice(END)
        folder.close()
        return self.read(name)

    def read(self, name: str) -> PastRun:
        return PastRun.read(self.runs / name / "events.jsonl")

    def sign_off(self, past: PastRun, actor: str = "bob", note: str = "") -> SignOff:
        return sign_off(self.state, past, actor, note, CLOCK)

    @property
    def open(self) -> list[str]:
        return [item.run for item in to_review(self.state, self.runs)]

    @property
    def file(self) -> Path:
        return self.state / REVIEWS


@pytest.fixture
def past(tmp_path: Path) -> Past:
    return Past(tmp_path)


def test_a_break_glass_run_is_open_until_it_is_signed_off(past: Past) -> None:
    past.run("r1")
    past.run("r2", Options())
    assert [(item.run, item.why) for item in to_review(past.state, past.runs)] == [
        ("r1", "break-glass by alice: recover.x on prod: db down; INC-7")
    ]
    done = past.sign_off(past.read("r1"), note=" looked fine ")
    assert not done.already
    assert done.review.text == "r1 was signed off by bob on 2030-01-01 00:00 UTC: looked fine"
    assert past.open == []
    assert signed_off(past.state) == {"r1": done.review}


def test_the_file_is_for_its_owner_only(past: Past) -> None:
    past.sign_off(past.run("r1"))
    assert stat.S_IMODE(past.file.stat().st_mode) == 0o600


def test_a_second_time_says_who_and_changes_nothing(past: Past) -> None:
    first = past.sign_off(past.run("r1"))
    before = past.file.read_bytes()
    again = past.sign_off(past.read("r1"), "carol", "me too")
    assert (again.already, again.review) == (True, first.review)
    assert past.file.read_bytes() == before


@pytest.mark.parametrize(
    ("options", "read_only", "told"),
    [
        (Options(), False, "not made with --break-glass"),
        (Options(break_glass=True, mode=Mode.CHECK), False, "only looked"),
        (Options(break_glass=True), True, "only looked"),
    ],
)
def test_other_runs_need_none(past: Past, options: Options, read_only: bool, told: str) -> None:
    run = past.run("r1", options, read_only=read_only)
    with pytest.raises(Refused, match=f"r1 needs no review: .*{told}"):
        past.sign_off(run)
    assert past.open == []
    assert not past.file.exists()


def test_ones_own_run_takes_a_note_and_the_text_says_so(past: Past) -> None:
    run = past.run("r1")
    with pytest.raises(Refused, match="your own"):
        past.sign_off(run, "github:alice (job 7)", "")
    with pytest.raises(Refused, match="your own") as error:
        past.sign_off(run, "alice", "  ")
    assert error.value.hint.startswith("inv runs.sign-off r1 --note")
    done = past.sign_off(run, "alice", "alone on call")
    assert done.review.own
    assert "by alice (who also ran it)" in done.review.text


def test_a_run_without_an_end_takes_a_note(past: Past) -> None:
    run = past.run("r1", ends=False)
    with pytest.raises(Refused, match="has no end") as error:
        past.sign_off(run)
    assert "inv runs.resume r1" in error.value.hint
    assert not past.sign_off(run, note="the laptop died").already


def test_a_run_that_goes_on_needs_another_review(past: Past) -> None:
    past.sign_off(past.run("r1", ends=False), note="the laptop died")
    folder = RunFolder.reopen(past.runs / "r1" / "events.jsonl", CLOCK)
    folder.notice(RunResumed("alice"))
    folder.notice(END)
    folder.close()
    assert past.open == ["r1"]
    assert not past.sign_off(past.read("r1")).already
    assert past.open == []


def test_a_journal_that_cannot_be_read_stays_on_the_list(past: Past) -> None:
    past.run("r1")
    past.sign_off(past.run("r2"))
    journal = past.runs / "r2" / "events.jsonl"
    journal.write_bytes(journal.read_bytes().replace(b"db down", b"nothing"))
    assert past.open == ["r1", "r2"]


def test_a_note_is_bounded(past: Past) -> None:
    with pytest.raises(BadInput, match="at most"):
        past.sign_off(past.run("r1"), note="x" * 5000)


def test_a_torn_last_line_at_every_byte_is_recovered(past: Past) -> None:
    past.sign_off(past.run("r1"))
    past.sign_off(past.run("r2"))
    data = past.file.read_bytes()
    start = data.index(b"\n") + 1
    for length in range(start, len(data)):
        past.file.write_bytes(data[:length])
        assert list(signed_off(past.state)) == ["r1"]
    past.sign_off(past.read("r2"))
    assert past.file.read_bytes() == data


@pytest.mark.parametrize("number", [1, 2, 3])
def test_an_altered_line_is_named(past: Past, number: int) -> None:
    for name in ("r1", "r2", "r3"):
        past.sign_off(past.run(name))
    lines = past.file.read_bytes().splitlines(keepends=True)
    past.file.write_bytes(b"".join([*lines[: number - 1], lines[number - 1].replace(b"bob", b"eve"), *lines[number:]]))
    if number == 3:
        # The end of a chain is vouched for by nothing inside it.
        assert signed_off(past.state)["r3"].actor == "eve"
        return
    with pytest.raises(Altered, match=f":{number + 1}:"):
        signed_off(past.state)
    with pytest.raises(Altered):
        past.sign_off(past.run("r4"))
    with pytest.raises(Altered):
        to_review(past.state, past.runs)


@pytest.mark.parametrize("edit", [lambda lines: lines[1:], lambda lines: lines[::-1], lambda lines: [b"{}\n", *lines]])
def test_removed_reordered_and_foreign_lines(past: Past, edit: object) -> None:
    assert callable(edit)
    for name in ("r1", "r2"):
        past.sign_off(past.run(name))
    past.file.write_bytes(b"".join(edit(past.file.read_bytes().splitlines(keepends=True))))
    with pytest.raises(Altered, match=":1:"):
        signed_off(past.state)


def test_no_file_and_one_that_cannot_be_read(past: Past) -> None:
    assert signed_off(past.state) == {}
    run = past.run("r1")
    past.file.mkdir()
    with pytest.raises(JournalError, match="cannot read"):
        signed_off(past.state)
    with pytest.raises(JournalError, match="cannot write"):
        past.sign_off(run)


def test_a_link_is_not_followed(past: Past) -> None:
    run = past.run("r1")
    past.file.symlink_to(past.state / "elsewhere")
    with pytest.raises(JournalError):
        past.sign_off(run)


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["r1", "--note", "fine"], 0, "r1 was signed off by"),
        (["r1"], 0, "already done: r1 was signed off by"),
        (["r2"], 3, "not made with --break-glass"),
        (["r9"], 2, "there is no run 'r9'"),
    ],
)
def test_the_command(
    past: Past, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], code: int, told: str
) -> None:
    monkeypatch.setenv("CRASHCART_STATE", str(past.state))
    past.run("r2", Options())
    run = past.run("r1")
    if len(words) == 1:
        past.sign_off(run)
    program = Tamed(namespace=Collection(sign_off_task(House(None, None))))
    ended = 0
    try:
        program.run(["inv", "sign-off", *words])
    except SystemExit as end:
        ended = int(end.code or 0)
    said = capsys.readouterr()
    assert ended == code
    assert told in said.out + said.err


def _race(state: Path, actor: str) -> None:
    for number in range(5):
        sign_off(state, PastRun.read(state / "runs" / f"r{number}" / "events.jsonl"), actor, "", SystemClock())


def test_two_processes_at_once_write_each_review_once(past: Past) -> None:
    for number in range(5):
        past.run(f"r{number}")
    fork = multiprocessing.get_context("fork")
    racers = [fork.Process(target=_race, args=(past.state, actor)) for actor in ("bob", "carol")]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert [racer.exitcode for racer in racers] == [0, 0]
    assert len(past.file.read_bytes().splitlines()) == len(signed_off(past.state)) == 5
