"""A fresh small file system for each test that asks for one."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.disk.volume import Volume, mounted

NEEDED = ("unshare", "nsenter", "mkfs.ext4", "losetup")


def _why_not() -> str:
    if os.geteuid() != 0:
        return "needs root, to mount a small real file system"
    missing = [program for program in NEEDED if not shutil.which(program)]
    if missing:
        return f"needs {', '.join(missing)} (util-linux, e2fsprogs)"
    free = subprocess.run(["losetup", "--find"], capture_output=True, check=False, timeout=10)
    return "" if free.returncode == 0 else "needs a loop device, which this machine (a container?) does not give"


@pytest.fixture(scope="session")
def _mountable() -> None:
    why = _why_not()
    if why:
        pytest.skip(why)


@pytest.fixture
def volume(_mountable: None, tmp_path: Path) -> Iterator[Volume]:
    with mounted(tmp_path / "var.img") as small:
        yield small
