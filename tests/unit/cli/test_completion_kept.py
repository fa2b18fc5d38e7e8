"""What completion keeps: whatever changes on the disk, a kept answer is the one that would be given without it."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from crashcart.cli.completion_cache import Cache
from crashcart.cli.completion_commands import Command, ask_invoke
from crashcart.cli.completion_names import Names
from crashcart.cli.completion_sources import Sources

CHECKOUT = Path(__file__).resolve().parents[3]
PLAYBOOK = "summary: {}\nparams: {{{}: {{type: bool, default: true, help: as it says}}}}\nsteps: []\n"
HOSTS = "web: {{hosts: {{{}: }}}}\n"


class Place:
    """A checkout with two playbooks and an inventory of its own, and a cache."""

    def __init__(self, folder: Path) -> None:
        self.root, self.cache = folder / "checkout", folder / "cache"
        self.write("playbooks/mend/one.yml", PLAYBOOK.format("One", "first"))
        self.write("playbooks/mend/two.yml", PLAYBOOK.format("Two", "second"))
        self.write("inventories/hosts.yml", HOSTS.format("web1"))
        shutil.copy(CHECKOUT / "tasks.py", self.root)
        self.settle()

    def write(self, name: str, text: str) -> None:
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).write_text(text)

    def settle(self) -> None:
        """Let all that was just written look older than what is too new to be kept."""
        now = time.time()
        for path in (self.root, *self.root.rglob("*")):
            if path.exists() and path.stat().st_mtime > now - 30:
                os.utime(path, (now - 60, path.stat().st_mtime - 60))

    def sources(self, cache: Path | None = None) -> Sources:
        # Somebody may be writing the code that is tested; files that these tests write are settled by hand.
        return Sources("crashcart", self.root, Cache(cache or self.cache, settled=0))

    @property
    def commands(self) -> dict[str, Command]:
        """What a Tab knows of commands, and would know if nothing were kept."""
        found = self.sources().commands
        assert found == self.sources(self.root / "no-cache").commands
        return found

    @property
    def names(self) -> Names:
        found = self.sources().names(None)
        assert found == self.sources(self.root / "no-cache").names(None)
        return found

    @property
    def kept(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.cache.iterdir()}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.delenv("CRASHCART_INVENTORY", raising=False)
    # What a tasks.py leaves in this process must not meet the one of another test.
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "helper", raising=False)
    return Place(tmp_path)


# ---- playbooks ---------------------------------------------------------------------------------------------------------


def test_an_answer_is_the_same_kept_or_not(place: Place) -> None:
    first = place.commands
    kept = place.kept
    assert kept
    assert place.commands == first
    assert place.kept == kept


def test_a_playbook_that_changes(place: Place) -> None:
    assert "--first" in place.commands["mend.one"].flags
    place.write("playbooks/mend/one.yml", PLAYBOOK.format("Changed", "third"))
    place.settle()
    changed = place.commands["mend.one"]
    assert changed.help == "Changed"
    assert changed.flags["--third"].values == ("true", "false")
    assert "--first" not in changed.flags


def test_a_playbook_that_is_added_and_one_that_is_removed(place: Place) -> None:
    assert "mend.three" not in place.commands
    place.write("playbooks/mend/three.yml", PLAYBOOK.format("Three", "more"))
    place.write("playbooks/new/four.yml", PLAYBOOK.format("Four", "more"))
    place.settle()
    assert {"mend.one", "mend.two", "mend.three", "new.four"} <= place.commands.keys()
    (place.root / "playbooks/mend/one.yml").unlink()
    shutil.rmtree(place.root / "playbooks/new")
    place.settle()
    assert not {"mend.one", "new.four"} & place.commands.keys()
    (place.root / "playbooks/mend/two.yml").rename(place.root / "playbooks/mend/deux.yml")
    assert "mend.two" not in place.commands


def test_a_shipped_playbook_that_is_overridden_and_given_back(place: Place) -> None:
    shipped = place.commands["check.disk"]
    place.write("playbooks/check/disk.yml", PLAYBOOK.format("Ours", "mine"))
    place.settle()
    assert place.commands["check.disk"].help == "Ours"
    (place.root / "playbooks/check/disk.yml").unlink()
    assert place.commands["check.disk"] == shipped


def test_only_a_playbook_that_changed_is_read_again(tmp_path: Path) -> None:
    cache, read = Cache(tmp_path / "cache"), list[str]()
    files = [tmp_path / "a", tmp_path / "b"]
    for file in files:
        file.write_text(file.name)
        os.utime(file, (1, 1))

    def make(file: Path) -> str:
        read.append(file.name)
        return file.read_text()

    def ask(basis: str = "x") -> tuple[dict[str, str], str]:
        read.clear()
        return cache.get_each(["q"], basis, map(str, files), str, make), " ".join(read)

    assert ask() == ({str(files[0]): "a", str(files[1]): "b"}, "a b")
    assert ask()[1] == ""
    files[1].write_text("changed")
    os.utime(files[1], (1, 1))
    assert ask() == ({str(files[0]): "a", str(files[1]): "changed"}, "b")
    assert ask("another basis")[1] == "a b"
    del files[0]
    assert ask("another basis") == ({str(files[0]): "changed"}, "")


@pytest.mark.parametrize("program", ["crashcart", "inv"])
def test_flags_are_those_that_invoke_has(program: str) -> None:
    """A playbook that changed is read without Invoke, so what is made of its flags must be what Invoke makes of them."""
    from crashcart.cli.completion_commands import _foreign, _namespace, _tabulate

    namespace = _namespace(program, CHECKOUT)
    ours = _tabulate(namespace)
    for context in namespace.to_contexts():
        theirs, command = _foreign(context, ""), ours[str(context.name)]
        assert list(command.flags) == list(theirs.flags)
        assert [each.takes for each in command.flags.values()] == [each.takes for each in theirs.flags.values()]
        assert [each.help for each in command.flags.values()] == [each.help for each in theirs.flags.values()]
        assert command.positional == theirs.positional


# ---- tasks.py ----------------------------------------------------------------------------------------------------------

FRONT = """
import helper
from pathlib import Path
from crashcart.cli.namespace import build_namespace

