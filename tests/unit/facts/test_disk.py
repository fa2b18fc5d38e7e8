"""The disk facts beyond their cases: properties of the reader, of the scripts, and of what is asked for."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crashcart.errors import FactUnreadable
from crashcart.facts.disk import CANDIDATES_LOOK, CROWDED_LOOK, LARGEST_LOOK, Scope, literal, observe, parse, read
from crashcart.facts.disk_listing import readable
from crashcart.facts.disk_rules import EVIDENCE, kept_name
from crashcart.facts.disk_script import CANDIDATES, PLAIN
from crashcart.facts.disk_state import DiskState
from crashcart.operations.disk_acts import DELETE, EMPTY, TAIL
from crashcart.transports.base import CommandResult, Output
from crashcart.transports.fake import FakeTransport

VOLUME = b"volume 1792 /var\n\0space 4096 1000 400 300 500 100 ext2/ext3\n\0"
END = b"end\n\0"
TAGS = (
    *(
        "volume",
        "space",
        "read-only",
        "listing",
        "root",
        "file",
        "ended",
        "headers",
        "open",
        "left",
        "live",
        "lost",
        "holder",
    ),
    *("held", "mapped", "unasked", "ranked", "failed", "missing", "no-gnu-find", "5 largest", "9 whole"),
)
NAMES = st.binary(min_size=1, max_size=40).filter(lambda name: b"\0" not in name and b"/" not in name)
SCRIPTS = {"plain": PLAIN, "candidates": CANDIDATES, "delete": DELETE, "empty": EMPTY, "tail": TAIL}
SCOPE = Scope(
    max_age=3600.5,
    log_dirs=("/var/log", "/srv/a/log"),
    temp_owner="api",
    temp_globs=(("/tmp", "api-*"),),  # noqa: S108 -- a name, not a file
    live_logs=("/var/log/a[1].log",),
)

each_script = pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS.keys())


def record(inode: int, name: bytes) -> bytes:
    return b"file 1792 %d 1 8 1890000000.5 0 %b\n\0" % (inode, name)


@given(st.lists(st.tuples(st.sampled_from(TAGS), st.binary(max_size=60)), max_size=8))
def test_whatever_a_host_says_is_read_or_unreadable(rows: list[tuple[str, bytes]]) -> None:
    said = b"".join(tag.encode() + b" " + body.replace(b"\0", b"") + b"\n\0" for tag, body in rows)
    with contextlib.suppress(FactUnreadable):
        assert isinstance(parse(VOLUME + said + END), DiskState)


@given(st.binary(max_size=200))
def test_noise_is_unreadable_and_nothing_else(noise: bytes) -> None:
    with pytest.raises(FactUnreadable):
        parse(noise)


@given(st.lists(NAMES, min_size=1, max_size=6, unique=True))
def test_any_name_is_told_apart_and_printable(names: list[bytes]) -> None:
    files = b"".join(record(number, name) for number, name in enumerate(names))
    listing = parse(VOLUME + b"listing 1900000000\n\0root logs /var/log\n\0" + files + b"ended 0\n\0\0" + END).listing
    assert listing
    assert [candidate.inode for candidate in listing.candidates] == list(range(len(names)))
    shown = [candidate.name for candidate in listing.candidates]
    assert len(set(shown)) == len(names)
    assert all(name.isprintable() for name in shown)


@given(st.integers(0, 300))
def test_a_list_that_is_cut_anywhere_holds_whole_records_only(cut: int) -> None:
    files = b"".join(record(number, b"app.log.%d" % number) for number in range(5))
    said = VOLUME + b"listing 1900000000\n\0root logs /var/log\n\0" + files[:cut] + b"\0" + END
    listing = parse(said).listing
    assert listing
    found = [(candidate.inode, candidate.name) for candidate in listing.candidates]
    assert found == [(number, f"app.log.{number}") for number in range(len(found))]


@given(st.binary(max_size=30), st.binary(max_size=30))
def test_readable_stands_for_one_name_only(one: bytes, other: bytes) -> None:
    assert (readable(one) == readable(other)) is (one == other)


def test_plain_look_is_one_short_exec() -> None:
    host = FakeTransport()
    host.on("volume", (VOLUME + END).decode())
    state = observe(host, "/var", Scope(log_dirs=("/var/log",)))
    assert (state.path, state.percent, state.inode_percent) == ("/var", 67, 80)
    (command,) = host.calls
    assert (command.script, command.args) == (PLAIN, ("/var",))
    assert command.timeout <= 15


@pytest.mark.parametrize(
    ("looks", "words"),
    [
        ({CANDIDATES_LOOK}, "live packages logs logs journal temp"),
        ({LARGEST_LOOK}, "live held largest"),
        ({CANDIDATES_LOOK, LARGEST_LOOK, CROWDED_LOOK}, "live packages logs logs journal temp held largest crowded"),
        (set(), "live"),
    ],
)
def test_dearer_looks_are_one_exec_too(looks: set[str], words: str) -> None:
    host = FakeTransport()
    host.on("volume", (VOLUME + END).decode())
    observe(host, "/var", SCOPE, frozenset(looks))
    (command,) = host.calls
    assert command.script == CANDIDATES
    assert command.args[:3] == ("/var", "3600", "api")
    asked = {"live", "packages", "logs", "journal", "temp", "held", "largest", "crowded"}
    assert " ".join(word for word in command.args[3:] if word in asked) == words
    assert command.args[3:6] == ("live", "/var/log/a[1].log", r"/var/log/a\[1\].log")


def test_a_look_that_fails_or_is_cut_is_unreadable() -> None:
    for result in (
        CommandResult(status=1, stderr=Output(b"stat: cannot read file system information")),
        CommandResult(status=None, timed_out=True, duration=15),
        CommandResult(status=0, stdout=Output(VOLUME + END, b"", 1)),
    ):
        with pytest.raises(FactUnreadable, match="/var"):
            read(result, "/var")


@each_script
def test_scripts_need_no_room(script: str) -> None:
    """A here-document is a temporary file; so is what ``sort`` cannot hold, and ``df`` without a path asks every mount."""
    assert not re.search(r"<<|mktemp|\bdf\b", script)
    assert not re.search(r">>?\s*[\"']?/(?!dev/null|proc/)", script)
    for line in script.splitlines():
        assert "sort " not in line or line.lstrip().startswith("#") or " -S " in line


@each_script
@pytest.mark.parametrize("shell", [shell for shell in ("sh", "dash", "bash", "ksh") if shutil.which(shell)])
def test_scripts_are_understood_by_shells(script: str, shell: str) -> None:
    checked = subprocess.run([shell, "-n", "-c", script], capture_output=True, check=False, timeout=10)
    assert (checked.returncode, checked.stderr) == (0, b"")


@pytest.mark.parametrize(("path", "pattern"), [("/var/log/a.log", "/var/log/a.log"), ("/a*b?c[d]\\e", r"/a\*b\?c\[d\]\\e")])
def test_literal_patterns(path: str, pattern: str) -> None:
    assert literal(path) == pattern


@pytest.mark.parametrize("name", [*EVIDENCE, "Audit", "kube-audit.log", "MySQLd.log", "postgresql-16"])
def test_evidence_is_kept(name: str) -> None:
    assert kept_name(name)


@pytest.mark.parametrize("name", ["app.log.1", "syslog", "nginx", "my.log", "apt"])
def test_other_names_are_not(name: str) -> None:
    assert not kept_name(name)
