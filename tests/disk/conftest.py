"""A fresh small file system for each test that asks for one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.disk.volume import NotMounted, Volume, mounted

NEEDED = ("unshare", "nsenter", "mkfs.ext4", "chattr")


def _why_not() -> str:
    if os.geteuid() != 0:
        return "needs root, to mount a small real file system"
    missing = [program for program in NEEDED if not shutil.which(program)]
    if missing:
        return f"needs {', '.join(missing)} (util-linux, e2fsprogs)"
    return ""


@pytest.fixture(scope="session")
def _mountable(tmp_path_factory: pytest.TempPathFactory) -> None:
    why = _why_not()
    if why:
        pytest.skip(why)
    try:
        with mounted(tmp_path_factory.mktemp("mount") / "var.img"):
            pass
    except NotMounted:
        pytest.skip("needs a loop device and the right to mount, which this machine (a container?) does not give")


@pytest.fixture
def volume(_mountable: None, tmp_path: Path) -> Iterator[Volume]:
    with mounted(tmp_path / "var.img") as small:
        yield small
