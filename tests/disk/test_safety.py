"""What ``disk.reclaim`` never does, on a real file system with traps: a canary tree is compared byte for byte."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from crashcart.operations.base import Action
from crashcart.results import Outcome
from tests.disk.driving import Record, drive, make, reclaim, survey
from tests.disk.volume import Volume

ALL = {"path": "/var", "below": 1, "max_age": "7d", "journal_keep": 0, "tmp_owner": "root"}
"""A wish that is never fulfilled, so that everything goes that may."""

HOSTILE = (
    b"new\nline.log.1.gz",
    b'it\'s "quoted".log.2.gz',
    b"  spaces  .log.3.gz",
    b"-rf.log.4.gz",
    b"-delete.gz",
    b"$(touch owned) `touch owned`;touch owned;.log.5.gz",
    b"bad\377\376utf8.log.6.gz",
    b"tab\tand\\backslash\\n\\0.log.7.gz",
    b"*.log.8.gz",
    b"[a-z]?.log.9.gz",
    b"\x1b]0;title\x07\xe2\x80\xae.log.1",
    b"end\n",
    b"file 1 2 3 4 5 6 x\n.gz",
    b"n" * 251 + b".old",
)
"""The last but two break careless readers of the look's records; only names of rotated logs are candidates."""


def plant_canary(volume: Volume) -> None:
    """Files that look deletable, in places that are not."""
    for place in (
        *("/var/lib/canary/data.log.1.gz", "/var/lib/docker/x.log.1", "/var/spool/app/old.log.1.gz"),
        *("/var/cache/other/x.deb", "/var/log.old/app.log.1", "/var/tmp.old/x"),
    ):
        volume.put(place, 4096, age=40)


def after(volume: Volume, wish: dict[str, object], *kept: str) -> None:
    """Reclaim all that may go and compare what must stay."""
    before = volume.tree(*kept)
    assert reclaim(volume, wish).outcome in {Outcome.FAILED, Outcome.CHANGED}
    assert volume.tree(*kept) == before


def test_hostile_names_are_deleted_and_do_nothing(volume: Volume) -> None:
    plant_canary(volume)
    going = [name for name in HOSTILE if name != b"end\n"]
    for name in HOSTILE:
        volume.put(b"/var/log/app/" + name, 4096, age=30)
        volume.put(b'/var/log/it\'s a "dir"\n/' + name, 4096, age=30)
    before = volume.tree("/var/lib", "/var/spool", "/var/cache", "/var/log.old", "/var/tmp.old")
    result = reclaim(volume, ALL)
    assert volume.tree("/var/lib", "/var/spool", "/var/cache", "/var/log.old", "/var/tmp.old") == before
    assert os.listdir(volume.path("/var/log/app")) == [b"end\n"]
    assert os.listdir(volume.path('/var/log/it\'s a "dir"\n')) == [b"end\n"]
    assert not [path for path in volume.tree("/var") if path.endswith(b"/owned")]
    shown = next(evidence.lines for evidence in result.evidence if evidence.name == "rotated logs to be deleted")
    assert len(shown) == 1 + 2 * len(going)
    assert all(line.isprintable() for line in shown)
    assert any(r"new\nline.log.1.gz" in line for line in shown)
    assert any(r"bad\xff\xfeutf8" in line for line in shown)


def test_hostile_names_among_temporary_files(volume: Volume) -> None:
    for name in HOSTILE:
        volume.put(b"/var/tmp/" + name, 4096, age=30)
    reclaim(volume, ALL)
    assert os.listdir(volume.path("/var/tmp")) == []


def test_links_are_not_followed(volume: Volume) -> None:
    plant_canary(volume)
    volume.put("/var/log/app/a.log.1", 4096, age=30)
    for name, target in (
        ("file.log.1.gz", "/var/lib/canary/data.log.1.gz"),
        ("folder", "/var/lib/canary"),
        ("root", "/"),
        ("up", ".."),
        ("dangling.log.2", "/var/nowhere"),
    ):
        os.symlink(target, volume.path(f"/var/log/app/{name}"))
        volume.age(volume.path(f"/var/log/app/{name}"), 30)
    os.makedirs(volume.path("/var/tmp"), exist_ok=True)
    os.symlink("/var/lib/canary/data.log.1.gz", volume.path("/var/tmp/link"))
    os.symlink("/var/lib/canary", volume.path("/var/tmp/folder"))
    links = ("/var/log/app/folder", "/var/log/app/root", "/var/tmp/link", "/var/tmp/folder")
    after(volume, ALL, "/var/lib/canary", "/var/spool", *links)
    assert not volume.exists("/var/log/app/a.log.1")


