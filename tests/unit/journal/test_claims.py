"""Local locks: one target is in the hands of one run, and of none once that is gone."""

from __future__ import annotations

import fcntl
import os
import re
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from ipaddress import IPv6Address
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crashcart.clock import FakeClock
from crashcart.errors import BadInput, Refused
from crashcart.journal.claims import PATIENCE, About, Claims, Held, target_key
from crashcart.targets import Target
from tests.unit.journal.claiming import HELD, RELEASED, Claimer

ROUNDS = 200
ABOUT = About("alice", "recover.service-restart", "api is down", "INC-7")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state" / "locks"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime(2030, 1, 1, 3, 0, 0, tzinfo=UTC))


@pytest.fixture
def claims(folder: Path, clock: FakeClock) -> Claims:
    return Claims(folder, clock)


@pytest.fixture
def others(folder: Path) -> Iterator[tuple[Claimer, Claimer]]:
    pair = Claimer(folder), Claimer(folder)
    yield pair
    for claimer in pair:
        claimer.kill()


def take(claims: Claims, run: str, *keys: str) -> Held:
    return claims.take(run, [(key, key) for key in keys], ABOUT)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def claim_file(folder: Path) -> Path:
    (path,) = (folder / "targets").iterdir()
    return path


def test_of_two_processes_that_race_for_a_target_exactly_one_wins(others: tuple[Claimer, Claimer]) -> None:
    for number in range(ROUNDS):
        racers = others if number % 2 else others[::-1]
        for name, racer in zip("ab", racers, strict=True):
            racer.say("take", f"{number}-{name}", "web-1", f"web-{name}")
        answers = [racer.answer() for racer in racers]
        assert answers.count(HELD) == 1, answers
        assert sum("web-1 is held by actor-of-" in answer for answer in answers) == 1, answers
        assert {racer.ask("release") for racer in racers} == {RELEASED}


def test_a_killed_run_holds_nothing(others: tuple[Claimer, Claimer]) -> None:
    first, second = others
    assert first.ask("take", "r1", "web-1") == HELD
    assert second.ask("take", "r2", "web-1").startswith("web-1 is held by actor-of-r1")
    first.kill()
    assert second.ask("take", "r2", "web-1") == HELD


def test_the_same_run_takes_its_claims_again_after_it_was_killed_and_not_before(others: tuple[Claimer, Claimer]) -> None:
    first, second = others
    assert first.ask("take", "r1", "web-1", "web-2") == HELD
    assert second.ask("take", "r1", "web-1", "web-2").startswith("run r1 is still going on: web-1 is held by actor-of-r1")
    first.kill()
    assert second.ask("take", "r1", "web-1", "web-2") == HELD


def test_a_conflict_claims_nothing(claims: Claims) -> None:
    first = take(claims, "a", "1", "2")
    with pytest.raises(Refused, match=r"^2 is held"):
        take(claims, "b", "2", "3")
    take(claims, "c", "3").release()
    first.release()
    take(claims, "b", "2", "3")


def test_other_targets_are_free(claims: Claims) -> None:
    take(claims, "a", "1")
    take(claims, "b", "2")


def test_a_refusal_says_who_since_when_doing_what_and_how_to_ask(claims: Claims, clock: FakeClock) -> None:
    claims.take("20300101-030000-abcdef", [("linux/10.0.0.1:22", "web-1"), ("k2", "web-2"), ("k3", "web-3")], ABOUT)
    clock._passed += 240
    with pytest.raises(Refused) as caught:
        claims.take("b", [("k2", "other-name"), ("k3", "web-3")], ABOUT)
    what = r"recover\.service-restart, api is down, INC-7"
    who = rf"web-2 is held by alice since 2030-01-01 03:00:00 UTC \(4 min\): {what}"
    where = rf"\(run 20300101-030000-abcdef, process {os.getpid()} on \S+\)"
    assert re.fullmatch(rf"{who} {where}; so are 1 more of the targets", caught.value.message)
    assert caught.value.hint == "inv runs.show 20300101-030000-abcdef shows it; ask alice, or wait until it ends"


