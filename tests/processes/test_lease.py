"""The lease on a host: one run at a time, whatever is killed and whenever; the act's script notices nothing of it."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crashcart.errors import BadInput
from crashcart.safety.lease import (
    FOLDER,
    LEASED,
    LONGEST,
    NO_LEASE,
    Lease,
    leased,
    read_holder,
    read_takeover,
    refusal,
    release,
)
from crashcart.transports.base import Command, CommandResult, Output

ROUNDS = 200
SHELLS = ("dash", "bash")
ACT = Command("echo done", timeout=5)
ALICE = '{"run":"r1","actor":"alice","controller":"laptop","playbook":"recover.x","started":1893466800}'
HELD = f"crashcart-lease held 240 360 {ALICE}"
ENVIRONMENT = {"PATH": os.environ["PATH"], "LC_ALL": "C"}


class Host:
    """One host: a folder instead of ``/run/crashcart``, and a shell."""

    def __init__(self, folder: Path, shell: str = "dash") -> None:
        self.folder, self.shell = folder, shell

    @property
    def entry(self) -> Path:
        """The lease's record."""
        (path,) = (self.folder / "lease").iterdir()
        return path

    @property
    def left(self) -> list[str]:
        """What there is besides a lease."""
        return sorted(path.name for path in self.folder.iterdir() if path.name != "lease")

    def lease(self, run: str, seconds: float = 600) -> Lease:
        words = {"actor": f"actor-of-{run}", "controller": "laptop", "playbook": "recover.test"}
        return Lease(run=run, **words, started=1893466800, seconds=seconds, folder=str(self.folder))

    def act(self, run: str, command: Command = ACT, *, seconds: float = 600) -> CommandResult:
        return self.run(leased(command, self.lease(run, seconds)))

    def release(self, run: str) -> str:
        result = self.run(release(self.lease(run)))
        assert result.ok, result
        return result.stdout.text

    def run(self, command: Command, before: str = "") -> CommandResult:
        argv = [self.shell, "-c", before + command.script, "sh", *command.args]
        ended = subprocess.run(
            argv, capture_output=True, stdin=subprocess.DEVNULL, start_new_session=True, check=False, env=ENVIRONMENT
        )
        killed = ended.returncode < 0
        out, err = Output(head=ended.stdout), Output(head=ended.stderr)
        return CommandResult(None if killed else ended.returncode, "SIGKILL" if killed else None, stdout=out, stderr=err)

    def expire(self) -> None:
        """Let the time run out: the record's name says until when it counts."""
        self.entry.rename(self.entry.with_name("1." + self.entry.name.partition(".")[2]))


@pytest.fixture(params=SHELLS)
def host(tmp_path: Path, request: pytest.FixtureRequest) -> Host:
    return Host(tmp_path / "crashcart", request.param)


@pytest.fixture
def dash(tmp_path: Path) -> Host:
    return Host(tmp_path / "crashcart")


def holder_of(result: CommandResult) -> str:
    assert result.status == LEASED
    assert not result.stdout.data
    holder = read_holder(result)
    assert holder is not None
    return holder.run


def uptime() -> float:
    return float(Path("/proc/uptime").read_text().split()[0])


def test_one_run_at_a_time_until_it_gives_the_host_back(host: Host) -> None:
    assert host.act("r1").stdout.text == "done\n"
    assert host.act("r1").stdout.text == "done\n"
    assert holder_of(host.act("r2")) == "r1"
    assert host.release("r2") == ""
    assert holder_of(host.act("r2")) == "r1"
    assert host.release("r1") == "released\n"
    assert host.release("r1") == ""
    assert host.act("r2").ok
    assert host.left == []


def test_release_without_any_lease_does_nothing(host: Host) -> None:
    assert host.release("r1") == ""
    assert not host.folder.exists()


def test_a_lease_that_ran_out_is_taken_over_and_said_so_once(host: Host) -> None:
    host.act("r1")
    host.expire()
    result = host.act("r2", Command("echo words >&2; echo out; exit 9", timeout=5))
    assert (result.status, result.stdout.text) == (9, "out\n")
    gone = read_takeover(result)
    assert gone is not None
    assert (gone.run, gone.actor, gone.left < 0) == ("r1", "actor-of-r1", True)
    assert result.stderr.text.split("\n")[1:] == ["words", ""]
    assert holder_of(host.act("r1")) == "r2"
    assert read_takeover(host.act("r2")) is None


def test_a_run_whose_lease_ran_out_takes_it_again(host: Host) -> None:
    host.act("r1")
    host.expire()
    assert host.act("r1").stderr.text == ""
    assert holder_of(host.act("r2")) == "r1"