@pytest.mark.parametrize("link", ["/var/log", "/var/tmp", "/var/cache/apt", "/var/log/journal"])
def test_a_root_that_is_a_link_is_left_out(volume: Volume, link: str) -> None:
    plant_canary(volume)
    for name in ("x.log.1", "archives/x.deb", "m/system@1-2-3.journal"):
        volume.put(f"/var/lib/canary/{name}", 4096, age=30)
    if link.count("/") > 2:
        os.makedirs(volume.path(os.path.dirname(link)), exist_ok=True)
    os.symlink("/var/lib/canary", volume.path(link))
    before = volume.tree("/var/lib", "/var/spool")
    result = reclaim(volume, ALL)
    assert volume.tree("/var/lib", "/var/spool") == before
    assert any("a symbolic link is on the way there" in line for line in result.evidence[-1].lines)


def test_a_root_that_becomes_a_link_between_look_and_act(volume: Volume) -> None:
    volume.put("/var/log/a.log.1", 4096, age=30)
    volume.put("/var/lib/canary/a.log.1", 4096, age=30)
    before = volume.tree("/var/lib")

    def swap() -> None:
        os.rename(volume.path("/var/log"), volume.path("/var/log.away"))
        os.symlink("/var/lib/canary", volume.path("/var/log"))

    reconciler = make(Record(), ALL)
    action = survey(reconciler, volume)
    assert isinstance(action, Action)
    swap()
    assert volume.run(action.command).ok
    assert volume.tree("/var/lib") == before
    assert volume.exists("/var/log.away/a.log.1")


def test_a_file_with_a_second_name_stays_and_is_said(volume: Volume) -> None:
    volume.put("/var/lib/canary/data", 4096, age=30)
    os.makedirs(volume.path("/var/log"), exist_ok=True)
    os.link(volume.path("/var/lib/canary/data"), volume.path("/var/log/hard.log.1.gz"))
    result = reclaim(volume, ALL)
    assert volume.exists("/var/log/hard.log.1.gz")
    assert any("1 with another hard link" in line for line in result.evidence[-1].lines)


def test_a_second_name_given_between_look_and_act_keeps_the_file(volume: Volume) -> None:
    volume.put("/var/log/a.log.1", 4096, age=30)
    action = survey(make(Record(), ALL), volume)
    assert isinstance(action, Action)
    os.link(volume.path("/var/log/a.log.1"), volume.path("/var/other"))
    volume.run(action.command)
    assert volume.exists("/var/log/a.log.1")


@pytest.mark.parametrize("kind", ["tmpfs", "bind of a directory", "bind of a file", "odd name"])
def test_mounts_inside_are_not_crossed(volume: Volume, kind: str) -> None:
    volume.put("/var/lib/canary/old.log.1", 4096, age=30)
    volume.put("/var/log/a.log.1", 4096, age=30)
    mount = {
        "tmpfs": "mkdir /var/log/m && mount -t tmpfs none /var/log/m && cp -a /var/lib/canary/old.log.1 /var/log/m/",
        "bind of a directory": "mkdir /var/log/m && mount --bind /var/lib/canary /var/log/m",
        "bind of a file": ": >/var/log/m.log.1 && mount --bind /var/lib/canary/old.log.1 /var/log/m.log.1",
        "odd name": 'mkdir "/var/log/m m*" && mount --bind /var/lib/canary "/var/log/m m*"',
    }[kind]
    volume.inside("sh", "-c", mount)
    before = volume.tree("/var/lib", "/var/log")
    result = reclaim(volume, ALL)
    gone = set(before) - set(volume.tree("/var/lib", "/var/log"))
    odd = kind == "odd name"
    assert gone == (set() if odd else {volume.path("/var/log/a.log.1")})
    assert not odd or any("mounted inside it cannot be told" in line for line in result.evidence[-1].lines)


def test_a_bind_mount_made_between_look_and_act_is_not_crossed(volume: Volume) -> None:
    volume.put("/var/log/app/a.log.1", 4096, age=30)
    volume.put("/var/log/b.log.1", 4096, age=30)
    action = survey(make(Record(), ALL), volume)
    assert isinstance(action, Action)
    volume.inside("sh", "-c", "cp -a /var/log/app /var/app && mount --bind /var/log/app /var/log/app")
    assert volume.run(action.command).ok
    assert volume.exists("/var/log/app/a.log.1")
    assert not volume.exists("/var/log/b.log.1")