def test_release_leaves_nothing_and_may_be_repeated(claims: Claims, folder: Path) -> None:
    held = take(claims, "a", "1", "2")
    held.release()
    held.release()
    assert [path.name for path in sorted(folder.rglob("*"))] == ["mutex", "runs", "targets"]
    take(claims, "b", "1")
    held.release()
    with pytest.raises(Refused):
        take(claims, "c", "1")


def test_a_run_of_many_targets_holds_one_file_open(claims: Claims) -> None:
    before = open_files()
    held = take(claims, "a", *map(str, range(1000)))
    assert open_files() == before + 1
    held.release()
    assert open_files() == before


def test_a_refusal_leaves_nothing_open(claims: Claims) -> None:
    take(claims, "a", "1")
    before = open_files()
    for run in ("a", "b"):
        with pytest.raises(Refused):
            take(claims, run, "1")
    assert open_files() == before


def test_everything_is_for_the_owner_only(claims: Claims, folder: Path) -> None:
    take(claims, "a", "1")
    modes = {stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*") if path.is_file()}
    assert modes == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in (folder, folder / "runs", folder / "targets")} == {0o700}


def test_run_files_that_nobody_holds_are_cleaned_up(claims: Claims, folder: Path) -> None:
    take(claims, "a", "1")
    (folder / "runs" / "dead").touch()
    (folder / "runs" / "no-file").mkdir()
    take(claims, "b", "2")
    assert {path.name for path in (folder / "runs").iterdir()} == {"a", "b", "no-file"}


@pytest.mark.parametrize("content", [b"{", b'{"run":"a"}', b"\xff\xfe", b'"text"', b"[]"])
def test_a_claim_that_cannot_be_understood_refuses_and_names_its_file(claims: Claims, folder: Path, content: bytes) -> None:
    take(claims, "a", "1").release()
    take(claims, "b", "1")
    path = claim_file(folder)
    path.write_bytes(content)
    with pytest.raises(Refused, match=re.escape(str(path))) as caught:
        take(claims, "c", "1", "2")
    assert caught.value.hint.endswith(f"rm {path}")
    take(claims, "c", "2")


@pytest.mark.parametrize("change", [(b'"run":"a"', b'"run":"../x"'), (b'"key":"1"', b'"key":"2"')])
def test_a_claim_that_lies_refuses(claims: Claims, folder: Path, change: tuple[bytes, bytes]) -> None:
    take(claims, "a", "1")
    path = claim_file(folder)
    path.write_bytes(path.read_bytes().replace(*change))
    with pytest.raises(Refused, match="is no claim"):
        take(claims, "b", "1")


@pytest.mark.parametrize("content", [b"", b"\0" * 300])
def test_what_a_power_failure_leaves_of_a_claim_is_none(claims: Claims, folder: Path, content: bytes) -> None:
    take(claims, "a", "1")
    claim_file(folder).write_bytes(content)
    take(claims, "b", "1")


@pytest.mark.parametrize("place", ["mutex", "runs", "targets", "runs/b"])
def test_links_are_not_followed(claims: Claims, folder: Path, tmp_path: Path, place: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir() if place in {"runs", "targets"} else elsewhere.touch()
    (folder / "runs").mkdir(parents=True) if "/" in place else folder.mkdir(parents=True)
    (folder / place).symlink_to(elsewhere)
    with pytest.raises(Refused, match="cannot keep locks"):
        take(claims, "b", "1")


def test_a_claim_that_is_a_link_or_a_pipe_refuses(claims: Claims, folder: Path, tmp_path: Path) -> None:
    take(claims, "a", "1")
    path = claim_file(folder)
    path.rename(tmp_path / "away")
    path.symlink_to(tmp_path / "away")
    with pytest.raises(Refused, match="cannot keep locks"):
        take(claims, "b", "1")
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(Refused, match="is no claim"):
        take(claims, "b", "1")


def test_a_folder_that_cannot_be_made_refuses(tmp_path: Path, clock: FakeClock) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Refused, match="cannot keep locks in"):
        take(Claims(tmp_path / "file" / "locks", clock), "a", "1")


