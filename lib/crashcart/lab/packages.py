"""Install what the lab needs, where it may: as root on Debian or Ubuntu."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable
from contextlib import suppress

from crashcart.errors import LabError
from crashcart.lab.commands import Runner, run

_TIMEOUT = 300.0


def installable() -> bool:
    """Tell whether this user may install packages on this machine with apt-get."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None and _debian_like()


def _debian_like() -> bool:
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return False
    return "debian" in {release.get("ID", ""), *release.get("ID_LIKE", "").split()}


def install(packages: tuple[str, ...], progress: Callable[[str], None], runner: Runner = run) -> None:
    """Install packages without asking anything, and say so."""
    progress(f"installing {' '.join(packages)} with apt-get")
    with suppress(LabError):  # one source that does not answer must not stop the lab; what matters is the next step
        runner(("apt-get", "update", "--quiet"), timeout=_TIMEOUT)
    quiet = ("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "--yes", "--quiet")
    runner((*quiet, *packages), timeout=_TIMEOUT)