def test_each_act_extends_the_lease_and_none_shortens_it(host: Host) -> None:
    def until() -> float:
        return float(host.entry.name.partition(".")[0]) - uptime()

    host.act("r1", seconds=100)
    assert 98 <= until() <= 100
    host.act("r1", seconds=1000)
    assert 998 <= until() <= 1000
    host.act("r1", seconds=10)
    assert 997 <= until() <= 1000


def test_a_lease_outlasts_its_act_and_ends_some_day() -> None:
    lease = Host(Path("/x")).lease("r1", seconds=1)
    assert float(leased(Command("true", timeout=240), lease).args[2]) >= 240 + 2
    assert float(leased(ACT, msgspec.structs.replace(lease, seconds=float("inf"))).args[2]) == LONGEST


@given(
    args=st.lists(st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), max_size=20), max_size=12)
)
@settings(max_examples=25, deadline=None)
def test_arguments_and_status_are_the_scripts_own(tmp_path_factory: pytest.TempPathFactory, args: list[str]) -> None:
    host = Host(tmp_path_factory.mktemp("run") / "crashcart")
    command = Command('printf \'%s\\0\' "$0" "$#" "$@"; exit 41', tuple(args), timeout=5)
    result = host.act("r1", command)
    assert result.status == 41
    assert result.stdout.data.decode().split("\0")[:-1] == ["sh", str(len(args)), *args]


@pytest.mark.parametrize(
    ("script", "status", "printed"),
    [
        ("exit", 0, ""),
        ("false", 1, ""),
        ("exit 75", 75, ""),
        ("exit 76", 76, ""),
        ("exit 77", 77, ""),
        ("set -eu; false; echo not", 1, ""),
        ("trap 'echo bye' EXIT; (exit 5) || exit 6", 6, "bye\n"),
        ("exec echo replaced", 0, "replaced\n"),
        ("umask", 0, "0022\n"),
        ("echo ${folder-}${run-}${now-}${lease-}${tries-}", 0, "\n"),
        ("clock && echo leaked", 127, ""),
        ("echo err >&2; printf 'no newline'", 0, "no newline"),
        ("shift 2; echo $#", 0, "0\n"),
    ],
)
def test_a_script_behaves_as_it_does_alone(host: Host, script: str, status: int, printed: str) -> None:
    command = Command(script, ("a", "b"), timeout=5)
    before = "umask 022\n"
    alone, result = host.run(command, before), host.run(leased(command, host.lease("r1")), before)
    assert (result.status, result.stdout.text) == (status, printed)
    assert (result.status, result.stdout) == (alone.status, alone.stdout)
    assert refusal(result) is None


def test_limits_of_the_command_stay() -> None:
    command = Command("true", ("x",), timeout=7, become=False, keep=99)
    changed = leased(command, Host(Path("/x")).lease("r1"))
    assert (changed.timeout, changed.become, changed.keep, changed.args[-1]) == (7, False, 99, "x")


@pytest.mark.parametrize(
    "words", ['it\'s "so"', "-rf\n--", "$(touch /tmp/x) `id`", "\u2028é\x1b[31m", "\\n%s%d", "\0", "", "x" * 9999]
)
def test_foreign_words_are_data(host: Host, words: str) -> None:
    lease = Lease("r1", words, words, words, 1893466800, words, folder=str(host.folder))
    assert host.run(leased(ACT, lease)).ok
    found = read_holder(host.act("r2"))
    assert found is not None
    shown = "".join(char if char.isprintable() else " " for char in words[:200]).strip()
    assert (found.actor, found.controller, found.playbook, found.reason) == (shown,) * 4
    assert host.release("r1") == "released\n"


def test_the_folder_is_roots_alone(host: Host) -> None:
    host.act("r1")
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (host.folder, host.folder / "lease", host.entry)]
    assert modes == [0o700, 0o700, 0o600]
    assert Lease("r", "a", "c", "p", 0).folder == FOLDER == "/run/crashcart"


def refused(host: Host) -> str:
    result = host.act("r1")
    assert (result.status, result.stdout.data) == (NO_LEASE, b"")
    assert read_holder(result) is None
    said = refusal(result)
    assert said is not None
    return said.message


