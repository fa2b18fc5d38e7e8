from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

import msgspec
import pytest

from crashcart.lab.engine import Engine
from crashcart.lab.folder import Folder
from crashcart.lab.image import ensure_image, mmdebstrap_command, registry_answers
from crashcart.lab.recipe import BASE, INIT, SETUP, Recipe, load_recipe, pack
from tests.unit.lab.fakes import FakeRunner


@pytest.fixture
def recipe() -> Recipe:
    return load_recipe()


def entries(packed: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        return {entry.name: entry for entry in tar}


def test_the_same_recipe_has_the_same_image(recipe: Recipe) -> None:
    assert recipe.image == load_recipe().image
    assert recipe.image.startswith("localhost/crashcart-lab:")


@pytest.mark.parametrize("change", [{"packages": ("nothing",)}, {"root": b"changed"}, {"containerfile": b"changed"}])
def test_any_change_of_the_recipe_asks_for_another_image(recipe: Recipe, change: dict[str, object]) -> None:
    assert msgspec.structs.replace(recipe, **change).digest != recipe.digest


def test_scripts_run_keys_are_private_and_all_is_root_s(recipe: Recipe) -> None:
    files = entries(recipe.root)
    assert all((entry.uid, entry.gid, entry.mtime) == (0, 0, 0) for entry in files.values())
    assert {files[path.lstrip("/")].mode for path in (INIT, SETUP, "usr/local/bin/api")} == {0o755}
    assert files["etc/systemd/system/api.service"].mode == 0o644
    assert entries(pack({"etc/ssh/ssh_host_ed25519_key": b"secret"}))["etc/ssh/ssh_host_ed25519_key"].mode == 0o600


def test_the_recipe_s_scripts_are_sound(recipe: Recipe) -> None:
    with tarfile.open(fileobj=io.BytesIO(recipe.root)) as tar:
        texts = {entry.name: file.read().decode() for entry in tar if (file := tar.extractfile(entry))}
    for path in (INIT, SETUP):
        subprocess.run(["sh", "-n"], input=texts[path.lstrip("/")], text=True, check=True)
    compile(texts["usr/local/bin/api"], "api", "exec")


def test_an_image_that_is_there_is_not_built(recipe: Recipe, tmp_path: Path) -> None:
    runner = FakeRunner({"podman image inspect": b"[]"})
    ensure_image(Engine("podman", runner=runner), recipe, Folder("lab", tmp_path), 0, print)
    assert len(runner.asked) == 1


def test_a_base_that_is_there_is_built_on(recipe: Recipe, tmp_path: Path) -> None:
    runner = FakeRunner({f"docker image inspect {BASE}": b"[]", "docker build": b""})
    told: list[str] = []
    ensure_image(Engine("docker", runner=runner), recipe, Folder("lab", tmp_path), 0, told.append)
    build = runner.asked[-1]
    assert f"--build-arg=PACKAGES={' '.join(recipe.packages)}" in build
    assert f"--tag={recipe.image}" in build
    assert told == [f"building {recipe.image} on {BASE}"]
    assert list(tmp_path.iterdir()) == []


def test_mmdebstrap_gets_packages_tree_and_set_up(recipe: Recipe) -> None:
    command = mmdebstrap_command(recipe, Path("/with a space"), "http://mirror.example/debian")
    assert f"--include={','.join(recipe.packages)}" in command
    assert "--customize-hook=tar-in '/with a space/root.tar' /" in command
    assert f'--customize-hook=chroot "$1" {SETUP}' in command
    assert command[-3:] == ["bookworm", "/with a space/rootfs.tar", "http://mirror.example/debian"]


def test_a_registry_that_refuses_the_connection_does_not_answer() -> None:
    assert not registry_answers("http://127.0.0.1:1/v2/", timeout=1)
