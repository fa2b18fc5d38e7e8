"""The recipe of a practice host: packages, a tree of files, a set-up script. Its digest is the image's tag."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable

import msgspec

REPOSITORY = "localhost/crashcart-lab"
SUITE = "bookworm"
BASE = f"docker.io/library/debian:{SUITE}-slim"
SETUP = "/usr/local/lib/crashcart/setup"
INIT = "/usr/local/lib/crashcart/init"


class Recipe(msgspec.Struct, frozen=True):
    """What an image is made of. Two recipes with the same digest make the same host."""

    packages: tuple[str, ...]
    root: bytes
    containerfile: bytes

    @property
    def digest(self) -> str:
        """A short name for exactly these packages, files and steps."""
        parts = (SUITE.encode(), " ".join(self.packages).encode(), self.root, self.containerfile)
        return hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]

    @property
    def image(self) -> str:
        """The image's full name; a changed recipe asks for another image."""
        return f"{REPOSITORY}:{self.digest}"


def load_recipe() -> Recipe:
    """Read the recipe that is installed with this package."""
    folder = files("crashcart.lab") / "recipe"
    packages = tuple((folder / "packages.txt").read_text().split())
    return Recipe(packages, pack(dict(_walk(folder / "root"))), (folder / "Containerfile").read_bytes())


def pack(contents: dict[str, bytes]) -> bytes:
    """Make a tar of files by path: owned by root, the same bytes for the same files whatever the checkout's modes are."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for path, content in sorted(contents.items()):
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            entry.mode = _mode(path, content)
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def _mode(path: str, content: bytes) -> int:
    """Scripts run, keys are root's alone, and the rest may be read."""
    if content.startswith(b"#!"):
        return 0o755
    return 0o600 if path.endswith("_key") else 0o644


def _walk(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        path = f"{prefix}{entry.name}"
        if entry.is_dir():
            yield from _walk(entry, f"{path}/")
        else:
            yield path, entry.read_bytes()