def test_a_process_that_never_lets_go_of_the_short_lock_refuses(claims: Claims, folder: Path, clock: FakeClock) -> None:
    held = take(claims, "a", "1")
    with (folder / "mutex").open() as mutex:
        fcntl.flock(mutex, fcntl.LOCK_EX)
        with pytest.raises(Refused, match="another process has held"):
            take(claims, "b", "2")
        assert PATIENCE < clock.monotonic() < PATIENCE + 1
        held.release()
    take(claims, "b", "1")


@pytest.mark.parametrize("run", ["", "../x", ".hidden", "a/b", "a\nb", "x" * 200])
def test_a_run_id_that_names_no_file_is_bad_input(claims: Claims, run: str) -> None:
    with pytest.raises(BadInput):
        take(claims, run, "1")


def key(name: str = "web-1", kind: str = "linux", **variables: object) -> str:
    return target_key(Target(name, kind, dict(variables)))


@given(st.integers(0, 2**128 - 1).map(IPv6Address), st.integers(1, 65535))
@settings(max_examples=50)
def test_spellings_of_an_address_are_one_key(address: IPv6Address, port: int) -> None:
    spellings = [str(address), address.exploded, address.exploded.upper(), f"[{address}]", f" {address} "]
    assert len({key(f"name-{text}", ansible_host=text, ansible_port=port) for text in spellings}) == 1


@given(st.from_regex(r"[a-zA-Z0-9]{1,8}(\.[a-zA-Z0-9]{1,8}){0,2}", fullmatch=True), st.integers(1, 65535))
@settings(max_examples=50)
def test_spellings_of_a_name_are_one_key(name: str, port: int) -> None:
    assert key(name.upper(), ansible_port=str(port)) == key("other", ansible_host=f"{name.lower()}.", ansible_port=port)


@given(st.lists(st.integers(1, 65535), min_size=2, max_size=2, unique=True))
@settings(max_examples=50)
def test_ports_of_an_address_are_different_targets(ports: list[int]) -> None:
    assert len({key(ansible_port=port) for port in ports}) == 2


def test_what_a_key_is_made_of() -> None:
    assert key() == "linux/web-1:22"
    assert key(ansible_host="::ffff:10.0.0.1") == key(ansible_host="10.0.0.1") == "linux/10.0.0.1:22"
    assert key(ansible_host="::1", ansible_port=2200) == "linux/[::1]:2200"
    assert key("here", ansible_connection="local") == key("also-here", ansible_connection="local") == "linux/local"
    assert key("prod", "rds_cluster", aws_region="eu-west-1", aws_id="Prod-DB") == "rds_cluster/eu-west-1/prod-db"
    assert key("prod", "rds_cluster", aws_region="eu-west-1") != key("prod", "rds_cluster", aws_region="us-east-1")
    assert key("prod", "rds_cluster") != key("prod", "rds_instance")


ARNS = {
    "rds_cluster": ("orders", "arn:aws:rds:eu-west-1:123456789012:cluster:orders"),
    "elasticache_replication_group": ("sessions", "arn:aws:elasticache:eu-west-1:123456789012:replicationgroup:sessions"),
    "autoscaling_group": ("api", "arn:aws:autoscaling:eu-west-1:123456789012:autoScalingGroup:1-2:autoScalingGroupName/api"),
    "target_group": ("web", "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/web/0123456789abcdef"),
}


@pytest.mark.parametrize(("kind", "names"), ARNS.items(), ids=list(ARNS))
def test_a_name_and_an_arn_are_one_key(kind: str, names: tuple[str, str]) -> None:
    name, arn = names
    assert key(name, kind, aws_region="eu-west-1") == key("other", kind, aws_region="eu-west-1", aws_id=arn)
    assert key(name, kind, aws_region="eu-west-2") != key("other", kind, aws_region="eu-west-1", aws_id=arn)