@pytest.mark.parametrize(
    "name",
    [
        *("audit/audit.log.1", "kube-apiserver-audit.log.1.gz", "app/AUDIT.log.2.gz", "auth.log.1", "auth.log.2.gz"),
        *("secure-20300101", "wtmp.1", "btmp.1", "faillog.1", "lastlog.1", "sudo.log.1.gz", "sudo-io/00/x.gz", "Sudo/x.1"),
        *(
            "mysql/error.log.1.gz",
            "mysqld.log.1",
            "mariadb/x.gz",
            "postgresql/postgresql-16-main.log.1",
            "mongodb/mongod.log.1",
        ),
        *("redis/redis-server.log.1.gz", "containers/x.log.1", "pods/a/b/0.log.20300101-000000.gz", "docker/x.gz"),
        *("journal/x.gz", "elasticsearch/x.log.gz", "etcd.log.1"),
        *("app.log", "app-1.2.log", "postgresql-9.6-main.log", "syslog", "app.log.gz.part", "numbers.1a", "x-2030010"),
    ],
)
def test_evidence_databases_and_live_logs_stay(volume: Volume, name: str) -> None:
    volume.put(f"/var/log/{name}", 4096, age=400)
    volume.put("/var/log/may-go.log.1", 4096, age=400)
    reclaim(volume, ALL)
    assert volume.exists(f"/var/log/{name}")
    assert not volume.exists("/var/log/may-go.log.1")


@pytest.mark.parametrize(
    "name",
    [
        *("syslog.1", "syslog.2.gz", "app/app.log.17", "a.xz", "b.bz2", "c.zst", "d.old", "messages-20300101", "dmesg.0"),
        *("hourly.log-2030010112", "app.log.2030-01-01", "deep/er/and/deeper/x.log.123"),
    ],
)
def test_rotated_logs_go(volume: Volume, name: str) -> None:
    volume.put(f"/var/log/{name}", 4096, age=8)
    reclaim(volume, ALL)
    assert not volume.exists(f"/var/log/{name}")


def test_age_is_mtime_and_the_young_stay(volume: Volume) -> None:
    volume.put("/var/log/young.log.1", 4096, age=6.9)
    volume.put("/var/log/old.log.1", 4096, age=7.1)
    volume.put("/var/log/future.log.1", 4096, age=-30)
    os.chmod(volume.path("/var/log/old.log.1"), 0o600)  # a young ctime does not matter
    reclaim(volume, ALL)
    assert volume.exists("/var/log/young.log.1")
    assert volume.exists("/var/log/future.log.1")
    assert not volume.exists("/var/log/old.log.1")


def replace(volume: Volume) -> None:
    """Another file takes the name: the old one is kept elsewhere, so that its number is not given away again."""
    os.rename(volume.path("/var/log/a.log.1"), volume.path("/var/kept"))
    volume.put("/var/log/a.log.1", 8192, age=30)


def touch(volume: Volume) -> None:
    os.utime(volume.path("/var/log/a.log.1"))


def rename(volume: Volume) -> None:
    os.rename(volume.path("/var/log/a.log.1"), volume.path("/var/log/live.log"))


def move_out(volume: Volume) -> None:
    os.rename(volume.path("/var/log/a.log.1"), volume.path("/var/a.log.1"))


def to_evidence(volume: Volume) -> None:
    os.mkdir(volume.path("/var/log/audit"))
    os.rename(volume.path("/var/log/a.log.1"), volume.path("/var/log/audit/a.log.1"))


@pytest.mark.parametrize("change", [replace, touch, rename, move_out, to_evidence])
def test_what_does_not_match_any_more_stays(volume: Volume, change: Callable[[Volume], None]) -> None:
    volume.put("/var/log/a.log.1", 4096, age=30)
    volume.put("/var/log/b.log.1", 4096, age=30)
    action = survey(make(Record(), ALL), volume)
    assert isinstance(action, Action)
    change(volume)
    before = volume.tree("/var")
    assert volume.run(action.command).ok
    assert set(before) - set(volume.tree("/var")) == {volume.path("/var/log/b.log.1")}


def test_another_file_system_on_the_path_stops_the_act(volume: Volume) -> None:
    volume.put("/var/log/a.log.1", 4096, age=30)
    record = Record()

    def mount_over() -> None:
        volume.inside("mount", "-t", "tmpfs", "-o", "size=1m", "none", "/var")

    action = survey(make(record, ALL), volume)
    assert isinstance(action, Action)
    mount_over()
    assert volume.run(action.command).status == 75
    volume.inside("umount", "/var")
    assert volume.exists("/var/log/a.log.1")


def test_files_that_vanish_between_look_and_act_are_no_failure(volume: Volume) -> None:
    for number in range(5):
        volume.put(f"/var/log/a.log.{number}", 5 << 20, age=30)
    volume.fill(leave=2 << 20)
    result = drive(make(Record(), {"path": "/var"}), volume, lambda: os.unlink(volume.path("/var/log/a.log.2")))
    assert result.outcome is Outcome.CHANGED
    assert "could not delete" not in result.message
