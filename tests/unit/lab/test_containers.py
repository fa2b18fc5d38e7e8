from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from crashcart.errors import LabError
from crashcart.lab.containers import create_host, find_containers, free_ports
from crashcart.lab.engine import Engine
from crashcart.lab.folder import Folder
from crashcart.lab.recipe import Recipe
from tests.unit.lab.fakes import FakeRunner

RECIPE = Recipe((), b"", b"")


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    folder = Folder("lab", tmp_path)
    for key in (folder.client_key, folder.host_key("lab1")):
        folder.write(key, b"private")
        folder.write(key.with_suffix(".pub"), b"public")
    return folder


def described(host: str, status: str = "running", port: str = "4001") -> dict[str, Any]:
    return {
        "Id": f"id-{host}",
        "Config": {"Labels": {"crashcart.host": host, "crashcart.recipe": "abc"}},
        "HostConfig": {"PortBindings": {"22/tcp": [{"HostIp": "127.0.0.1", "HostPort": port}]} if port else None},
        "State": {"Status": status},
    }


def test_containers_are_found_by_labels_and_come_in_the_order_of_their_numbers(folder: Folder) -> None:
    found = [described("lab10"), described("lab9", "created"), described("lab2", "exited", "")]
    runner = FakeRunner({"podman ps": b"a\nb\nc\n", "podman container inspect a b c": json.dumps(found).encode()})
    containers = find_containers(Engine("podman", runner=runner), folder)
    assert [(one.host, one.running, one.port) for one in containers] == [
        ("lab2", False, 0),
        ("lab9", False, 4001),
        ("lab10", True, 4001),
    ]
    assert f"--filter=label=crashcart.folder={folder.path}" in runner.asked[0]


def test_no_container_is_an_answer_too(folder: Folder) -> None:
    assert find_containers(Engine("podman", runner=FakeRunner({"podman ps": b""})), folder) == []


def test_keys_are_in_place_before_the_first_boot(folder: Folder) -> None:
    runner = FakeRunner({"docker create": b"warning\nnew-id\n", "docker cp": b"", "docker start": b""})
    made = create_host(Engine("docker", runner=runner), folder, RECIPE, "lab1", (4001, 4002))
    assert (made.id, made.port) == ("new-id", 4001)
    assert [words[1] for words in runner.asked] == ["create", "cp", "start"]
    with tarfile.open(fileobj=io.BytesIO(runner.given[1])) as tar:
        assert tar.getmember("etc/ssh/ssh_host_ed25519_key").mode == 0o600


def test_a_port_that_was_taken_in_the_meantime_is_replaced(folder: Folder) -> None:
    answers: dict[str, bytes | Exception] = {"docker create": b"id\n", "docker cp": b"", "docker ps": b""}
    runner = FakeRunner({**answers, "docker start": LabError("Bind for 127.0.0.1:4001 failed: port is already allocated")})
    with pytest.raises(LabError, match="already allocated"):
        create_host(Engine("docker", runner=runner), folder, RECIPE, "lab1", (4001, 4002))
    ports = [word for words in runner.asked for word in words if word.startswith("--publish")]
    assert len(ports) == 6
    assert len(set(ports)) == 6


def test_any_other_failure_is_told_at_once(folder: Folder) -> None:
    runner = FakeRunner({"docker create": LabError("no space left on device"), "docker ps": b""})
    with pytest.raises(LabError, match="no space left"):
        create_host(Engine("docker", runner=runner), folder, RECIPE, "lab1", (4001, 4002))
    assert sum(words[1] == "create" for words in runner.asked) == 1


def test_free_ports_are_distinct() -> None:
    assert len(set(free_ports(20))) == 20
