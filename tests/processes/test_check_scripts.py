"""The scripts of ``scripts`` and ``deploys`` for real, on this machine: real files, real users, a real repository."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from crashcart.facts import deploys, scripts
from crashcart.facts.scripts import Said, Script
from crashcart.transports.local import LocalTransport

AS_ROOT = pytest.mark.skipif(os.getuid() != 0 or not shutil.which("setpriv"), reason="needs root and setpriv")
WINDOW = 3600.0


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that only root can write, all the way up."""
    with tempfile.TemporaryDirectory(dir="/opt", prefix="checks-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


def write(place: Path, text: str, mode: int = 0o755, **wanted: str | float) -> Script:
    place.write_text(text)
    place.chmod(mode)
    given = {"sha256": hashlib.sha256(text.encode()).hexdigest(), **wanted}
    return msgspec.convert({"path": str(place), **given}, Script)


def said(*wanted: Script) -> list[Said]:
    return list(scripts.observe(LocalTransport(), wanted).said)


@AS_ROOT
def test_a_declared_script_runs_as_nobody_without_our_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    text = '#!/bin/sh\nid -un; echo "${AWS_SECRET_ACCESS_KEY:-clean}"; pwd; cat; echo token=abc >&2; exit 3\n'
    (found,) = said(write(folder / "check it", text))
    assert (found.status, found.lines) == (3, ("nobody", "clean", "/", "token=***"))


@AS_ROOT
def test_a_script_that_hangs_is_ended_and_a_loud_one_is_cut(folder: Path) -> None:
    hangs = write(folder / "hangs", "#!/bin/sh\ntrap '' TERM\nsleep 60\nsleep 60\n", timeout=0.2)
    loud = write(folder / "loud", "#!/bin/sh\nyes | head -c 3000000\n")
    late, cut = said(hangs, loud)
    assert late.status in {124, 137}
    assert (cut.status, len(cut.lines)) == (0, scripts.LINES)


@AS_ROOT
def test_what_is_not_the_declared_file_is_not_run(folder: Path) -> None:
    mark = folder / "mark"
    text = f"#!/bin/sh\ntouch {mark}\n"
    good = write(folder / "good", text, user="root")
    open_to_all = folder / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    (folder / "link").symlink_to(write(open_to_all / "linked", text).path)
    others = write(folder / "others", text)
    os.chown(others.path, 65534, 65534)
    replace = msgspec.structs.replace
    wanted = {
        "hash": replace(good, sha256="0" * 64),
        "missing": replace(good, path=str(folder / "nope")),
        "special": replace(good, path=str(folder)),
        "unsafe": write(folder / "writable", text, 0o775),
        "unsafe, another's": others,
        "folder": write(open_to_all / "inside", text),
        "folder, by a link": replace(good, path=str(folder / "link")),
        "no-user": replace(good, user="no-such-user"),
        "not-executable": write(folder / "plain", text, 0o644),
    }
    found = said(*list(wanted.values())[:5]) + said(*list(wanted.values())[5:])
    assert [one.why.split()[0] for one in found] == [why.split(",")[0] for why in wanted]
    assert not mark.exists()
    assert said(good)[0].status == 0
    assert mark.exists()


@AS_ROOT
@pytest.mark.skipif(not shutil.which("git"), reason="needs git")
def test_a_checkout_of_somebody_else_is_read_as_its_owner_and_runs_nothing(folder: Path) -> None:
    mark, top = folder / "mark", folder / "api $(x)"
    top.mkdir()
    git = ["git", "-C", str(top), "-c", "user.name=Ann", "-c", "user.email=ann@example.com"]
    for words in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "raise the pool"]):
        subprocess.run([*git, *words], check=True)
    subprocess.run([*git, "config", "core.fsmonitor", f"touch {mark}; false"], check=True)
    subprocess.run([*git, "config", "log.showSignature", "true"], check=True)
    subprocess.run([*git, "config", "gpg.program", f"touch {mark}"], check=True)
    shutil.chown(top, "nobody")
    found = deploys.observe(LocalTransport(), str(top), WINDOW)
    assert (found.kind, found.git) == ("git", "read")
    assert [(one.author, one.subject) for one in found.commits] == [("Ann", "raise the pool")]
    (moved,) = found.moves
    assert (moved.who, moved.commit[:7]) == ("Ann", found.commits[0].commit[:7])
    assert abs(found.now - moved.at) < WINDOW
    assert not mark.exists()


def test_a_link_to_a_release_and_what_is_no_folder(tmp_path: Path) -> None:
    release, link = tmp_path / "42", tmp_path / "current"
    release.mkdir()
    (release / "REVISION").write_text("v42\n")
    link.symlink_to(release)

    def look(place: Path) -> deploys.Deployed:
        transport = LocalTransport()
        return deploys.observe(transport, str(place), WINDOW)

    found = look(link)
    assert (found.kind, found.to, found.revision) == ("plain", str(release), "v42")
    assert found.linked is not None
    assert abs(found.now - found.linked) < WINDOW
    assert [look(place).kind for place in (tmp_path / "nope", release / "REVISION")] == ["absent", "special"]
