"""Make the image of a practice host once, and keep it in the engine under its recipe's digest.

The base is Debian's own image where it is at hand or a registry answers quickly; elsewhere, as in a closed network,
mmdebstrap makes the same from Debian packages. Both ways end in the same set-up script.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

from crashcart.errors import LabError
from crashcart.lab.engine import Engine
from crashcart.lab.folder import Folder
from crashcart.lab.packages import install, installable
from crashcart.lab.recipe import BASE, SETUP, SUITE, Recipe

Progress = Callable[[str], None]
BUILD_TIMEOUT = 300.0
_REGISTRY = "https://registry-1.docker.io/v2/"
_REGISTRY_TIMEOUT = 4.0
_UNREAD = ("doc", "man", "info", "locale")


def ensure_image(engine: Engine, recipe: Recipe, folder: Folder, lock: int, progress: Progress) -> None:
    """Build the recipe's image unless the engine has it. ``lock`` is the lab's lock, held by the builders too."""
    if engine.has_image(recipe.image):
        return
    if not _built_on_base(engine, recipe, folder, progress):
        _build_from_packages(engine, recipe, folder, lock, progress)


def _built_on_base(engine: Engine, recipe: Recipe, folder: Folder, progress: Progress) -> bool:
    try:
        at_hand = _base_at_hand(engine, progress)
        if at_hand:
            _build_on_base(engine, recipe, folder, progress)
    except LabError as error:
        progress(f"no image from {BASE}: {error.message}")
        return False
    return at_hand


def _base_at_hand(engine: Engine, progress: Progress) -> bool:
    if engine.has_image(BASE):
        return True
    if not registry_answers():
        return False
    progress(f"pulling {BASE}")
    engine.ask("pull", BASE, timeout=BUILD_TIMEOUT)
    return True


def registry_answers(url: str = _REGISTRY, timeout: float = _REGISTRY_TIMEOUT) -> bool:
    """Tell whether the image registry gives any HTTP answer soon; 401 is one."""
    from urllib.error import HTTPError  # noqa: PLC0415 -- wanted once in an image's life, and slow to import
    from urllib.request import urlopen  # noqa: PLC0415

    try:
        with urlopen(url, timeout=timeout):  # noqa: S310 -- a fixed https address
            return True
    except HTTPError:
        return True
    except (OSError, ValueError):
        return False


def _build_on_base(engine: Engine, recipe: Recipe, folder: Folder, progress: Progress) -> None:
    progress(f"building {recipe.image} on {BASE}")
    with folder.workshop() as workshop:
        (workshop / "Containerfile").write_bytes(recipe.containerfile)
        (workshop / "root.tar").write_bytes(recipe.root)
        arguments = (f"--build-arg=BASE={BASE}", f"--build-arg=PACKAGES={' '.join(recipe.packages)}")
        where = (f"--tag={recipe.image}", f"--file={workshop / 'Containerfile'}", str(workshop))
        engine.ask("build", *engine.limits, *arguments, *where, timeout=BUILD_TIMEOUT)


def _build_from_packages(engine: Engine, recipe: Recipe, folder: Folder, lock: int, progress: Progress) -> None:
    _need_mmdebstrap(progress)
    progress(f"building {recipe.image} from Debian packages, about half a minute, once")
    with folder.workshop() as workshop:
        (workshop / "root.tar").write_bytes(recipe.root)
        argv = mmdebstrap_command(recipe, workshop, os.environ.get("CRASHCART_DEBIAN_MIRROR", ""))
        # The builder holds the lock as well: if this process is killed, the next one waits for it instead of meeting it.
        engine.runner(argv, timeout=BUILD_TIMEOUT, keep=(lock,))
        engine.ask("import", str(workshop / "rootfs.tar"), recipe.image, timeout=BUILD_TIMEOUT)


def mmdebstrap_command(recipe: Recipe, workshop: Path, mirror: str) -> list[str]:
    """Compose the mmdebstrap call that packs the recipe into ``rootfs.tar``; no mirror means Debian's own."""
    without = [f"--dpkgopt=path-exclude=/usr/share/{folder}/*" for folder in _UNREAD]
    tree = shlex.quote(str(workshop / "root.tar"))
    hooks = [f"--customize-hook=tar-in {tree} /", f'--customize-hook=chroot "$1" {SETUP}']
    what = ["--variant=minbase", f"--include={','.join(recipe.packages)}", "--aptopt=Acquire::Languages none"]
    where = [SUITE, str(workshop / "rootfs.tar"), *([mirror] if mirror else [])]
    # A killed builder's leavings lie in the workshop, to be swept. Without root it maps user ids, and could not enter there.
    swept = ["env", f"TMPDIR={workshop}"] if os.geteuid() == 0 else []
    return [*swept, "mmdebstrap", "--quiet", *what, *without, *hooks, *where]


def _need_mmdebstrap(progress: Progress) -> None:
    if shutil.which("mmdebstrap"):
        return
    if not installable():
        raise LabError(
            "there is no base image to be had, and mmdebstrap, which would do without one, is not installed",
            hint=f"get the base image into the engine ({BASE}), or install mmdebstrap",
        )
    install(("mmdebstrap", "debian-archive-keyring"), progress)