def test_a_folder_that_is_a_link_or_open_to_others_is_not_used(host: Host) -> None:
    elsewhere = host.folder.with_name("elsewhere")
    elsewhere.mkdir(mode=0o700)
    host.folder.symlink_to(elsewhere)
    assert "symbolic link" in refused(host)
    host.folder.unlink()
    host.folder.mkdir()
    host.folder.chmod(0o770)
    assert "770 directory" in refused(host)
    host.folder.rmdir()
    host.folder.touch()
    assert "must be a directory" in refused(host) or "File exists" in refused(host)
    assert list(elsewhere.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_folder_of_somebody_else_is_not_used(host: Host) -> None:
    host.folder.mkdir(mode=0o700)
    os.chown(host.folder, 12345, 12345)
    assert "12345 700 directory" in refused(host)


def test_where_no_folder_can_be_made(host: Host) -> None:
    host.folder = Path("/proc/crashcart")
    assert "/proc/crashcart" in refused(host)


@pytest.mark.parametrize(
    "make", ["touch lease", "ln -s / lease", "mkdir lease; touch lease/x", "mkdir lease; touch lease/9.x"]
)
def test_what_is_no_lease_refuses_and_is_left_alone(dash: Host, make: str) -> None:
    dash.folder.mkdir(mode=0o700)
    subprocess.run(["sh", "-c", make], cwd=dash.folder, check=True)
    assert "cannot tell who holds" in refused(dash)
    assert dash.left == []
    assert (dash.folder / "lease").is_symlink() or (dash.folder / "lease").exists()


def test_litter_of_the_dead_is_swept_up_and_of_the_living_is_not(dash: Host) -> None:
    dash.folder.mkdir(mode=0o700)
    young = f"new.{int(uptime())}.4711.1"
    for name in ("new.1.4711.1", "dead.2.4711.1", young, "new.strange"):
        (dash.folder / name).mkdir()
        (dash.folder / name / "record").touch()
    assert dash.act("r1").ok
    assert dash.left == sorted([young, "new.strange"])


# Each command that is traced counts one; at the last one the whole process group is killed, before that command runs.
STEP = "PS4='$((left-=1))${last:=${left##[!0]*}}${last:+$(kill -s KILL 0)}'; left=%d last=; set -x\n"


def state_of(folder: Path) -> frozenset[tuple[str, str]]:
    """What there is, whatever the numbers in its names are, and whose it is."""
    there = [folder, *folder.rglob("*")] if folder.exists() else []
    owners = (path.read_text().partition("\n")[0] if path.is_file() else "" for path in there)
    return frozenset((re.sub(r"\d+", "N", path.name), owner) for path, owner in zip(there, owners, strict=True))


def somebody_goes_on(host: Host) -> bool:
    result = host.act("other")
    if result.status == LEASED:
        assert holder_of(result) in {"r1", "r2"}
        host.expire()
        result = host.act("other")
    return result.stdout.text == "done\n"


def kill_everywhere(host: Host, command: Command) -> tuple[int, int]:
    """Kill the command before its first, second, ... step: whatever it leaves, somebody can go on, at once or in time.

    Returns the number of steps, and of different states that they left.
    """
    seen: set[frozenset[tuple[str, str]]] = set()
    for step in itertools.count(1):
        copy = Host(host.folder.with_name(f"{host.folder.name}-{step}"), host.shell)
        if host.folder.exists():
            shutil.copytree(host.folder, copy.folder)
        args = (str(copy.folder), *command.args[1:])
        killed = copy.run(msgspec.structs.replace(command, args=args), STEP % step).signal
        state = state_of(copy.folder)
        if state not in seen:
            seen.add(state)
            assert somebody_goes_on(copy), step
        if not killed:
            return step, len(seen)
    raise AssertionError


def test_sigkill_at_any_step_of_taking_a_lease_locks_nobody_out(host: Host) -> None:
    steps, states = kill_everywhere(host, leased(ACT, host.lease("r1")))
    assert steps > 40
    assert states == 5  # nothing, the folder, a directory aside, a record in it, the lease


def test_sigkill_at_any_step_of_taking_it_again_locks_nobody_out(dash: Host) -> None:
    dash.act("r1")
    assert kill_everywhere(dash, leased(ACT, dash.lease("r1", seconds=6000)))[0] > 30


def test_sigkill_at_any_step_of_taking_over_locks_nobody_out(dash: Host) -> None:
    dash.act("r2")
    dash.expire()
    steps, states = kill_everywhere(dash, leased(ACT, dash.lease("r1")))
    assert steps > 50
    assert states == 5  # the old lease, one without a record, a directory aside, a record in it, the new lease


def test_sigkill_at_any_step_of_giving_it_back_locks_nobody_out(dash: Host) -> None:
    dash.act("r1")
    steps, states = kill_everywhere(dash, release(dash.lease("r1")))
    assert steps > 20
    assert states == 3  # the lease, one without a record, nothing


RACER = r"""
while read -r folder; do
  "$0" -c "$1" sh "$folder" "$2" "$3" "$4" 2>&1 | tr '\n' ' '
  echo
done
"""


class Racer:
    """A process that tries to act on one host after the other, as it is told to."""

    def __init__(self, run: str, shell: str) -> None:
        command = leased(Command("echo won", timeout=5), Host(Path("/x")).lease(run))
        argv = [shell, "-c", RACER, shell, command.script, *command.args[1:]]
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def start(self, folder: Path) -> None:
        _pipe(self._process.stdin).write(f"{folder}\n")

    def result(self) -> str:
        return _pipe(self._process.stdout).readline()

    def close(self) -> None:
        self._process.communicate()


def _pipe(end: IO[str] | None) -> IO[str]:
    assert end is not None
    return end


@contextmanager
def racers() -> Iterator[tuple[Racer, Racer]]:
    with ExitStack() as stack:
        pair = Racer("a", "dash"), Racer("b", "dash")
        for racer in pair:
            stack.callback(racer.close)
        yield pair


def race(pair: tuple[Racer, Racer], number: int, folder: Path) -> list[str]:
    order = pair if number % 2 else pair[::-1]
    for racer in order:
        racer.start(folder)
    return [racer.result() for racer in order]


def test_of_two_processes_that_race_for_a_host_exactly_one_acts(tmp_path: Path) -> None:
    with racers() as pair:
        for number in range(ROUNDS):
            results = race(pair, number, tmp_path / str(number))
            assert sum("won" in text for text in results) == 1, results
            assert sum("crashcart-lease held" in text for text in results) == 1, results


def test_of_two_processes_that_race_for_a_lease_that_ran_out_exactly_one_acts(tmp_path: Path) -> None:
    dead = Host(tmp_path / "dead")
    dead.act("r1")
    dead.expire()
    record = dead.entry.read_bytes()
    with racers() as pair:
        for number in range(ROUNDS // 2):
            folder = tmp_path / str(number)
            (folder / "lease").mkdir(parents=True)
            folder.chmod(0o700)
            (folder / "lease" / f"1.{number}.x").write_bytes(record)
            results = race(pair, number, folder)
            assert sum("won" in text for text in results) == 1, results
            assert sum("crashcart-lease held" in text for text in results) == 1, results
            assert sum("crashcart-lease expired" in text for text in results) == 1, results


def said(line: str, status: int = LEASED) -> CommandResult:
    return CommandResult(status=status, stderr=Output(head=line.encode(errors="surrogateescape") + b"\n"))


def test_a_refusal_says_who_since_when_doing_what_from_where_and_how_long() -> None:
    refusal_ = refusal(said(HELD.replace('"recover.x"', '"recover.x","reason":"api is down"')))
    assert refusal_ is not None
    who = "alice on laptop holds this host for 4 min: recover.x, api is down (run r1, started 2030-01-01 03:00:00 UTC)"
    assert refusal_.message == f"{who}; valid for at most 6 min"
    ask = "ask alice, or wait at most 6 min; on laptop, inv runs.show r1 shows it, inv runs.resume r1 ends it if it died"
    assert refusal_.hint == ask


@pytest.mark.parametrize(
    "record", ["", "{", "[]", '{"started":"x"}', "\udcff", '{"started":99999999999999999999999}', '{"x":1}']
)
def test_a_record_that_cannot_be_read_still_refuses(record: str) -> None:
    found = read_holder(said(f"crashcart-lease held 240 360 {record}"))
    assert found is not None
    assert "somebody unknown on a machine unknown" in found.text


def test_what_a_host_says_is_bounded_and_cannot_move_a_cursor() -> None:
    found = read_holder(said(HELD.replace("alice", "\\u001b[31m\\u0007" + "x" * 5000)))
    assert found is not None
    assert found.text.isprintable()
    assert len(found.text) < 1000


@pytest.mark.parametrize("status", [0, 1, 75, 77, None])
def test_other_endings_are_nobodys(status: int | None) -> None:
    result = msgspec.structs.replace(said(HELD), status=status)
    assert read_holder(result) is None
    assert refusal(result) is None
    assert refusal(said("no such user", NO_LEASE)) is None


@pytest.mark.parametrize("run", ["", "a\nb", "-x", "a b", "../x"])
def test_a_run_id_that_is_none_is_bad_input(run: str) -> None:
    lease = Host(Path("/x")).lease(run)
    with pytest.raises(BadInput):
        leased(ACT, lease)
    with pytest.raises(BadInput):
        release(lease)