namespace = build_namespace(Path({folder!r}), Path({folder!r}).parent)
namespace.add_task(helper.extra)
"""
HELPER = "from invoke import task\n\n@task\ndef {}(context, *, deep=False):\n    pass\n"


def test_a_module_of_the_checkout_that_tasks_py_imports(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    place.write("tasks.py", FRONT.format(folder=str(place.root / "playbooks")))
    place.write("helper.py", HELPER.format("extra"))
    asked = ask_invoke("inv", place.root)
    assert "--deep" in asked.frame.commands["extra"].flags
    assert {place.root / "tasks.py", place.root / "helper.py"} <= set(asked.watched)
    assert asked.frame.has_library


def test_playbooks_from_another_folder_are_watched_there(place: Place) -> None:
    place.write("elsewhere/mend/three.yml", PLAYBOOK.format("Three", "third"))
    place.write("helper.py", HELPER.format("extra"))
    place.write("tasks.py", FRONT.format(folder=str(place.root / "elsewhere")))
    asked = ask_invoke("inv", place.root)
    assert asked.frame.own == str(place.root / "elsewhere")
    assert str(place.root / "elsewhere/mend/three.yml") in asked.playbooks


def test_where_tasks_py_leaves_playbooks_out_only_invoke_knows(place: Place) -> None:
    leave_out = "del namespace.collections['mend']\n"
    place.write("helper.py", HELPER.format("extra"))
    place.write("tasks.py", FRONT.format(folder=str(place.root / "playbooks")) + leave_out)
    asked = ask_invoke("inv", place.root)
    assert not asked.frame.has_library
    assert "check.disk" in asked.frame.commands
    assert "mend.one" not in asked.frame.commands
    assert {place.root / "playbooks/mend", place.root / "playbooks/mend/one.yml"} <= set(asked.watched)


# ---- inventories -------------------------------------------------------------------------------------------------------


def replace_host(place: Place) -> None:
    place.write("inventories/hosts.yml", HOSTS.format("web2"))


def add_file(place: Place) -> None:
    place.write("inventories/more.yml", "db: {hosts: {db1: }}\n")


def add_folder(place: Place) -> None:
    place.write("inventories/more/hosts.yml", "db: {hosts: {db1: }}\n")


def link_folder(place: Place) -> None:
    place.write("shared/hosts.yml", "db: {hosts: {db1: }}\n")
    (place.root / "inventories/shared").symlink_to(place.root / "shared")


def remove_all(place: Place) -> None:
    shutil.rmtree(place.root / "inventories")


def break_file(place: Place) -> None:
    place.write("inventories/hosts.yml", "web: [\n")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (replace_host, {"web2"}),
        (add_file, {"web1", "db1"}),
        (add_folder, {"web1", "db1"}),
        (link_folder, {"web1", "db1"}),
        (remove_all, set()),
        (break_file, set()),
    ],
)
def test_an_inventory_that_changes(place: Place, change: Callable[[Place], None], expected: set[str]) -> None:
    assert set(place.names.targets) == {"web1"}
    change(place)
    place.settle()
    assert set(place.names.targets) == expected
    assert set(place.names.targets) == expected


def test_a_file_behind_a_linked_folder(place: Place) -> None:
    link_folder(place)
    place.settle()
    assert "db1" in place.names.targets
    place.write("shared/hosts.yml", "db: {hosts: {db2: }}\n")
    place.settle()
    assert "db2" in place.names.targets


def test_files_of_variables_make_no_names_and_cost_nothing(place: Place) -> None:
    place.write("inventories/group_vars/web.yml", "port: 80\n")
    place.settle()
    before, kept = place.names, place.kept
    place.write("inventories/group_vars/web.yml", "port: 8080\n")
    place.write("inventories/host_vars/ghost.yml", "port: 8080\n")
    os.utime(place.root / "inventories", (1, (place.root / "inventories").stat().st_mtime))
    place.settle()
    assert place.names == before
    assert len(place.kept) == len(kept)


def test_an_inventory_that_is_named_before_it_is_there(place: Place) -> None:
    assert place.sources().names("later.yml") == Names({"all": 0})
    place.write("later.yml", HOSTS.format("web9"))
    place.settle()
    assert place.sources().names("later.yml").targets == ("web9",)


# ---- stamps, and what is wrong with the cache --------------------------------------------------------------------------


def test_what_changed_a_moment_ago_is_not_kept(place: Place) -> None:
    """On a coarse file system two writes of a moment have the same time, and here the same size."""
    hosts = place.root / "inventories/hosts.yml"
    place.write("inventories/hosts.yml", HOSTS.format("web3"))
    written = hosts.stat().st_mtime_ns
    sources = Sources("crashcart", place.root, Cache(place.cache))
    assert sources.names(None).targets == ("web3",)
    place.write("inventories/hosts.yml", HOSTS.format("web4"))
    os.utime(hosts, ns=(written, written))
    assert sources.names(None).targets == ("web4",)
    assert not place.cache.exists()


def test_a_change_that_puts_the_old_time_back_is_seen(place: Place) -> None:
    hosts = place.root / "inventories/hosts.yml"
    before = hosts.stat()
    assert place.names.targets == ("web1",)
    while hosts.stat().st_ctime_ns == before.st_ctime_ns:
        place.write("inventories/hosts.yml", HOSTS.format("web5"))
        os.utime(hosts, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert place.names.targets == ("web5",)


@pytest.mark.parametrize("named", [None, "", "relative", "{}/elsewhere"])
def test_it_is_kept_where_caches_are(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str | None
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    if named is not None:
        monkeypatch.setenv("XDG_CACHE_HOME", named.format(tmp_path))
    assert Sources("crashcart", place.root).names(None).targets == ("web1",)
    expected = tmp_path / "elsewhere" if named and named.startswith("{}") else tmp_path / "home/.cache"
    assert list((expected / "crashcart/completion").iterdir())


def test_a_cache_that_was_spoilt_is_not_believed(place: Place) -> None:
    commands, names = place.commands, place.names
    files = sorted(place.cache.iterdir())
    assert len(files) == 4
    for spoilt in (b"", b"{", b"null", b"[]", b'{"answer": 1}', b'{"basis": 1, "answers": 2}', b"\xff\xfe", b"[" * 100_000):
        for file in files:
            file.write_bytes(spoilt)
        assert place.sources().commands == commands
        assert place.sources().names(None) == names
    assert all(file.stat().st_size > 20 for file in files)


def test_a_cache_that_others_can_write_to_is_not_believed(place: Place) -> None:
    assert place.names.targets == ("web1",)
    for file in place.cache.iterdir():
        file.write_bytes(file.read_bytes().replace(b"web1", b"evil"))
        file.chmod(0o666)
    assert place.names.targets == ("web1",)


def test_where_nothing_can_be_kept_the_answer_is_the_same(place: Place, tmp_path: Path) -> None:
    expected = place.commands
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file/below", Path("/proc/nowhere"), Path("/dev/full")):
        assert place.sources(folder).commands == expected
    shutil.rmtree(place.cache)
    place.commands  # noqa: B018
    for file in list(place.cache.iterdir()):
        file.unlink()
        file.mkdir()
    assert place.commands == expected
    assert not [path for path in place.cache.iterdir() if path.name.startswith(".")]
